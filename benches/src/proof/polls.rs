//! What scrapers that come often do to the slowest steps of the thread that records.

use super::clients::{CLIENTS, Client, Scene, Seen, Turn, full_registry, scraper};
use super::{Length, Measured, Section, until_good};
use crate::inputs::SplitMix64;
use crate::paired::Difference;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// How often each scraper comes in a second, as routers do.
const HERTZ: f64 = 20.0;
/// How much longer the slowest step in a thousand may take.
const MOST: f64 = 0.1;
/// Which one that is.
const TAIL: f64 = 0.001;
/// How long a turn is: each scraper comes five times.
const TURN: Duration = Duration::from_millis(250);
/// How often the rounds are drawn anew.
const RESAMPLES: usize = 1_000;

/// A way to look at turns.
struct Case {
    name: &'static str,
    times: fn(&Turn) -> &[f32],
    /// Whether there is a promise about it.
    promised: bool,
}

const CASES: [Case; 2] = [
    Case { name: "a step of 100 us with nine records", times: |turn| &turn.steps, promised: true },
    Case { name: "its nine records and a reading of the clock", times: |turn| &turn.records, promised: false },
];

pub(super) fn cases() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

/// One of them is Prometheus, and the others are routers.
fn poller(which: usize, address: SocketAddr) -> Client {
    let headers = match which {
        0 => "Accept: application/openmetrics-text;version=1.0.0\r\nAccept-Encoding: gzip\r\n",
        _ => "",
    };
    let mut scrape = scraper(address, headers);
    let mut next = Instant::now();
    Box::new(move || {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        next += Duration::from_secs_f64(1.0 / HERTZ);
        scrape()
    })
}

/// The slowest times of each round, from the slowest down, and how many there were.
struct Slowest(Vec<(Vec<f32>, usize)>);

impl Slowest {
    fn of(turns: impl Iterator<Item = Vec<f32>>) -> Self {
        let slowest = turns.map(|mut times| {
            let count = times.len();
            times.sort_by(|a, b| b.total_cmp(a));
            times.truncate((30.0 * TAIL * count as f64).ceil() as usize);
            (times, count)
        });
        Slowest(slowest.collect())
    }

    /// The time that one in a thousand exceeds, over these rounds.
    fn tail(&self, rounds: impl Iterator<Item = usize>) -> f64 {
        let (mut all, mut count) = (Vec::new(), 0);
        for round in rounds {
            let (times, of) = &self.0[round];
            all.extend_from_slice(times);
            count += of;
        }
        let rank = (TAIL * count as f64) as usize;
        if rank >= all.len() {
            return 0.0;
        }
        f64::from(*all.select_nth_unstable_by(rank, |a, b| b.total_cmp(a)).1)
    }

    fn tail_of_all(&self) -> f64 {
        self.tail(0..self.0.len())
    }
}

/// How much longer the slowest of `of` take than those of `than`, by the bootstrap of rounds.
fn more(of: &Slowest, than: &Slowest) -> Difference {
    let rounds = of.0.len();
    let mut random = SplitMix64(0xB007);
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn: Vec<usize> = (0..rounds).map(|_| (random.draw() % rounds as u64) as usize).collect();
            of.tail(drawn.iter().copied()) / than.tail(drawn.iter().copied()) - 1.0
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let at = |share: f64| ratios[(share * (RESAMPLES - 1) as f64).round() as usize];
    Difference {
        estimate: of.tail_of_all() / than.tail_of_all() - 1.0,
        upper: at(0.95),
        interval: (at(0.005), at(0.995)),
    }
}

/// Of a case: the slowest without scrapes and with them, and how much longer they take without and with.
struct Outcome {
    tails: [f64; 2],
    rest: Difference,
    scraped: Difference,
}

fn outcome(case: &Case, seen: &Seen) -> Outcome {
    let slowest = |turns: &[usize]| {
        let times = |round: &[Turn; 3]| turns.iter().flat_map(|&at| (case.times)(&round[at]).to_vec()).collect();
        Slowest::of(seen.rounds.iter().map(times))
    };
    let (rest, scraped) = (slowest(&[0, 1]), slowest(&[2]));
    Outcome {
        tails: [rest.tail_of_all(), scraped.tail_of_all()],
        rest: more(&slowest(&[1]), &slowest(&[0])),
        scraped: more(&scraped, &rest),
    }
}

fn failures(seen: &Seen, length: Length) -> Vec<String> {
    let most = MOST * length.tolerance();
    let wanted = HERTZ * CLIENTS as f64;
    let rare = (seen.rate < 0.8 * wanted).then(|| format!("{:.0} scrapes a second only", seen.rate));
    let slow = CASES.iter().filter(|case| case.promised).filter_map(|case| {
        let scraped = outcome(case, seen).scraped;
        (scraped.estimate >= most).then(|| format!("{}: {}", case.name, scraped.percent(1)))
    });
    rare.into_iter().chain(slow).collect()
}

fn time(nanos: f64) -> String {
    if nanos < 10_000.0 { format!("{nanos:.0} ns") } else { format!("{:.1} us", nanos / 1e3) }
}

pub(super) fn section(length: Length) -> Measured {
    let scene = Scene::new(full_registry());
    let rounds = if length == Length::Full { 100 } else { 16 };
    let seen = until_good(|| scene.watch(poller, 0.0, rounds, TURN), |seen| failures(seen, length).is_empty());
    let mut text = String::from(
        "| p99.9 of | without scrapes | with them | that is more | and two times without |\n|---|---|---|---|---|\n",
    );
    for case in &CASES {
        let Outcome { tails, rest, scraped } = outcome(case, &seen);
        let [without, with] = tails.map(time);
        let _ = writeln!(text, "| {} | {without} | {with} | {} | {} |", case.name, scraped.percent(1), rest.percent(1));
    }
    let _ = writeln!(text, "\nThere were {:.0} scrapes a second.", seen.rate);
    Section { text, failures: failures(&seen, length) }.into()
}
