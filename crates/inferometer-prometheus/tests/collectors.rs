//! Collectors as a scraper sees them: what they have, and what is left when they have nothing. Fault 15 of
//! `docs/faults.md`.

mod support;

use inferometer::{Collector, CollectorFamily, CollectorSink, Registry};
use inferometer_prometheus::{Exporter, Format};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::thread;
use std::time::Duration;
use support::{protobuf, text};

/// The collector's timeout.
const SHORT: Duration = Duration::from_millis(200);

const WORKS: u8 = 0;
const FAILS: u8 = 1;
const PANICS: u8 = 2;
const HANGS: u8 = 3;

/// Two families, whose collector does what it is told.
struct Moody(Arc<AtomicU8>);

impl Collector for Moody {
    fn families(&self) -> Vec<CollectorFamily> {
        vec![
            CollectorFamily::gauge("queue_requests", "Requests that wait.").labels(&["queue"]),
            CollectorFamily::counter("device_seconds_total", "Time of the device."),
        ]
    }

    fn collect(&mut self, sink: &mut CollectorSink<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        sink.gauge("queue_requests", &["b"], 2.0)?;
        sink.float_counter("device_seconds_total", &[], 0.5)?;
        match self.0.load(SeqCst) {
            FAILS => return Err("on purpose".into()),
            PANICS => panic!("on purpose"),
            HANGS => {
                while self.0.load(SeqCst) == HANGS {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            _ => {}
        }
        Ok(sink.gauge("queue_requests", &["a \"quoted\"\n\\ name"], 1.0)?)
    }

    fn timeout(&self) -> Duration {
        SHORT
    }
}

/// A registry with the collector between two metrics.
fn moody() -> (Registry, Arc<AtomicU8>, Exporter) {
    let registry = Registry::new();
    registry.counter("requests_total", &[("status", "ok")]).unwrap().increment(3);
    let mood = Arc::new(AtomicU8::new(WORKS));
    registry.register_collector("moody", Moody(Arc::clone(&mood))).unwrap();
    registry.gauge("load_ratio", &[("core", "0")]).unwrap().set(0.5);
    let exporter = Exporter::builder().registry(registry.clone()).build().unwrap();
    (registry, mood, exporter)
}

/// What the registry exposes.
fn want(collected: bool, [panicked, timed_out, failed]: [u64; 3]) -> String {
    let of_collector = "\
# HELP queue_requests Requests that wait.
# TYPE queue_requests gauge
queue_requests{queue=\"b\"} 2
queue_requests{queue=\"a \\\"quoted\\\"\\n\\\\ name\"} 1
# HELP device_seconds_total Time of the device.
# TYPE device_seconds_total counter
device_seconds_total 0.5
";
    format!(
        "\
# TYPE requests_total counter
requests_total{{status=\"ok\"}} 3
{}# TYPE load_ratio gauge
load_ratio{{core=\"0\"}} 0.5
# HELP inferometer_collector_errors_total How often a collector had no values in a scrape, or had one for the same labels \
twice (duplicate).
# TYPE inferometer_collector_errors_total counter
inferometer_collector_errors_total{{collector=\"moody\",reason=\"panicked\"}} {panicked}
inferometer_collector_errors_total{{collector=\"moody\",reason=\"timed_out\"}} {timed_out}
inferometer_collector_errors_total{{collector=\"moody\",reason=\"failed\"}} {failed}
inferometer_collector_errors_total{{collector=\"moody\",reason=\"duplicate\"}} 0
",
        if collected { of_collector } else { "" }
    )
}

#[test]
fn families_come_and_go_with_a_collectors_moods_and_those_beside_them_stay_right() {
    let (registry, mood, exporter) = moody();
    let check = |now: u8, errors| {
        mood.store(now, SeqCst);
        assert_eq!(text(&exporter), want(now == WORKS, errors));
    };
    check(WORKS, [0, 0, 0]);
    check(FAILS, [0, 0, 1]);
    check(WORKS, [0, 0, 1]);
    check(PANICS, [1, 0, 1]);
    check(PANICS, [2, 0, 1]);
    check(WORKS, [2, 0, 1]);
    check(WORKS, [2, 0, 1]);
    check(HANGS, [2, 1, 1]);
    check(HANGS, [2, 2, 1]);
    registry.unregister_collector("moody");
    assert_eq!(text(&exporter).lines().count(), 4);
    mood.store(WORKS, SeqCst);
}

#[test]
fn every_format_leaves_out_what_a_collector_does_not_have() {
    let (_registry, mood, exporter) = moody();
    let render = |format| {
        let mut body = Vec::new();
        exporter.render_into(format, &mut body);
        body
    };
    for (now, collected) in [(WORKS, true), (FAILS, false), (WORKS, true), (HANGS, false), (HANGS, false)] {
        mood.store(now, SeqCst);
        for format in [Format::OpenMetrics, Format::OpenMetrics0] {
            let text = String::from_utf8(render(format)).unwrap();
            assert_eq!(
                text.contains("\n# TYPE queue_requests gauge\nqueue_requests{queue=\"b\"} 2"),
                collected,
                "{text}"
            );
            assert_eq!(text.contains("\n# TYPE device_seconds counter\n"), collected, "{text}");
            assert!(text.contains("\nload_ratio{core=\"0\"} 0.5\n") && text.ends_with("\n# EOF\n"), "{text}");
        }
        let families = protobuf::families(&render(Format::Protobuf));
        let names: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
        let of_collector = ["queue_requests", "device_seconds_total"];
        let want = ["requests_total"].into_iter().chain(of_collector.into_iter().filter(|_| collected));
        let want: Vec<&str> = want.chain(["load_ratio", "inferometer_collector_errors_total"]).collect();
        assert_eq!(names, want);
        if collected {
            let queue = &families[1].metric[0];
            assert_eq!((queue.label[0].value.as_str(), queue.gauge.as_ref().unwrap().value), ("b", 2.0));
            let device = families[2].metric[0].counter.as_ref().unwrap();
            // Nobody knows when the device began to count.
            assert_eq!((device.value, device.created.as_ref()), (0.5, None));
        }
    }
    mood.store(WORKS, SeqCst);
}

#[cfg(feature = "http")]
mod over_http {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};
    use std::time::Instant;

    /// How much longer than the collector's timeout a scrape may take on a machine that is busy.
    const SLACK: Duration = Duration::from_secs(2);

    /// The body of an answer with the status 200, which is as long as its head says.
    fn scrape(address: SocketAddr) -> String {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        assert_eq!(length, Some(body.len()));
        body.to_owned()
    }

    #[test]
    fn a_scrape_with_a_hanging_collector_is_whole_within_its_timeout_and_the_next_does_not_wait() {
        let (registry, mood, exporter) = moody();
        let server = exporter.serve("127.0.0.1:0").unwrap();
        let errors = |body: &str, reason: &str| {
            let families = support::parse(body).unwrap();
            let labels = Some(("reason", reason));
            support::value(&families, "inferometer_collector_errors_total", labels).parse::<u64>().unwrap()
        };
        let has_collected = |body: &str| body.contains("\nqueue_requests") || body.contains("\ndevice_seconds_total");
        assert!(has_collected(&scrape(server.local_addr())));

        mood.store(HANGS, SeqCst);
        let start = Instant::now();
        let body = scrape(server.local_addr());
        let took = start.elapsed();
        assert!((SHORT..SHORT + SLACK).contains(&took), "{took:?}");
        assert_eq!((has_collected(&body), errors(&body, "timed_out")), (false, 1));
        assert!(body.contains("requests_total{status=\"ok\"} 3\n") && body.contains("load_ratio{core=\"0\"} 0.5\n"));

        // A crowd, while it still hangs.
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let body = scrape(server.local_addr());
                        assert!(body.contains("load_ratio{core=\"0\"} 0.5\n") && !has_collected(&body));
                    }
                });
            }
        });
        let took = start.elapsed();
        assert!(took < SHORT + SLACK, "{took:?}");

        mood.store(WORKS, SeqCst);
        let start = Instant::now();
        while !has_collected(&scrape(server.local_addr())) {
            assert!(start.elapsed() < Duration::from_secs(20), "it does not come back");
        }
        drop(registry);
    }

    #[test]
    fn a_hanging_collector_does_not_keep_the_server_from_stopping() {
        let (_registry, mood, exporter) = moody();
        let server = exporter.serve("127.0.0.1:0").unwrap();
        mood.store(HANGS, SeqCst);
        let body = scrape(server.local_addr());
        assert!(body.contains("reason=\"timed_out\"} 1\n"));
        let start = Instant::now();
        drop(server);
        assert!(start.elapsed() < SLACK, "{:?}", start.elapsed());
        mood.store(WORKS, SeqCst);
    }
}
