//! A synthetic step: it reads memory for a while, and meanwhile records what an engine records of a decode step.
//!
//! The machines that this runs on are shared, and slow down by a fifth for milliseconds at a time. So steps with records
//! and without take turns in blocks that are far shorter than that, and of the ratios of neighbours the median counts. Of
//! a longer step only what is around the records is timed: they do not change what comes long before or long after.
//!
//! For seconds at a time they take twice as long, when another guest's thread shares the core and its caches: then a step
//! has another length than it is said to have. What was measured meanwhile is left out.

use crate::inputs::{Distribution, SplitMix64};
use crate::library::{Buckets, Library};
use crate::paired::Difference;
use crate::pin;
use crate::timing::quantile;
use crate::workload::{DecodeStep, Populated};
use inferometer::Moment;
use std::array;
use std::fmt;
use std::hint::black_box;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::thread;
use std::time::{Duration, Instant};

/// How many words are read at once: 4 KiB, which take some 50 ns.
const PIECE: usize = 512;
/// How long what is timed takes, about: several steps, or a part of one.
const BLOCK: Duration = Duration::from_micros(50);
/// How many steps are taken before that at least.
const WARM_UP: usize = 4;
/// How many durations take turns where they are there already. They are to lie in the caches, whatever ran before.
const TIMES: usize = 256;
/// Pairs follow each other within a disturbance, so they are no independent samples: the medians of so many stretches are.
const STRETCHES: usize = 100;
/// Fewer pairs than this say nothing.
const FEWEST: usize = 8;
/// Steps that take more times the shortest of their kind than this, with records or without, are disturbed.
const DISTURBED: f64 = 1.25;
/// A race goes on for so many times as long at most, to find times in which nobody disturbs it.
const PATIENCE: u32 = 4;

/// What a step reads: so many pieces that are not timed, then some, then it records, and the same again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work<'a> {
    words: &'a [u64],
    lead: usize,
    half: usize,
    /// How many steps a block has.
    steps: usize,
}

/// Where a thread is in its loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    word: usize,
    step: usize,
    /// When the last step ended, by the clock that is read.
    last: Instant,
    last_moment: Moment,
}

impl Cursor {
    fn at(word: usize) -> Self {
        Cursor { word, step: 0, last: Instant::now(), last_moment: Moment::now() }
    }
}

/// What steps read, from the start again after the last, and how long that takes when nobody disturbs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace<'a> {
    words: &'a [u64],
    /// A piece of it, in nanoseconds.
    piece: f64,
    /// The same, of steps in a race, whatever goes on beside them.
    raced: f64,
}

impl<'a> Pace<'a> {
    pub(super) fn of(words: &'a [u64]) -> Self {
        Pace { words, piece: f64::INFINITY, raced: f64::INFINITY }
    }

    /// So much of it that it takes about so long.
    fn work(&mut self, length: Duration) -> Work<'a> {
        let words = self.words;
        let work = Work { words, lead: 0, half: 1, steps: 1 };
        let mut cursor = Cursor::at(0);
        let mut a_piece = || {
            const PIECES: usize = 1_024;
            let start = Instant::now();
            work.read(&mut cursor, PIECES);
            start.elapsed().as_nanos() as f64 / PIECES as f64
        };
        self.piece = self.piece.min(quantile(&(0..33).map(|_| a_piece()).collect::<Vec<_>>(), 0.5));
        let pieces = |length: Duration| length.as_nanos() as f64 / self.piece;
        let timed = length.min(BLOCK);
        let half = (pieces(timed) / 2.0).round().max(1.0) as usize;
        let lead = pieces(length - timed).round() as usize;
        let steps = BLOCK.div_duration_f64(length).max(1.0) as usize;
        Work { words, lead, half, steps }
    }
}

