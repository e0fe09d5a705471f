//! The service in a server of the user's: axum's, over real sockets.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::routing::get;
use inferometer::Registry;
use inferometer_prometheus::{Exporter, ExporterBuilder, MetricsService};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(150);

fn exporter(builder: impl FnOnce(ExporterBuilder) -> ExporterBuilder) -> (Registry, Exporter) {
    let registry = Registry::new();
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(3);
    let exporter = builder(Exporter::builder().registry(registry.clone())).build().unwrap();
    (registry, exporter)
}

/// A runtime whose only thread must not be blocked.
fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Serves an application on a runtime of one thread, which lasts as long as the test's process.
fn serve(service: MetricsService) -> SocketAddr {
    let (send, address) = mpsc::channel();
    thread::spawn(move || {
        current_thread().block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            let app = Router::new()
                .route("/alive", get(|| async { "alive" }))
                .route_service("/metrics", service.clone())
                .nest_service("/deep/inside", service);
            axum::serve(listener, app).await.unwrap();
        });
    });
    address.recv().unwrap()
}

/// The answer to a request over a connection of its own: its status, its head and its body.
fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> (u16, String, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(socket, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
}

/// A gauge whose function waits, what tells that it does, and what lets it go on.
fn hanging_gauge(registry: &Registry) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (entered, enter) = mpsc::channel();
    let (leave, left) = mpsc::channel();
    let left = Mutex::new(left);
    let hang = move || {
        let _ = entered.send(());
        let _ = left.lock().unwrap().recv();
        0.5
    };
    registry.gauge_fn("slow_ratio", &[], hang).unwrap();
    (enter, leave)
}

fn failures(registry: &Registry, reason: &str) -> Option<u64> {
    registry.snapshot().counter("inferometer_scrapes_failed_total", &[("reason", reason)])
}

#[test]
fn an_axum_server_serves_the_metrics_at_any_path() {
    let (_registry, exporter) = exporter(|builder| builder);
    let address = serve(exporter.service());
    for path in ["/metrics", "/metrics?name[]=requests_total", "/deep/inside", "/deep/inside/"] {
        let (status, head, body) = ask(address, "GET", path, "Accept: */*\r\n");
        assert_eq!(status, 200, "{path}");
        assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
        assert!(head.contains("\r\nx-content-type-options: nosniff"), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
        assert!(body.contains("requests_total{status=\"ok\"} 3\n"), "{body}");
    }
    assert_eq!(ask(address, "GET", "/metrics?profile=none", "").0, 400);
    assert_eq!(ask(address, "GET", "/other", "").0, 404);
}

#[test]
fn head_gets_the_length_of_get_and_no_body_and_other_methods_are_refused() {
    let (_registry, exporter) = exporter(|builder| builder);
    let address = serve(exporter.service());
    let length = ask(address, "GET", "/metrics", "").2.len();
    let (status, head, body) = ask(address, "HEAD", "/metrics", "");
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains(&format!("\r\ncontent-length: {length}")), "{head}");
    for method in ["POST", "DELETE", "BREW"] {
        let (status, head, _) = ask(address, method, "/metrics", "Content-Length: 0\r\n");
        assert_eq!(status, 405, "{method}");
        assert!(head.contains("\r\nallow: get, head"), "{head}");
    }
}

#[test]
fn a_scrape_that_hangs_does_not_block_the_only_thread_of_a_runtime() {
    let (registry, exporter) = exporter(|builder| builder);
    let address = serve(exporter.service());
    let (entered, leave) = hanging_gauge(&registry);
    let scrape = thread::spawn(move || ask(address, "GET", "/metrics", ""));
    entered.recv().unwrap();
    for _ in 0..10 {
        assert_eq!(ask(address, "GET", "/alive", "").2, "alive");
    }
    assert!(!scrape.is_finished());
    leave.send(()).unwrap();
    let (status, _, body) = scrape.join().unwrap();
    assert_eq!(status, 200);
    assert!(body.contains("slow_ratio 0.5\n"));
}

#[test]
fn a_runtime_whose_blocking_threads_are_all_taken_is_scraped_all_the_same() {
    let (_registry, exporter) = exporter(|builder| builder);
    let mut service = exporter.service();
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || released.recv());
    let status = runtime.block_on(async { service.call(Request::new(())).await.unwrap().status() });
    assert_eq!(status, StatusCode::OK);
    drop(release);
}

#[test]
fn a_scrape_that_is_not_rendered_in_time_gets_a_503_and_is_counted() {
    let (registry, exporter) = exporter(|builder| builder.response_timeout(SHORT));
    let address = serve(exporter.service());
    let (entered, leave) = hanging_gauge(&registry);
    let start = Instant::now();
    let (status, head, _) = ask(address, "GET", "/metrics", "");
    assert_eq!(status, 503);
    assert!(head.contains("\r\nretry-after: 1"), "{head}");
    assert!(start.elapsed() >= SHORT);
    entered.recv().unwrap();
    drop(leave);
    wait_for(|| ask(address, "GET", "/metrics", "").0 == 200);
    assert!(failures(&registry, "timed_out").unwrap() >= 1);
}

