//! Sockets of both kinds, as one.

#[cfg(unix)]
use super::unix::SocketFile;
use std::io::{self, Read, Write};
#[cfg(feature = "tls")]
use std::pin::Pin;
#[cfg(feature = "tls")]
use std::task::{Context, Poll};
#[cfg(feature = "tls")]
use tokio::io::ReadBuf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

/// Where connections come from.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix {
        /// Removed before the listener is closed.
        _file: SocketFile,
        listener: UnixListener,
    },
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// What is read and written, whatever it goes through.
pub(super) type Bytes = Box<dyn ReadWrite>;

pub(super) trait ReadWrite: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ReadWrite for T {}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Listener::Tcp(listener) => listener.accept().await.map(|(socket, _)| Socket::Tcp(socket)),
            #[cfg(unix)]
            Listener::Unix { listener, .. } => listener.accept().await.map(|(socket, _)| Socket::Unix(socket)),
        }
    }
}

impl Socket {
    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Socket::Tcp(socket) => {
                // A response goes out in two pieces, and the second should not wait for the first to be acknowledged.
                let _ = socket.set_nodelay(true);
                Box::new(socket)
            }
            #[cfg(unix)]
            Socket::Unix(socket) => Box::new(socket),
        }
    }

    /// Says something and closes, without waiting for the other end.
    pub(super) fn dismiss(self, words: &[u8]) {
        fn dismiss(mut socket: impl Read + Write, words: &[u8]) {
            // Closing a socket with unread input would take the answer back.
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write(words);
        }
        // They do not block: the runtime has made them so.
        match self {
            Socket::Tcp(socket) => {
                if let Ok(socket) = socket.into_std() {
                    dismiss(socket, words);
                }
            }
            #[cfg(unix)]
            Socket::Unix(socket) => {
                if let Ok(socket) = socket.into_std() {
                    dismiss(socket, words);
                }
            }
        }
    }
}

/// A connection without `writev`, which raises SIGPIPE when the other end is gone.
#[cfg(feature = "tls")]
pub(super) struct OneBufferAtATime(pub(super) Bytes);

#[cfg(feature = "tls")]
impl AsyncRead for OneBufferAtATime {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

#[cfg(feature = "tls")]
impl AsyncWrite for OneBufferAtATime {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