impl Work<'_> {
    /// Not inlined: else there would be one piece of code for each loop, and they need not be equally fast. Nothing in it
    /// waits for what came before, so that records cannot hide behind it.
    #[inline(never)]
    fn read(&self, cursor: &mut Cursor, pieces: usize) {
        for _ in 0..pieces {
            let piece = &self.words[cursor.word..cursor.word + PIECE];
            black_box(piece.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word)));
            cursor.word = if cursor.word + 2 * PIECE > self.words.len() { 0 } else { cursor.word + PIECE };
        }
    }

    /// So many steps, with something in the middle of each.
    #[inline(always)]
    fn steps(&self, cursor: &mut Cursor, steps: usize, mut middle: impl FnMut(&mut Cursor)) {
        for _ in 0..steps {
            self.read(cursor, self.half);
            cursor.step += 1;
            middle(cursor);
            self.read(cursor, self.half);
        }
    }

    /// How much a step reads while it is timed.
    fn timed(&self) -> usize {
        2 * self.half
    }

    /// Which part of a step is timed.
    fn timed_share(&self) -> f64 {
        self.timed() as f64 / (self.lead + self.timed()) as f64
    }
}

/// The words that fit into the first-level cache with everything else.
pub(super) fn hot(words: &[u64]) -> &[u64] {
    &words[..PIECE]
}

/// A loop of so many steps.
type Loop = dyn Fn(&Work<'_>, &mut Cursor, usize) + Sync;

/// A loop that records, and what it is called.
pub(super) struct Recorder {
    pub(super) name: &'static str,
    steps: Box<Loop>,
    upkeep: Box<dyn Fn() + Sync>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where the durations that are recorded come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// They are there already.
    Given,
    /// Each step reads the system's clock at its end.
    Instant,
    /// Each step reads inferometer's.
    Moment,
}

fn bare(work: &Work<'_>, cursor: &mut Cursor, steps: usize) {
    work.steps(cursor, steps, |_| ());
}

#[inline(never)]
fn recording<T: Copy>(
    record: &impl Fn(T, f64),
    times: &[T; TIMES],
    work: &Work<'_>,
    cursor: &mut Cursor,
    steps: usize,
) {
    work.steps(cursor, steps, |cursor| record(times[cursor.step % TIMES], usage(cursor)));
}

#[inline(never)]
fn timing<T>(
    record: &impl Fn(T, f64),
    lap: &impl Fn(&mut Cursor) -> T,
    work: &Work<'_>,
    cursor: &mut Cursor,
    steps: usize,
) {
    work.steps(cursor, steps, |cursor| {
        let time = lap(cursor);
        record(time, usage(cursor));
    });
}

impl Cursor {
    /// Nanoseconds since the last step's end.
    fn lap(&mut self) -> u64 {
        let now = Instant::now();
        (now - mem::replace(&mut self.last, now)).as_nanos() as u64
    }

    fn lap_moment(&mut self) -> u64 {
        let now = Moment::now();
        now.nanos_since(mem::replace(&mut self.last_moment, now))
    }
}

/// Of the cache: another value each time.
fn usage(cursor: &Cursor) -> f64 {
    cursor.step as f64 * 1e-6
}

/// The loop of a library.
pub(super) fn recorder<L: Library>(name: &'static str, buckets: Buckets, clock: Clock) -> Recorder {
    let mut registry = L::registry();
    let decode = DecodeStep::<L>::new(&mut registry, buckets);
    let record = move |time, usage| decode.record(time, usage);
    recorder_by(name, clock, L::time, record, move || L::upkeep(&registry))
}

/// The loop that records like this: `record` takes a time, as `time` makes it of nanoseconds, and the use of the cache.
pub(super) fn recorder_by<T: Copy + Send + Sync + 'static>(
    name: &'static str,
    clock: Clock,
    time: fn(u64) -> T,
    record: impl Fn(T, f64) + Sync + 'static,
    upkeep: impl Fn() + Sync + 'static,
) -> Recorder {
    let nanos = Distribution::ALL[0].nanos();
    let times: [T; TIMES] = array::from_fn(|at| time(nanos[at]));
    let steps: Box<Loop> = match clock {
        Clock::Given => Box::new(move |work, cursor, steps| recording(black_box(&record), &times, work, cursor, steps)),
        Clock::Instant => Box::new(move |work, cursor, steps| {
            timing(black_box(&record), &|cursor| time(cursor.lap()), work, cursor, steps);
        }),
        Clock::Moment => Box::new(move |work, cursor, steps| {
            timing(black_box(&record), &|cursor| time(cursor.lap_moment()), work, cursor, steps);
        }),
    };
    Recorder { name, steps, upkeep: Box::new(upkeep) }
}

