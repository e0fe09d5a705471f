//! The server as its clients see it, over real sockets, and as a hostile client does.

mod support;

use inferometer::{Buckets, FamilyView, Registry, Sample, SeriesView, Visitor};
use inferometer_prometheus::{Exporter, ExporterBuilder, ServeError, Server};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const GET: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
const GET_AND_CLOSE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// Far longer than anything takes, so that a test fails rather than hangs.
const PATIENCE: Duration = Duration::from_secs(20);
/// A timeout of the server where a test waits for it.
const SHORT: Duration = Duration::from_millis(150);

fn serve(builder: impl FnOnce(ExporterBuilder) -> ExporterBuilder) -> (Registry, Server) {
    let registry = Registry::new();
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(3);
    let exporter = builder(Exporter::builder().registry(registry.clone())).build().unwrap();
    let server = exporter.serve("127.0.0.1:0").unwrap();
    (registry, server)
}

/// A client of the server.
struct Client {
    socket: TcpStream,
    input: Vec<u8>,
}

/// An answer, as it came.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Client { socket, input: Vec::new() }
    }

    fn send(mut self, request: &[u8]) -> Self {
        self.socket.write_all(request).unwrap();
        self
    }

    /// Reads an answer with a body, or with none for HEAD.
    fn answer(&mut self, has_body: bool) -> Answer {
        let head = loop {
            if let Some(end) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break String::from_utf8(self.input.drain(..end + 4).collect()).unwrap();
            }
            assert!(self.read_some(), "closed inside a head: {:?}", String::from_utf8_lossy(&self.input));
        };
        let mut lines = head.split_terminator("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter(|line| !line.is_empty())
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: String::new() };
        if has_body {
            let length: usize = answer.header("content-length").unwrap().parse().unwrap();
            while self.input.len() < length {
                assert!(self.read_some(), "closed inside a body");
            }
            answer.body = String::from_utf8(self.input.drain(..length).collect()).unwrap();
        }
        answer
    }

    fn read_some(&mut self) -> bool {
        let mut bytes = [0; 4096];
        let read = self.socket.read(&mut bytes).unwrap();
        self.input.extend_from_slice(&bytes[..read]);
        read > 0
    }

    /// What comes until the server closes the connection.
    fn rest(mut self) -> Vec<u8> {
        let mut bytes = vec![0; 1 << 16];
        loop {
            match self.socket.read(&mut bytes) {
                Ok(0) => return self.input,
                Ok(read) => self.input.extend_from_slice(&bytes[..read]),
                // Input that the server has not read makes it a reset.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return self.input,
                Err(error) => panic!("the server did not close: {error}"),
            }
        }
    }
}

/// The answer to a request, after which the server closes.
fn last_answer(server: &Server, request: &[u8]) -> Answer {
    let mut client = Client::connect(server.local_addr()).send(request);
    let answer = client.answer(true);
    assert_eq!(client.rest(), b"", "something after the answer");
    answer
}

/// The value of a failure's counter, once it is at least `at_least`.
fn failures(registry: &Registry, reason: &str, at_least: u64) -> u64 {
    let start = Instant::now();
    loop {
        let count = Failures::read(registry, reason);
        if count >= at_least {
            return count;
        }
        assert!(start.elapsed() < PATIENCE, "{reason} stays at {count}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads the counter of one reason, and nothing else of a registry that may be large.
struct Failures<'a> {
    reason: &'a str,
    count: u64,
}

impl Failures<'_> {
    fn read(registry: &Registry, reason: &str) -> u64 {
        let mut failures = Failures { reason, count: 0 };
        registry.visit(&mut failures);
        failures.count
    }
}

impl Visitor for Failures<'_> {
    fn family(&mut self, family: &FamilyView<'_>) -> bool {
        family.name() == "inferometer_scrapes_failed_total"
    }

    fn series(&mut self, series: &SeriesView<'_>, sample: Sample<'_>) {
        if let Sample::Counter(count) = sample
            && series.labels().any(|label| label == ("reason", self.reason))
        {
            self.count = count;
        }
    }
}

/// A gauge whose function waits, and what tells that it does, and what lets it go on.
fn hanging_gauge(registry: &Registry) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (entered, enter) = mpsc::channel();
    let (leave, left) = mpsc::channel();
    let left = Mutex::new(left);
    registry
        .gauge_fn("slow_ratio", &[], move || {
            let _ = entered.send(());
            let _ = left.lock().unwrap().recv();
            0.5
        })
        .unwrap();
    (enter, leave)
}

