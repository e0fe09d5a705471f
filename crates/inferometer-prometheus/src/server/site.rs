//! What the connections of a server have in common.

use super::socket::{Bytes, Socket};
use crate::service::{Failure, MetricsService};
#[cfg(feature = "tls")]
use {super::socket::OneBufferAtATime, crate::service::from_now, crate::web_config::Guard};

#[derive(Debug)]
pub(super) struct Site {
    pub(super) service: MetricsService,
    /// `None` lets everybody in.
    #[cfg(feature = "tls")]
    pub(super) guard: Option<Guard>,
}

impl Site {
    pub(super) fn open(service: MetricsService) -> Self {
        Site {
            service,
            #[cfg(feature = "tls")]
            guard: None,
        }
    }

    /// A connection as it is to be read and written, unless it comes to nothing before that.
    pub(super) async fn receive(&self, socket: Socket) -> Option<Bytes> {
        let bytes = socket.into_bytes();
        #[cfg(feature = "tls")]
        if let Some(guard) = self.guard.as_ref().filter(|guard| guard.encrypts()) {
            let deadline = from_now(self.service.exporter().limits().header_timeout);
            return Some(Box::new(guard.secure(OneBufferAtATime(bytes), deadline).await?));
        }
        Some(bytes)
    }

    /// Refuses a connection when there are too many. This does not wait for anything, so that it cannot be kept from
    /// accepting others.
    pub(super) fn refuse(&self, socket: Socket) {
        const ANSWER: &[u8] =
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        self.service.count(Failure::Refused);
        #[cfg(feature = "tls")]
        if self.guard.as_ref().is_some_and(Guard::encrypts) {
            // An answer would take a handshake.
            return;
        }
        socket.dismiss(ANSWER);
    }
}