/// The same in a registry that has more, and that is scraped.
pub(super) fn recorder_in<L: Library>(name: &'static str, buckets: Buckets, populated: &mut Populated<L>) -> Recorder {
    let decode = DecodeStep::<L>::new(&mut populated.registry, buckets);
    recorder_by(name, Clock::Given, L::time, move |time, usage| decode.record(time, usage), || ())
}

/// What goes on beside the loop that is timed.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// A second thread does the same to the same series.
    pub(super) second_thread: bool,
    /// Another thread does this so many times a second, or without a pause.
    pub(super) scrapes: Option<(&'a (dyn Fn() + Sync), f64)>,
}

impl fmt::Debug for Beside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hertz = self.scrapes.map(|(_, hertz)| hertz);
        f.debug_struct("Beside").field("second_thread", &self.second_thread).field("scrapes", &hertz).finish()
    }
}

/// The second thread, which does what it is told.
struct Second {
    order: AtomicUsize,
    obeyed: AtomicUsize,
    /// How many steps it has done.
    steps: AtomicU64,
}

impl Second {
    const STOP: usize = usize::MAX;

    fn serve(&self, work: &Work<'_>, loops: &[&Loop]) {
        pin::to_core(1);
        // Elsewhere in the memory than the first thread.
        let mut cursor = Cursor::at(work.words.len() / 2 / PIECE * PIECE);
        loop {
            let now = self.order.load(Acquire);
            self.obeyed.store(now, Release);
            if now == Self::STOP {
                break;
            }
            work.read(&mut cursor, work.lead);
            loops[now](work, &mut cursor, 1);
            self.steps.fetch_add(1, Relaxed);
        }
    }

    fn command(&self, what: usize) {
        self.order.store(what, Release);
        while self.obeyed.load(Acquire) != what {
            std::hint::spin_loop();
        }
    }
}

/// What came out of a race.
#[derive(Clone, Debug)]
pub(super) struct Raced {
    /// How long a step without records takes, in nanoseconds.
    pub(super) step: f64,
    /// What each recorder's steps take more.
    pub(super) more: Vec<Difference>,
}

/// A block with records and one without, twice.
#[derive(Clone, Copy, Debug)]
struct Pair {
    /// The logarithm of how many times as long the ones with records took.
    ratio: f64,
    /// How long the longer one without records took, in nanoseconds.
    bare: f64,
    /// And the longer one with records. To look at one kind only would choose those pairs in which that was lucky.
    recording: f64,
}

/// Compares steps of so long with records and without, in turns, for a time.
pub(super) fn race(
    pace: &mut Pace<'_>,
    length: Duration,
    recorders: &[Recorder],
    beside: &Beside<'_>,
    time: Duration,
) -> Raced {
    let work = &pace.work(length);
    let loops: Vec<&Loop> = std::iter::once(&bare as &Loop).chain(recorders.iter().map(|r| &*r.steps)).collect();
    let second = beside.second_thread.then(|| Second {
        order: AtomicUsize::new(0),
        obeyed: AtomicUsize::new(0),
        steps: AtomicU64::new(0),
    });
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        if let Some(second) = &second {
            scope.spawn(|| second.serve(work, &loops));
        }
        if let Some((scrape, hertz)) = beside.scrapes {
            let done = &done;
            scope.spawn(move || {
                pin::to_core(1);
                let mut next = Instant::now();
                while !done.load(Relaxed) {
                    scrape();
                    next += Duration::from_secs_f64(1.0 / hertz);
                    while !done.load(Relaxed) && Instant::now() < next {
                        thread::sleep(Duration::from_millis(5).min(next.saturating_duration_since(Instant::now())));
                    }
                }
            });
        }
        // In a thread of its own, because it is pinned.
        let racer = scope.spawn(|| take_turns(work, pace, recorders, &loops, second.as_ref(), time));
        let raced = racer.join();
        done.store(true, Relaxed);
        if let Some(second) = &second {
            second.command(Second::STOP);
        }
        raced.expect("the race does not panic")
    })
}

