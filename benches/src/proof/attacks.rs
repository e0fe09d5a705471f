//! What clients that mean harm do to the steps of the thread that records.

use super::clients::{Client, Make, Scene, Seen, Turn, connect, full_registry, get, scraper};
use super::{Length, Measured, Section, until_good};
use crate::paired::Difference;
use inferometer::{Collector, CollectorFamily, CollectorSink, Registry};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::SocketAddr;
use std::time::Duration;
use std::{panic, thread};

/// How much longer a step may take: with 95 % confidence it must be less.
const MOST: f64 = 0.01;
/// How long a turn is.
const TURN: Duration = Duration::from_millis(20);

/// Connections that a client holds: all clients together, most of those that the server takes.
const HELD: usize = 5;
/// And those that it does not take, of which there are a thousand.
const IDLE: usize = 334;

struct Case {
    name: &'static str,
    make: Make,
    /// Whether there are collectors that panic and hang.
    collectors: bool,
    /// How much more a step has to do meanwhile.
    slowed: f64,
}

const fn attack(name: &'static str, make: Make) -> Case {
    Case { name, make, collectors: false, slowed: 0.0 }
}

const CONTROL: &str = "control: broken requests, and steps that have 5 % more to do";

const CASES: [Case; 8] = [
    attack("requests that come a byte at a time", slow_headers),
    attack("clients that never read", never_reads),
    attack("1,000 idle connections, closed and opened anew", idle),
    attack("an `Accept` of 100 kB", long_accept),
    attack("bad methods, smuggled and broken requests", broken),
    attack("scrapes without a pause: text, OpenMetrics, packed protobuf", scrapes),
    Case { collectors: true, ..attack("the same with a collector that panics and one that hangs", scrapes) },
    Case { slowed: 0.05, ..attack(CONTROL, broken) },
];

pub(super) fn cases() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

fn slow_headers(_: usize, address: SocketAddr) -> Client {
    let mut held = Vec::new();
    Box::new(move || {
        if held.len() < HELD {
            held.push(connect(address)?);
        }
        held.iter_mut().try_for_each(|socket| socket.write_all(b"G"))
    })
}

fn never_reads(_: usize, address: SocketAddr) -> Client {
    let mut held = VecDeque::new();
    let request = get("");
    Box::new(move || {
        let mut socket = connect(address)?;
        socket.write_all(request.as_bytes())?;
        held.push_back(socket);
        if held.len() > HELD {
            held.pop_front();
        }
        Ok(())
    })
}

fn idle(_: usize, address: SocketAddr) -> Client {
    let mut held = Vec::with_capacity(IDLE);
    Box::new(move || {
        if held.len() == IDLE {
            held.clear();
        }
        held.push(connect(address)?);
        Ok(())
    })
}

/// Sends something, and reads until the server closes.
fn send(address: SocketAddr, request: &[u8], answer: &mut Vec<u8>) -> std::io::Result<()> {
    let mut socket = connect(address)?;
    // The server may close before it has read all, and then its answer may be lost.
    let _ = socket.write_all(request);
    answer.clear();
    let _ = socket.read_to_end(answer);
    Ok(())
}

fn long_accept(_: usize, address: SocketAddr) -> Client {
    let request = get(&format!("Accept: {}\r\n", "text/plain;q=0.1,".repeat(6_000)));
    let mut answer = Vec::new();
    Box::new(move || send(address, request.as_bytes(), &mut answer))
}

fn broken(_: usize, address: SocketAddr) -> Client {
    let requests: [&[u8]; 6] = [
        b"BREW /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"GET /metrics HTTP/1.1\nHost: a\n\n",
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        b"GET /<script> HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\0\xa5\x01\0\0\xa1\x03\x03\r\n\r\n",
    ];
    let mut next = requests.into_iter().cycle();
    let mut answer = Vec::new();
    Box::new(move || send(address, next.next().unwrap_or_default(), &mut answer))
}

