//! Scrapes over a Unix socket, and what may be in its place.

#![cfg(unix)]

use inferometer::Registry;
use inferometer_prometheus::{Exporter, ServeError, UnixServer, UnixSocket};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.sock");
    (directory, path)
}

fn exporter() -> Exporter {
    let registry = Registry::new();
    registry.counter("requests_total", &[]).unwrap().increment(3);
    Exporter::builder().registry(registry).max_connections(4).build().unwrap()
}

fn connect(path: &Path) -> UnixStream {
    let socket = UnixStream::connect(path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn scrape(path: &Path) -> String {
    let mut socket = connect(path);
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn assert_serves(path: &Path) {
    let answer = scrape(path);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\nrequests_total 3\n"), "{answer}");
}

/// The kind of a refusal, which must name the socket.
fn refusal(result: Result<UnixServer, ServeError>, at: &Path) -> ErrorKind {
    match result {
        Err(ServeError::BindUnix { path, source }) if path == at => source.kind(),
        other => panic!("{other:?}"),
    }
}

/// A socket as a server leaves it that was killed.
fn leave_stale_socket(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    assert_eq!(UnixStream::connect(path).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn the_owner_alone_can_connect_unless_told_otherwise() {
    let (_directory, path) = place();
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    let server = exporter().serve_unix(path.as_path()).unwrap();
    assert_eq!(mode(), 0o600);
    assert_serves(&path);
    drop(server);
    let server = exporter().serve_unix(UnixSocket::new(&path).mode(0o666)).unwrap();
    // The umask has no say, though it forbids this to most.
    assert_eq!(mode(), 0o666);
    assert_serves(server.path());
}

#[test]
fn the_file_is_gone_when_the_server_is_shut_down() {
    let (directory, path) = place();
    let server = exporter().serve_unix(path.as_path()).unwrap();
    assert_serves(&path);
    server.shutdown();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    let server = exporter().serve_unix(path.as_path()).unwrap();
    assert_serves(server.path());
}

#[test]
fn the_socket_of_a_dead_server_is_replaced() {
    let (directory, path) = place();
    leave_stale_socket(&path);
    let _server = exporter().serve_unix(path.as_path()).unwrap();
    assert_serves(&path);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn the_socket_of_a_live_server_is_left_alone() {
    let (_directory, path) = place();
    let _server = exporter().serve_unix(path.as_path()).unwrap();
    assert_eq!(refusal(exporter().serve_unix(path.as_path()), &path), ErrorKind::AddrInUse);
    assert_serves(&path);
}

#[test]
fn a_server_that_accepts_nobody_is_alive_and_does_not_hold_up_another() {
    let (_directory, path) = place();
    let _listener = UnixListener::bind(&path).unwrap();
    let mut waiting = Vec::new();
    // Until its queue is full, when connecting blocks.
    while waiting.len() < 5_000 {
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::STREAM,
            rustix::net::SocketFlags::NONBLOCK,
            None,
        )
        .unwrap();
        if rustix::net::connect(&socket, &rustix::net::SocketAddrUnix::new(&path).unwrap()).is_err() {
            break;
        }
        waiting.push(socket);
    }
    let start = Instant::now();
    assert_eq!(refusal(exporter().serve_unix(path.as_path()), &path), ErrorKind::AddrInUse);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn what_is_not_a_socket_is_never_deleted() {
    let (directory, path) = place();
    fs::write(&path, "precious").unwrap();
    assert_eq!(refusal(exporter().serve_unix(path.as_path()), &path), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();

    fs::create_dir(&path).unwrap();
    assert_eq!(refusal(exporter().serve_unix(path.as_path()), &path), ErrorKind::AlreadyExists);
    assert!(path.is_dir());
    fs::remove_dir(&path).unwrap();

    // Not through a link either, whatever it leads to.
    let other = directory.path().join("other.sock");
    leave_stale_socket(&other);
    symlink(&other, &path).unwrap();
    assert_eq!(refusal(exporter().serve_unix(path.as_path()), &path), ErrorKind::AlreadyExists);
    assert!(other.exists() && fs::symlink_metadata(&path).unwrap().is_symlink());
}

#[test]
fn a_socket_of_another_server_at_the_same_path_is_not_removed_at_shutdown() {
    let (_directory, path) = place();
    let server = exporter().serve_unix(path.as_path()).unwrap();
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    server.shutdown();
    assert!(path.exists());
    drop(other);
}

#[test]
fn a_place_where_no_socket_can_be_is_a_typed_error() {
    let (directory, _) = place();
    let missing = directory.path().join("missing/metrics.sock");
    assert_eq!(refusal(exporter().serve_unix(missing.as_path()), &missing), ErrorKind::NotFound);
    let long = directory.path().join("x".repeat(200));
    assert!(matches!(exporter().serve_unix(long.as_path()), Err(ServeError::BindUnix { path, .. }) if path == long));
    assert!(matches!(exporter().serve_unix(""), Err(ServeError::BindUnix { .. })));
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    match exporter().serve_unix(closed.join("metrics.sock")) {
        Err(ServeError::BindUnix { source, .. }) => assert_eq!(source.kind(), ErrorKind::PermissionDenied),
        Ok(_) => println!("skipped: this user may write anywhere"),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn of_servers_that_start_at_once_at_a_stale_socket_one_wins_and_serves() {
    const SERVERS: usize = 8;
    for _ in 0..20 {
        let (_directory, path) = place();
        leave_stale_socket(&path);
        let start = Barrier::new(SERVERS);
        let won: Vec<UnixServer> = thread::scope(|scope| {
            let serve = || {
                start.wait();
                exporter().serve_unix(path.as_path())
            };
            let all: Vec<_> = (0..SERVERS).map(|_| scope.spawn(serve)).collect();
            all.into_iter().filter_map(|server| server.join().unwrap().ok()).collect()
        });
        assert_eq!(won.len(), 1);
        // The others have connected to it, to see whether it lives.
        wait_for_a_place(&path);
        assert_serves(&path);
    }
}

#[test]
fn connections_past_the_limit_are_refused_at_once() {
    let (_directory, path) = place();
    let _server = exporter().serve_unix(path.as_path()).unwrap();
    let mut idle: Vec<UnixStream> = (0..4).map(|_| connect(&path)).collect();
    for socket in &mut idle {
        socket.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    let mut answer = String::new();
    connect(&path).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
    drop(idle);
    wait_for_a_place(&path);
}

fn wait_for_a_place(path: &Path) {
    let start = Instant::now();
    while !scrape(path).starts_with("HTTP/1.1 200") {
        assert!(start.elapsed() < PATIENCE, "the places are not freed");
    }
}
