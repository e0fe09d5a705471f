//! A thread that records on one core, and a server with its clients on the other.
//!
//! The thread does synthetic decode steps all the time. In turns of a fraction of a second the clients rest, rest, or do
//! what they do, in any order. All three of a round lie so close together that a machine which slows down for a while
//! slows them all, and the two rests say what two turns differ by when nothing differs. One client computes while it rests:
//! that another core is busy slows a core down by itself, by up to a per cent, whatever it is busy with.

use crate::cpu_clock;
use crate::inputs::{Distribution, SplitMix64};
use crate::library::{BOUNDS, Buckets, LABELS, Ours};
use crate::pin;
use crate::workload::{DecodeStep, ONE};
use inferometer::{Histogram, Registry};
use inferometer_prometheus::{Exporter, Server};
use std::fmt;
use std::hint::black_box;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::thread;
use std::time::{Duration, Instant};

/// How long a step takes, about. Decode steps take from that to a hundred times as long.
const STEP: Duration = Duration::from_micros(100);
/// How many words a step reads again and again: they stay in the first-level cache.
const WORDS: usize = 512;
/// After the clients have stopped or begun, until the server has noticed.
const SETTLE: Duration = Duration::from_millis(4);
/// How many clients there are.
pub(super) const CLIENTS: usize = 3;
/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one client does again and again. After an error it starts afresh.
pub(super) type Client = Box<dyn FnMut() -> io::Result<()>>;

/// Makes a client, given which of them it is and where the server listens.
pub(super) type Make = fn(usize, SocketAddr) -> Client;

/// A registry that is nearly as full as it may be, and 25,000 lines long in the text format.
pub(super) fn full_registry() -> Registry {
    let registry = Registry::new();
    let buckets = inferometer::Buckets::classic_from(BOUNDS).without_native();
    for tenant in 0..900 {
        let name = format!("tenant-{tenant:04}");
        let labels = [(LABELS[0], ONE[0]), (LABELS[1], ONE[1]), (LABELS[2], name.as_str())];
        for family in 0..10 {
            let counter = registry.counter(&format!("requests_{family}_total"), &labels).expect("room for a counter");
            counter.increment(7_919 * (tenant + 1));
            if tenant < 90 {
                let name = format!("wait_{family}_seconds");
                let histogram: Histogram =
                    registry.histogram_with_buckets(&name, &labels, &buckets).expect("room for a histogram");
                histogram.record(Duration::from_micros(997 * tenant));
            }
        }
    }
    registry
}

/// The steps of an engine.
struct Steps {
    decode: DecodeStep<Ours>,
    times: Vec<Duration>,
    words: Vec<u64>,
    /// How often the words are read before the records, and again after them.
    half: usize,
    done: usize,
}

/// How long each step of a turn had the core, and its records alone, in nanoseconds. Not how long it took: what else runs
/// on the machine would be pushed to this core when the clients are busy on the other, and look like an effect of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    pub(super) steps: Vec<f32>,
    pub(super) records: Vec<f32>,
}

impl Steps {
    fn new(registry: &mut Registry) -> Self {
        let times = Distribution::ALL[0].nanos().into_iter().map(Duration::from_nanos).collect();
        let decode = DecodeStep::new(registry, Buckets::Both);
        let mut steps = Steps { decode, times, words: (0..WORDS as u64).collect(), half: 1_024, done: 0 };
        let fastest = (0..65).map(|_| time(|| steps.read())).min().unwrap_or(STEP);
        steps.half = (STEP.div_duration_f64(2 * fastest) * steps.half as f64).round().max(1.0) as usize;
        steps
    }

    #[inline(never)]
    fn read(&self) {
        for _ in 0..self.half {
            black_box(black_box(&self.words).iter().fold(0_u64, |sum, word| sum.wrapping_add(*word)));
        }
    }

    /// Steps for so long.
    fn turn(&mut self, length: Duration) -> Turn {
        let mut turn = Turn::default();
        let begin = Instant::now();
        let mut end = cpu_clock::now();
        while begin.elapsed() < length {
            let start = end;
            self.read();
            let before = Instant::now();
            self.decode.record(self.times[self.done % self.times.len()], self.done as f64 * 1e-6);
            let after = Instant::now();
            self.read();
            end = cpu_clock::now();
            self.done += 1;
            turn.steps.push((end - start).as_nanos() as f32);
            turn.records.push((after - before).as_nanos() as f32);
        }
        turn
    }

    /// Steps until something is so.
    fn until(&mut self, is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < PATIENCE, "a client is stuck");
            self.turn(STEP);
        }
    }
}

/// Computes for so long, and touches no memory.
fn busy(length: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < length {
        std::hint::spin_loop();
    }
}

fn time(what: impl FnOnce()) -> Duration {
    let start = Instant::now();
    what();
    start.elapsed()
}

/// What the clients are told, and what they have done.
#[derive(Default)]
struct Crowd {
    working: AtomicBool,
    over: AtomicBool,
    /// How many clients have seen that they are to rest.
    resting: AtomicUsize,
    done: AtomicU64,
}