fn scrapes(which: usize, address: SocketAddr) -> Client {
    let headers = [
        "",
        "Accept: application/openmetrics-text;version=1.0.0\r\n",
        "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited\r\n\
         Accept-Encoding: gzip\r\n",
    ];
    scraper(address, headers[which % 3])
}

/// Panics, or hangs for longer than it may.
struct Broken {
    family: &'static str,
    hangs: bool,
}

impl Collector for Broken {
    fn families(&self) -> Vec<CollectorFamily> {
        vec![CollectorFamily::gauge(self.family, "Never there.")]
    }

    fn collect(&mut self, _: &mut CollectorSink<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.hangs {
            thread::sleep(2 * self.timeout());
            return Ok(());
        }
        panic!("as it always does")
    }

    fn timeout(&self) -> Duration {
        Duration::from_millis(2)
    }
}

fn with_collectors(registry: Registry) -> Registry {
    for (name, hangs) in [("panics", false), ("hangs", true)] {
        let family = if hangs { "hanging_ratio" } else { "panicking_ratio" };
        registry.register_collector(name, Broken { family, hangs }).expect("a valid collector");
    }
    registry
}

/// What a step takes more, in one turn of each round than in others.
fn more(seen: &Seen, of: usize, than: &[usize]) -> Difference {
    let mean = |turn: &Turn| turn.steps.iter().map(|&step| f64::from(step)).sum::<f64>() / turn.steps.len() as f64;
    let ratio = |round: &[Turn; 3]| {
        let others = than.iter().map(|&at| mean(&round[at])).sum::<f64>() / than.len() as f64;
        (mean(&round[of]) / others).ln()
    };
    Difference::of(&seen.rounds.iter().map(ratio).collect::<Vec<_>>())
}

struct Outcome {
    rate: f64,
    /// How much longer a step takes in one turn at rest than in another.
    rest: Difference,
    attacked: Difference,
}

fn measure(case: &Case, scene: &Scene, length: Length) -> Outcome {
    let rounds = if length == Length::Full { 200 } else { 40 };
    let seen = scene.watch(case.make, case.slowed, rounds, TURN);
    Outcome { rate: seen.rate, rest: more(&seen, 1, &[0]), attacked: more(&seen, 2, &[0, 1]) }
}

impl Outcome {
    /// What does not hold.
    fn failure(&self, case: &Case, length: Length) -> Option<String> {
        let Difference { estimate, upper, interval } = self.attacked;
        if case.slowed > 0.0 {
            return (estimate < case.slowed / 2.0).then(|| format!("{}: it is not noticed", case.name));
        }
        // A short look fails only when it is sure.
        let slowed = if length == Length::Full { upper >= MOST } else { interval.0 >= MOST };
        if self.rate == 0.0 {
            return Some(format!("{}: nothing was done", case.name));
        }
        slowed.then(|| format!("{}: {}", case.name, self.attacked.percent(2)))
    }
}

pub(super) fn section(length: Length) -> Measured {
    let scenes = [false, true].map(|collectors| {
        let registry = full_registry();
        Scene::new(if collectors { with_collectors(registry) } else { registry })
    });
    let mut text = String::from(
        "| on the other core | times a second | a step takes more, at rest | attacked | upper bound of 95 % |\n\
         |---|---|---|---|---|\n",
    );
    let mut failures = Vec::new();
    // The collector that panics would fill the terminal.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    for case in &CASES {
        let scene = &scenes[usize::from(case.collectors)];
        let outcome = until_good(|| measure(case, scene, length), |outcome| outcome.failure(case, length).is_none());
        let Outcome { rate, rest, attacked } = &outcome;
        let (rest, upper) = (rest.percent(2), 100.0 * attacked.upper);
        let attacked = attacked.percent(2);
        let _ = writeln!(text, "| {} | {rate:.0} | {rest} | {attacked} | {upper:.2} % |", case.name);
        failures.extend(outcome.failure(case, length));
    }
    panic::set_hook(hook);
    Section { text, failures }.into()
}