#[test]
fn metrics_and_health_are_served_and_nothing_else() {
    let (_registry, server) = serve(|builder| builder);
    let answer = last_answer(&server, GET_AND_CLOSE);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.body.contains("requests_total{status=\"ok\"} 3\n"));
    support::parse(&answer.body).unwrap();

    let answer = last_answer(&server, HEALTH);
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
}

#[test]
fn unknown_paths_get_a_constant_answer() {
    let (_registry, server) = serve(|builder| builder);
    let mut bodies = Vec::new();
    let long = format!("/{}", "x".repeat(7_000));
    for path in
        ["/index.html", "//metrics", "/metrics/", "/metrics/../x", "/%3Cscript%3E", "/METRICS", "/%6detrics", &long]
    {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = last_answer(&server, request.as_bytes());
        assert_eq!(answer.status, 404, "{path:.30}");
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    // No path at all.
    let answer = last_answer(&server, b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!((answer.status, answer.body.as_str()), (400, ""));
}

#[test]
fn the_page_is_served_with_a_policy_that_lets_it_load_and_run_nothing_else() {
    let (_registry, server) = serve(|builder| builder);
    let answer = last_answer(&server, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(answer.body.starts_with("<!doctype html>") && answer.body.ends_with("</html>\n"));
    let policy = answer.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let mut client = Client::connect(server.local_addr());
    client = client.send(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let head = client.answer(false);
    assert_eq!((head.status, client.rest()), (200, Vec::new()));
    assert_eq!(head.header("content-length"), Some(answer.body.len().to_string().as_str()));
    let post = last_answer(&server, b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(post.status, 405);
}

#[test]
fn absolute_uris_and_queries_are_served() {
    let (_registry, server) = serve(|builder| builder);
    for target in ["http://elsewhere/metrics", "/metrics?name[]=a&name[]=b", "/metrics?"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(last_answer(&server, request.as_bytes()).status, 200, "{target}");
    }
    let names = "name[]=requests_total&".repeat(10_000);
    let request = format!("GET /metrics?{names} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut client = Client::connect(server.local_addr());
    // The server may close before it has read all.
    let _ = client.socket.write_all(request.as_bytes());
    let rest = client.rest();
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 431") || rest.starts_with(b"HTTP/1.1 414"));
}

#[test]
fn other_methods_are_refused_and_leave_no_trace() {
    let (registry, server) = serve(|builder| builder);
    let long = "M".repeat(512);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW", "get", "Get", &long] {
        for path in ["/metrics", "/health"] {
            let request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let answer = last_answer(&server, request.as_bytes());
            assert_eq!(answer.status, 405, "{method:.20} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
        }
    }
    let text = support::text(&Exporter::builder().registry(registry).build().unwrap());
    assert!(!text.contains("BREW") && !text.contains("MMMM"));
}

#[test]
fn head_gets_the_headers_of_get_and_no_body() {
    let (_registry, server) = serve(|builder| builder);
    let length = last_answer(&server, GET_AND_CLOSE).body.len();
    let request = b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut client = Client::connect(server.local_addr()).send(request);
    let answer = client.answer(false);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(answer.header("content-length"), Some(length.to_string().as_str()));
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_connection_serves_many_scrapes_one_after_the_other() {
    let (registry, server) = serve(|builder| builder);
    let counter = registry.counter("requests_total", &[("status", "ok")]).unwrap();
    let mut client = Client::connect(server.local_addr());
    for want in 3..20 {
        client = client.send(GET);
        let answer = client.answer(true);
        assert!(answer.body.contains(&format!("requests_total{{status=\"ok\"}} {want}\n")));
        counter.increment(1);
    }
}

#[test]
fn a_client_that_sends_its_headers_slowly_is_cut_off_and_holds_up_nobody() {
    let (_registry, server) = serve(|builder| builder.header_timeout(SHORT));
    let start = Instant::now();
    let mut slow = Client::connect(server.local_addr());
    let ended = loop {
        // A byte at a time, so that the connection is never idle.
        if slow.socket.write_all(b"G").is_err() {
            break start.elapsed();
        }
        assert_eq!(last_answer(&server, GET_AND_CLOSE).status, 200);
        slow.socket.set_nonblocking(true).unwrap();
        match slow.socket.read(&mut [0; 64]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => break start.elapsed(),
        }
        slow.socket.set_nonblocking(false).unwrap();
        thread::sleep(Duration::from_millis(5));
        assert!(start.elapsed() < PATIENCE, "the server waits for ever");
    };
    assert!(ended >= SHORT - Duration::from_millis(20), "cut off after {ended:?}");
}

#[test]
fn an_idle_connection_is_closed() {
    let (_registry, server) = serve(|builder| builder.header_timeout(SHORT));
    assert_eq!(Client::connect(server.local_addr()).rest(), b"");
    let mut client = Client::connect(server.local_addr()).send(GET);
    assert_eq!(client.answer(true).status, 200);
    assert_eq!(client.rest(), b"");
}

/// Serves more than what sockets hold between a server and a client that does not read.
fn serve_large(builder: impl FnOnce(ExporterBuilder) -> ExporterBuilder) -> (Registry, Server) {
    let registry = Registry::new();
    // A large label in the line of each bucket.
    let buckets = Buckets::classic_from((1..=20).map(f64::from).collect::<Vec<_>>());
    registry.histogram_with_buckets::<u64>("prompt_tokens", &[("text", &"x".repeat(1 << 20))], &buckets).unwrap();
    let exporter =
        builder(Exporter::builder().registry(registry.clone()).max_response_bytes(64 << 20)).build().unwrap();
    let server = exporter.serve("127.0.0.1:0").unwrap();
    // Once, so that the server need only copy it, which takes no time to speak of.
    assert!(exporter.render(None).body.len() > 20 << 20);
    (registry, server)
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_counted() {
    let (registry, server) = serve_large(|builder| builder.response_timeout(SHORT * 2).max_connections(2));
    let lazy = Client::connect(server.local_addr()).send(GET);
    assert_eq!(last_answer(&server, HEALTH).status, 200);
    assert_eq!(failures(&registry, "timed_out", 1), 1);
    // Its place is free again, and both can be had at once.
    let start = Instant::now();
    loop {
        let both = [(); 2].map(|()| Client::connect(server.local_addr()));
        if both.map(|client| client.send(HEALTH).answer(true).status) == [200, 200] {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "the place is not freed");
    }
    let rest = lazy.rest();
    assert!(rest.starts_with(b"HTTP/1.1 200") && rest.len() < 20 << 20, "{} bytes", rest.len());
}

#[test]
fn a_client_that_leaves_in_the_middle_is_counted_and_harms_nothing() {
    let (registry, server) = serve_large(|builder| builder);
    let mut client = Client::connect(server.local_addr()).send(GET);
    assert!(client.read_some());
    drop(client);
    assert_eq!(failures(&registry, "disconnected", 1), 1);
    assert_eq!(last_answer(&server, HEALTH).status, 200);
}

#[test]
fn connections_past_the_limit_are_refused_at_once() {
    let (registry, server) = serve(|builder| builder.max_connections(4));
    // An answer on each shows that the server has taken them all.
    let mut idle: Vec<Client> = (0..4).map(|_| Client::connect(server.local_addr()).send(GET)).collect();
    idle.iter_mut().for_each(|client| assert_eq!(client.answer(true).status, 200));
    for _ in 0..1_000 {
        let mut client = Client::connect(server.local_addr());
        let answer = client.answer(true);
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(failures(&registry, "refused", 1_000), 1_000);
    // Those that were there are served still.
    let client = idle.pop().unwrap();
    assert_eq!(client.send(GET).answer(true).status, 200);
    drop(idle);
    let start = Instant::now();
    while Client::connect(server.local_addr()).send(GET_AND_CLOSE).answer(true).status != 200 {
        assert!(start.elapsed() < PATIENCE, "the places are not freed");
    }
}

#[test]
fn a_thousand_idle_connections_leave_the_engine_alone() {
    let (registry, server) = serve(|builder| builder.header_timeout(Duration::from_secs(60)));
    let counter = registry.counter("requests_total", &[("status", "ok")]).unwrap();
    let mut idle = Vec::new();
    for i in 1..=1_000 {
        idle.push(TcpStream::connect(server.local_addr()).unwrap());
        counter.increment(1);
        // No more at a time than the system queues, which would make it a test of the system.
        if i % 64 == 0 {
            failures(&registry, "refused", i - 16);
        }
    }
    assert_eq!(failures(&registry, "refused", 1_000 - 16), 1_000 - 16);
    assert_eq!(registry.snapshot().counter("requests_total", &[]), Some(1_003));
}

#[test]
fn scrapes_that_come_while_one_is_rendered_share_the_next() {
    let (registry, server) = serve(|builder| builder);
    let renders = Arc::new(Mutex::new(0));
    let count = Arc::clone(&renders);
    registry
        .gauge_fn("renders", &[], move || {
            *count.lock().unwrap() += 1;
            1.0
        })
        .unwrap();
    let (entered, leave) = hanging_gauge(&registry);
    let mut first = Client::connect(server.local_addr()).send(GET_AND_CLOSE);
    entered.recv().unwrap();
    let mut others: Vec<Client> = (0..8).map(|_| Client::connect(server.local_addr()).send(GET_AND_CLOSE)).collect();
    // The requests are with the server when a later one has been answered.
    for _ in 0..8 {
        assert_eq!(last_answer(&server, HEALTH).status, 200);
    }
    thread::sleep(Duration::from_millis(20));
    for _ in 0..10 {
        leave.send(()).unwrap();
    }
    assert_eq!(first.answer(true).status, 200);
    for other in &mut others {
        assert_eq!(other.answer(true).status, 200);
    }
    assert_eq!(*renders.lock().unwrap(), 2);
}

#[test]
fn a_scrape_that_hangs_times_out_and_holds_up_neither_health_nor_the_next() {
    let (registry, server) = serve(|builder| builder.response_timeout(SHORT));
    let (entered, leave) = hanging_gauge(&registry);
    let mut stuck = Client::connect(server.local_addr()).send(GET_AND_CLOSE);
    entered.recv().unwrap();
    assert_eq!(last_answer(&server, HEALTH).status, 200);
    let answer = stuck.answer(true);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    // Others that come meanwhile time out as well, and pile up nowhere.
    for _ in 0..3 {
        assert_eq!(last_answer(&server, GET_AND_CLOSE).status, 503);
    }
    assert_eq!(failures_without_reading(&server, &leave, &registry), 4);
}

#[test]
fn a_scrape_ends_before_its_scraper_gives_up() {
    let (registry, server) = serve(|builder| builder);
    let (_entered, leave) = hanging_gauge(&registry);
    let start = Instant::now();
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
        X-Prometheus-Scrape-Timeout-Seconds: 0.6\r\n\r\n";
    assert_eq!(last_answer(&server, request).status, 503);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    drop(leave);
}

#[test]
fn a_scrape_timeout_that_makes_no_sense_is_ignored_and_a_long_one_does_not_lengthen_the_servers() {
    let (registry, server) = serve(|builder| builder.response_timeout(SHORT));
    let (_entered, leave) = hanging_gauge(&registry);
    for value in
        ["-1", "0", "NaN", "inf", "1e308", "soon", "", "\u{fc}", "1\r\nX-Prometheus-Scrape-Timeout-Seconds: 2", "60"]
    {
        let start = Instant::now();
        let request = format!(
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
            X-Prometheus-Scrape-Timeout-Seconds: {value}\r\n\r\n"
        );
        assert_eq!(last_answer(&server, request.as_bytes()).status, 503, "{value:?}");
        let took = start.elapsed();
        assert!(took >= SHORT && took < Duration::from_secs(5), "{value:?}: {took:?}");
    }
    drop(leave);
}

/// Lets the hanging scrapes go, and says how many have timed out.
fn failures_without_reading(server: &Server, leave: &mpsc::Sender<()>, registry: &Registry) -> u64 {
    for _ in 0..8 {
        leave.send(()).unwrap();
    }
    let start = Instant::now();
    while last_answer(server, GET_AND_CLOSE).status != 200 {
        assert!(start.elapsed() < PATIENCE);
    }
    failures(registry, "timed_out", 4)
}

#[test]
fn a_response_that_is_too_large_fails_as_a_whole_and_is_counted() {
    let (registry, server) = serve(|builder| builder.max_response_bytes(4_096));
    assert_eq!(last_answer(&server, GET_AND_CLOSE).status, 200);
    registry.gauge("level", &[("text", &"x".repeat(5_000))]).unwrap();
    let answer = last_answer(&server, GET_AND_CLOSE);
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains("requests_total"));
    assert_eq!(failures(&registry, "too_large", 1), 1);
    registry.unregister(&[("text", &"x".repeat(5_000))]);
    assert_eq!(last_answer(&server, GET_AND_CLOSE).status, 200);
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let (_registry, server) = serve(|builder| builder);
    let many = (0..65).map(|i| format!("X-{i}: 1\r\n")).collect::<String>();
    let long_line = format!("X: {}\r\n", "y".repeat(9_000));
    let long_block = (0..40).map(|i| format!("X-{i}: {}\r\n", "y".repeat(300))).collect::<String>();
    let accept = format!("Accept: {}\r\n", "text/plain;q=0.1,".repeat(6_000));
    for headers in [&many, &long_line, &long_block, &accept] {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        let mut client = Client::connect(server.local_addr());
        let _ = client.socket.write_all(request.as_bytes());
        let rest = client.rest();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 431"), "{:?}", String::from_utf8_lossy(&rest));
    }
    // Just below: what a browser with cookies sends.
    let cookie = format!("Cookie: {}\r\n", "y".repeat(6_000));
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{cookie}\r\n");
    assert_eq!(last_answer(&server, request.as_bytes()).status, 200);
}

#[test]
fn request_bodies_are_not_read_and_end_the_connection() {
    let (_registry, server) = serve(|builder| builder);
    for body in [
        "Content-Length: 4\r\n\r\nbody",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n",
        "Content-Length: 1000000\r\n\r\n",
    ] {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{body}");
        let answer = last_answer(&server, request.as_bytes());
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{body:?}");
    }
}

#[test]
fn requests_that_two_readers_may_read_differently_are_refused() {
    let (_registry, server) = serve(|builder| builder);
    for request in [
        "GET /metrics\r\n\r\n",
        "GET /metrics HTTP/0.9\r\n\r\n",
        "GET /metrics HTTP/1.1\nHost: localhost\n\n",
        "GET /metrics HTTP/1.1\r\nHost: localhost\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX : a\r\n\r\n",
        "GET /metrics HTTP/1.1\r\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "\u{16}\u{3}\u{1}\0\u{a5}\u{1}\0\0\u{a1}\u{3}\u{3}\r\n\r\n",
    ] {
        let mut client = Client::connect(server.local_addr()).send(request.as_bytes());
        let answer = client.answer(true);
        assert_eq!(answer.status, 400, "{request:?}");
        assert_eq!(client.rest(), b"", "{request:?}");
    }
}

#[test]
fn of_pipelined_requests_the_first_is_answered_and_the_connection_closed() {
    let (_registry, server) = serve(|builder| builder);
    let answer = last_answer(&server, &[GET, GET, HEALTH].concat());
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
}

#[test]
fn http_1_0_is_served_without_a_host() {
    let (_registry, server) = serve(|builder| builder);
    let answer = last_answer(&server, b"GET /metrics HTTP/1.0\r\n\r\n");
    assert_eq!(answer.status, 200);
}

#[test]
fn a_client_that_sends_no_more_is_still_answered() {
    let (_registry, server) = serve(|builder| builder);
    let mut client = Client::connect(server.local_addr()).send(GET);
    client.socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.answer(true).status, 200);
    assert_eq!(client.rest(), b"");
}

#[test]
fn formats_are_negotiated_and_bodies_packed() {
    let (_registry, server) = serve(|builder| builder);
    let get = |headers: &str| {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        let answer = last_answer(&server, request.as_bytes());
        assert_eq!(answer.status, 200, "{headers:?}");
        assert_eq!(answer.header("vary"), Some("Accept, Accept-Encoding"));
        answer
    };
    for headers in ["", "Accept: \u{fc}\r\n", "Accept: garbage;;;q==\r\nAccept: */*;q=2\r\n"] {
        let answer = get(headers);
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        assert_eq!(answer.header("content-encoding"), None);
        support::parse(&answer.body).unwrap();
    }
    // Two headers are as one.
    let answer =
        get("Accept: text/plain;q=0.4\r\nAccept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8\r\n");
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8";
    assert_eq!(answer.header("content-type"), Some(content_type));
    assert!(answer.body.ends_with("\n# EOF\n"));
}

#[test]
fn head_says_how_long_the_packed_body_is() {
    let (_registry, server) = serve(|builder| builder);
    let length = |method: &str| {
        let request = format!(
            "{method} /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n"
        );
        let mut client = Client::connect(server.local_addr()).send(request.as_bytes());
        let mut answer = Vec::new();
        std::io::Read::read_to_end(&mut client.socket, &mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = std::str::from_utf8(&answer[..end]).unwrap().to_lowercase();
        assert!(head.contains("\r\ncontent-encoding: gzip\r\n"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        (length.parse::<usize>().unwrap(), answer.len() - end)
    };
    let (stated, sent) = length("GET");
    assert_eq!(stated, sent);
    assert_eq!(length("HEAD"), (stated, 0));
}

#[test]
fn an_address_that_cannot_be_bound_is_a_typed_error_and_nothing_else() {
    let (registry, server) = serve(|builder| builder);
    let exporter = Exporter::builder().registry(registry.clone()).build().unwrap();
    match exporter.serve(server.local_addr()) {
        Err(ServeError::Bind { addr, source }) => {
            assert_eq!((addr, source.kind()), (server.local_addr(), ErrorKind::AddrInUse));
        }
        other => panic!("{other:?}"),
    }
    // An address of documentation, which no host has.
    match exporter.serve("192.0.2.1:9464") {
        Err(ServeError::Bind { source, .. }) => assert_eq!(source.kind(), ErrorKind::AddrNotAvailable),
        other => panic!("{other:?}"),
    }
    match exporter.serve("no port") {
        Err(error @ ServeError::Resolve(_)) => {
            assert!(std::error::Error::source(&error).is_some());
            assert!(!error.to_string().is_empty());
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(exporter.serve(&[][..]), Err(ServeError::Resolve(_))));
    // The engine, its metrics and the first server go on.
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(1);
    assert!(last_answer(&server, GET_AND_CLOSE).body.contains("requests_total{status=\"ok\"} 4\n"));
}

#[test]
fn a_port_without_permission_is_a_typed_error() {
    let exporter = Exporter::builder().registry(Registry::new()).build().unwrap();
    match exporter.serve("127.0.0.1:1") {
        Err(ServeError::Bind { source, .. }) => assert_eq!(source.kind(), ErrorKind::PermissionDenied),
        Ok(_) => println!("skipped: this user may bind any port"),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn ipv6_and_several_servers_of_one_exporter_work() {
    let exporter = Exporter::builder().registry(Registry::new()).build().unwrap();
    let first = exporter.serve("127.0.0.1:0").unwrap();
    assert_eq!(last_answer(&first, GET_AND_CLOSE).status, 200);
    match exporter.serve((Ipv6Addr::LOCALHOST, 0)) {
        Ok(server) => {
            assert_eq!(server.local_addr().ip(), IpAddr::V6(Ipv6Addr::LOCALHOST));
            assert_eq!(last_answer(&server, GET_AND_CLOSE).status, 200);
        }
        Err(error) => println!("skipped: no IPv6 here: {error}"),
    }
}

#[test]
fn the_default_address_is_loopback_and_any_other_is_asked_for() {
    assert!(Exporter::DEFAULT_ADDRESS.ip().is_loopback());
    let exporter = Exporter::builder().registry(Registry::new()).build().unwrap();
    let everywhere = exporter.serve("0.0.0.0:0").unwrap();
    assert!(everywhere.local_addr().ip().is_unspecified());
    let local = SocketAddr::from(([127, 0, 0, 1], everywhere.local_addr().port()));
    assert_eq!(Client::connect(local).send(HEALTH).answer(true).status, 200);
}

#[test]
fn a_server_that_is_dropped_closes_its_connections_and_frees_its_port() {
    let (_registry, server) = serve(|builder| builder);
    let address = server.local_addr();
    let mut idle = Client::connect(address).send(GET);
    assert_eq!(idle.answer(true).status, 200);
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(1), "an idle connection holds it up");
    assert_eq!(idle.rest(), b"");
    assert!(TcpStream::connect(address).is_err());
    let again = Exporter::builder().registry(Registry::new()).build().unwrap().serve(address).unwrap();
    assert_eq!(last_answer(&again, HEALTH).status, 200);
}

#[test]
fn a_response_that_is_under_way_is_finished_before_the_server_stops() {
    let (registry, server) = serve(|builder| builder);
    let (entered, leave) = hanging_gauge(&registry);
    let mut client = Client::connect(server.local_addr()).send(GET);
    entered.recv().unwrap();
    let stopping = thread::spawn(move || server.shutdown());
    thread::sleep(Duration::from_millis(20));
    leave.send(()).unwrap();
    assert_eq!(client.answer(true).status, 200);
    stopping.join().unwrap();
}

#[test]
fn a_scrape_that_hangs_does_not_keep_the_server_from_stopping() {
    let (registry, server) = serve(|builder| builder);
    let (entered, leave) = hanging_gauge(&registry);
    let client = Client::connect(server.local_addr()).send(GET);
    entered.recv().unwrap();
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(5), "it took {:?}", start.elapsed());
    assert_eq!(client.rest(), b"");
    drop(leave);
}