impl Crowd {
    fn serve(&self, which: usize, make: Make, address: SocketAddr) {
        pin::to_core(1);
        let mut client = None;
        let mut rests = false;
        while !self.over.load(Acquire) {
            if !self.working.load(Acquire) {
                client = None;
                if !rests {
                    rests = true;
                    self.resting.fetch_add(1, Release);
                }
                if which == 0 {
                    busy(Duration::from_micros(50));
                } else {
                    thread::sleep(Duration::from_millis(1));
                }
                continue;
            }
            if rests {
                rests = false;
                self.resting.fetch_sub(1, Release);
            }
            match client.get_or_insert_with(|| make(which, address))() {
                Ok(()) => _ = self.done.fetch_add(1, Relaxed),
                Err(_) => client = None,
            }
        }
    }
}

/// A server on the second core, of a registry that the first core records into.
pub(super) struct Scene {
    registry: Registry,
    server: Server,
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("server", &self.server).finish_non_exhaustive()
    }
}

/// What came of some rounds.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Of each round a turn at rest, another one, and one in which the clients worked.
    pub(super) rounds: Vec<[Turn; 3]>,
    /// What the clients did in a second in which they worked.
    pub(super) rate: f64,
}

impl Scene {
    pub(super) fn new(registry: Registry) -> Self {
        let exporter = Exporter::builder().registry(registry.clone()).build().expect("a valid exporter");
        // The server's threads are where the thread is that starts them.
        let serve = || {
            pin::to_core(1);
            exporter.serve("127.0.0.1:0").expect("a free port of the loopback interface")
        };
        let server = thread::scope(|scope| scope.spawn(serve).join().expect("it does not panic"));
        Scene { registry, server }
    }

    /// Takes turns with clients. While they work, a step has this share more to do of its own.
    pub(super) fn watch(&self, make: Make, slowed: f64, rounds: usize, length: Duration) -> Seen {
        let crowd = Crowd::default();
        let address = self.server.local_addr();
        thread::scope(|scope| {
            let crowd = &crowd;
            for which in 0..CLIENTS {
                scope.spawn(move || crowd.serve(which, make, address));
            }
            // In a thread of its own, because it is pinned.
            let seen = scope.spawn(|| take_turns(crowd, self.registry.clone(), slowed, rounds, length)).join();
            crowd.over.store(true, Release);
            seen.expect("the steps do not panic")
        })
    }
}

fn take_turns(crowd: &Crowd, mut registry: Registry, slowed: f64, rounds: usize, length: Duration) -> Seen {
    pin::to_core(0);
    let mut steps = Steps::new(&mut registry);
    let half = steps.half;
    let slow_half = (half as f64 * (1.0 + slowed)).round() as usize;
    let mut random = SplitMix64(0xABBA);
    let mut worked = Duration::ZERO;
    let rounds = (0..rounds).map(|_| {
        let mut round = [const { None }; 3];
        let mut order = [0, 1, 2];
        random.shuffle(&mut order);
        for which in order {
            steps.until(|| crowd.resting.load(Acquire) == CLIENTS);
            let began = Instant::now();
            if which == 2 {
                crowd.working.store(true, Release);
                steps.until(|| crowd.resting.load(Acquire) == 0);
            }
            steps.turn(SETTLE);
            steps.half = if which == 2 { slow_half } else { half };
            round[which] = Some(steps.turn(length));
            steps.half = half;
            if which == 2 {
                worked += began.elapsed();
                crowd.working.store(false, Release);
            }
        }
        round.map(Option::unwrap_or_default)
    });
    let rounds = rounds.collect();
    Seen { rounds, rate: crowd.done.load(Relaxed) as f64 / worked.as_secs_f64() }
}

/// A connection that gives up when nothing happens.
pub(super) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&address, Duration::from_millis(200))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.set_write_timeout(Some(Duration::from_secs(2)))?;
    Ok(socket)
}

/// A request for the metrics, with further headers.
pub(super) fn get(headers: &str) -> String {
    format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

/// Scrapes with these headers, over a connection that it keeps.
pub(super) fn scraper(address: SocketAddr, headers: &str) -> Client {
    let request = get(headers);
    let (mut socket, mut buffer) = (None, Vec::new());
    Box::new(move || {
        let socket = match &mut socket {
            Some(socket) => socket,
            none => none.insert(connect(address)?),
        };
        scrape(socket, &request, &mut buffer)
    })
}

/// Scrapes once: sends the request and reads the whole answer, which must be the metrics.
fn scrape(socket: &mut TcpStream, request: &str, buffer: &mut Vec<u8>) -> io::Result<()> {
    socket.write_all(request.as_bytes())?;
    buffer.resize(1 << 16, 0);
    let mut filled = 0;
    let (head, body) = loop {
        filled += some(socket.read(&mut buffer[filled..])?)?;
        if let Some(end) = buffer[..filled].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break (String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase(), filled - end - 4);
        }
        if filled == buffer.len() {
            return Err(ErrorKind::InvalidData.into());
        }
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let (true, Some(length)) = (head.starts_with("http/1.1 200 "), length) else {
        return Err(ErrorKind::InvalidData.into());
    };
    let mut read = body;
    while read < length {
        read += some(socket.read(buffer)?)?;
    }
    Ok(())
}

fn some(read: usize) -> io::Result<usize> {
    if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(read) }
}