/// Only those pairs that nobody disturbed; or all, and the interval will be wide, where nothing else is to be had.
fn without_disturbed(pairs: Vec<Pair>, most_bare: f64) -> Vec<Pair> {
    let recording: Vec<f64> = pairs.iter().map(|pair| pair.recording).collect();
    let most_recording = DISTURBED * quantile(&recording, 0.05);
    let is_undisturbed = |pair: &&Pair| pair.bare <= most_bare && pair.recording <= most_recording;
    let undisturbed: Vec<Pair> = pairs.iter().filter(is_undisturbed).copied().collect();
    if undisturbed.len() < FEWEST { pairs } else { undisturbed }
}

fn take_turns(
    work: &Work<'_>,
    pace: &mut Pace<'_>,
    recorders: &[Recorder],
    loops: &[&Loop],
    second: Option<&Second>,
    time: Duration,
) -> Raced {
    pin::to_core(0);
    let mut cursor = Cursor::at(0);
    // Nanoseconds, unless the second thread did not run meanwhile.
    let mut block = |which: usize| {
        let before = second.map(|second| {
            second.command(which);
            second.steps.load(Relaxed)
        });
        // The others' turns have pushed the code out of the caches, which an engine's steps do not do to each other.
        loops[which](work, &mut cursor, (work.steps / 4).max(WARM_UP));
        work.read(&mut cursor, work.lead);
        let start = Instant::now();
        loops[which](work, &mut cursor, work.steps);
        let nanos = start.elapsed().as_nanos() as f64;
        let alone = second
            .zip(before)
            .is_some_and(|(second, before)| second.steps.load(Relaxed) - before < (work.steps as u64).div_ceil(2));
        (!alone).then_some(nanos)
    };
    let mut random = SplitMix64(0xABBA);
    let mut order: Vec<usize> = (0..recorders.len()).collect();
    let mut pairs: Vec<Vec<Pair>> = vec![Vec::new(); recorders.len()];
    let pieces = (work.steps * work.timed()) as f64;
    let mut undisturbed = 0;
    let begin = Instant::now();
    loop {
        let (passed, all) = (begin.elapsed(), pairs[0].len());
        let is_enough = passed >= time && all >= FEWEST && passed * undisturbed >= time / 2 * all as u32;
        if is_enough || passed >= PATIENCE * time {
            break;
        }
        random.shuffle(&mut order);
        for &at in &order {
            let records =
                if random.draw().is_multiple_of(2) { [false, true, true, false] } else { [true, false, false, true] };
            let times = records.map(|records| block(if records { at + 1 } else { 0 }));
            (recorders[at].upkeep)();
            let [Some(a), Some(b), Some(c), Some(d)] = times else { continue };
            let inner_over_outer = ((b * c) / (a * d)).ln() / 2.0;
            let (inner, outer) = (b.max(c), a.max(d));
            let (ratio, bare, recording) =
                if records[0] { (-inner_over_outer, inner, outer) } else { (inner_over_outer, outer, inner) };
            pairs[at].push(Pair { ratio, bare, recording });
            undisturbed += u32::from(at == 0 && bare <= DISTURBED * pace.raced * pieces);
        }
    }
    let bare: Vec<f64> = pairs.iter().flatten().map(|pair| pair.bare).collect();
    pace.raced = pace.raced.min(quantile(&bare, 0.05) / pieces);
    let most_bare = DISTURBED * pace.raced * pieces;
    let pairs: Vec<Vec<Pair>> = pairs.into_iter().map(|pairs| without_disturbed(pairs, most_bare)).collect();
    let difference = |pairs: &Vec<Pair>| {
        let stretch = pairs.len().div_ceil(STRETCHES).max(1);
        let median = |stretch: &[Pair]| quantile(&stretch.iter().map(|pair| pair.ratio).collect::<Vec<_>>(), 0.5);
        let medians: Vec<f64> = pairs.chunks(stretch).map(median).collect();
        Difference::of(&medians).of_whole(work.timed_share())
    };
    let bare: Vec<f64> = pairs.iter().flatten().map(|pair| pair.bare).collect();
    let step = quantile(&bare, 0.5) / work.steps as f64 / work.timed_share();
    Raced { step, more: pairs.iter().map(difference).collect() }
}