#[test]
fn a_scrape_ends_before_its_scraper_gives_up() {
    let (registry, exporter) = exporter(|builder| builder);
    let address = serve(exporter.service());
    let (_entered, leave) = hanging_gauge(&registry);
    let start = Instant::now();
    assert_eq!(ask(address, "GET", "/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 0.7\r\n").0, 503);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(350) && took < Duration::from_secs(5), "{took:?}");
    drop(leave);
}

#[test]
fn more_scrapes_than_may_wait_are_refused_and_counted() {
    let (registry, exporter) = exporter(|builder| builder.max_waiting_scrapes(3));
    let address = serve(exporter.service());
    let (entered, leave) = hanging_gauge(&registry);
    let mut scrapes = vec![thread::spawn(move || ask(address, "GET", "/metrics", ""))];
    entered.recv().unwrap();
    // Two more may wait. Of the five that come, three are refused, whichever come first.
    let (done, answers) = mpsc::channel();
    for _ in 0..5 {
        let done = done.clone();
        scrapes.push(thread::spawn(move || {
            let answer = ask(address, "GET", "/metrics", "");
            done.send(answer.0).unwrap();
            answer
        }));
    }
    for _ in 0..3 {
        assert_eq!(answers.recv_timeout(PATIENCE).unwrap(), 503);
    }
    assert_eq!(ask(address, "GET", "/alive", "").0, 200);
    drop(leave);
    let answers: Vec<_> = scrapes.into_iter().map(|scrape| scrape.join().unwrap()).collect();
    assert_eq!(failures(&registry, "refused"), Some(3));
    assert_eq!(answers.iter().filter(|answer| answer.0 == 200).count(), 3);
    for (_, head, _) in answers.iter().filter(|answer| answer.0 == 503) {
        assert!(head.contains("\r\nretry-after: 1"), "{head}");
    }
    assert_eq!(ask(address, "GET", "/metrics", "").0, 200);
}

#[test]
fn a_scrape_that_is_given_up_frees_its_place_and_its_turn() {
    let (registry, exporter) = exporter(|builder| builder.max_waiting_scrapes(2));
    let (entered, leave) = hanging_gauge(&registry);
    let mut service = exporter.service();
    current_thread().block_on(async {
        // One that renders and one that waits for its turn; then both are given up.
        let mut first = service.call(Request::new(()));
        let mut second = service.call(Request::new(()));
        for given_up in [&mut first, &mut second] {
            assert!(tokio::time::timeout(Duration::from_millis(20), given_up).await.is_err());
        }
        entered.recv().unwrap();
        assert_eq!(service.call(Request::new(())).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        drop((first, second));
        // The rendering that had begun goes on, and a scrape that comes now waits for it.
        let third = service.call(Request::new(()));
        drop(leave);
        assert_eq!(third.await.unwrap().status(), StatusCode::OK);
    });
    // The second was never rendered.
    assert_eq!(entered.try_iter().count(), 1);
}

#[test]
fn scrapes_that_come_while_one_is_rendered_share_the_next() {
    let (registry, exporter) = exporter(|builder| builder);
    let renders = Arc::new(Mutex::new(0));
    let count = Arc::clone(&renders);
    let counted = move || {
        *count.lock().unwrap() += 1;
        1.0
    };
    registry.gauge_fn("renders", &[], counted).unwrap();
    let (entered, leave) = hanging_gauge(&registry);
    let mut service = exporter.service();
    current_thread().block_on(async {
        let first = tokio::spawn(service.call(Request::new(())));
        tokio::task::yield_now().await;
        entered.recv().unwrap();
        let others: Vec<_> = (0..8).map(|_| tokio::spawn(service.call(Request::new(())))).collect();
        drop(leave);
        assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
        for other in others {
            assert_eq!(other.await.unwrap().unwrap().status(), StatusCode::OK);
        }
    });
    assert_eq!(*renders.lock().unwrap(), 2);
}

#[test]
fn request_bodies_of_any_type_are_not_read() {
    let (_registry, exporter) = exporter(|builder| builder);
    let mut service = exporter.service();
    current_thread().block_on(async {
        let body = Request::builder().method(Method::GET).body(Body::from("x".repeat(100_000))).unwrap();
        assert_eq!(service.call(body).await.unwrap().status(), StatusCode::OK);
        // Not even one that could not be sent to another thread.
        let borrowed = String::from("lent");
        assert_eq!(service.call(Request::new(borrowed.as_str())).await.unwrap().status(), StatusCode::OK);
    });
}

#[test]
fn without_tokio_scrapes_are_answered_without_a_time_limit() {
    let (_registry, exporter) = exporter(|builder| builder);
    let mut service = exporter.service();
    let mut response = pin!(service.call(Request::new(())));
    let start = Instant::now();
    // The simplest of executors.
    let status = loop {
        match response.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(response) => break response.unwrap().status(),
            Poll::Pending => thread::yield_now(),
        }
        assert!(start.elapsed() < PATIENCE);
    };
    assert_eq!(status, StatusCode::OK);
}

fn wait_for(mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "it takes too long");
        thread::sleep(Duration::from_millis(5));
    }
}
