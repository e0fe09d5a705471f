//! Four programs take turns.
//!
//! - *off*: the baseline;
//! - *on*: the program as it is;
//! - *again*: the baseline once more. Between it and *off* there is no difference, so whatever is found is noise; the
//!   others are compared with both;
//! - *control*: the baseline, made slower by twice the budget. A run that does not notice cannot be believed.
//!
//! A machine changes its speed within a millisecond, and programs that are compared have to see the same machine. So
//! blocks are short, and a *round* has two blocks of each program, in an order that is drawn anew each time and then
//! mirrored: a drift that is straight hits all alike. All are tied to one core, where one computes while the others wait
//! to be told. Each block has the same number of steps, so all engines go through the same states side by side.
//!
//! A process also keeps what it was given when it started: its addresses, and above all its pages of memory, of which
//! some are slower than others (by a tenth and more on virtual machines), those of its code among them: see
//! [`super::copies`]. So processes live for some rounds only. The four that are started together are a *crew*. Pages that
//! a process returns are the first to be given out again, and crews end in the reverse order of their start; so the first
//! of a crew gets what the first of the crew before had. In four crews, a *cycle*, each program takes each place once, and
//! what a place adds or saves cancels out. Addresses are left to the system's randomisation, helped by an environment of
//! random size and by bytes that are left out at random.

use super::copies::Original;
use super::cores::Pinning;
use super::process::{Order, Process, Spent};
use super::statistics::{mean, trimmed_mean};
use anyhow::{Result, ensure};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempPath;

/// The shortest block. The shorter it is, the better neighbours agree; but changing from one process to another takes
/// some microseconds.
const BLOCK: Duration = Duration::from_micros(500);

/// How long a process runs before each of its blocks, until caches and branch predictors are its own again. A record is
/// made once a step, so that takes it some dozen steps: the example engine's records seemed to cost 2.2 % of a step of
/// 70 us after 100 us of lead, 0.7 % after 1.5 ms, and 0.6 % after 5 ms. Of a step that takes much longer, the beginning
/// does that.
const LEAD: Duration = Duration::from_micros(1_500);

/// How long a process runs before it is measured: until the sampling of timed sections has settled.
const WARM_UP: Duration = Duration::from_millis(40);

/// So many steps of a program are timed by themselves, or all if there are fewer.
const TIMED_STEPS: f64 = 100_000.0;

/// But no more than one in this time: reading the clocks takes half a microsecond, and is no part of the step.
const TIMED_ONE_IN: Duration = Duration::from_micros(100);

/// A step that is done as often within the warm-up was optimised away.
const MOST_STEPS: u64 = 1 << 32;

/// The size of the environment is drawn up to this, which moves the stack; and the bytes that are left out up to this,
/// which moves what is allocated.
const MOST_PADDING: usize = 4_096;
const MOST_LEFT_OUT: usize = 1 << 17;

/// The programs, as they stand in arrays.
pub(super) const OFF: usize = 0;
pub(super) const ON: usize = 1;
pub(super) const AGAIN: usize = 2;
pub(super) const CONTROL: usize = 3;
pub(super) const ARMS: usize = 4;

/// What the baseline is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rival {
    On,
    Again,
    Control,
}

impl Rival {
    fn arm(self) -> usize {
        match self {
            Rival::On => ON,
            Rival::Again => AGAIN,
            Rival::Control => CONTROL,
        }
    }

    /// The logarithm of the ratio to the baseline, from the one to an arm of it. The baseline is there twice, so it is
    /// the mean of two. (Not the ratio to their mean: where times are skewed, the mean of two is another distribution,
    /// and what is trimmed would not be the same.)
    pub(crate) fn against_baseline(self, log_ratio: impl Fn(usize, usize) -> Option<f64>) -> Option<f64> {
        let to = |baseline| log_ratio(self.arm(), baseline);
        match self {
            Rival::Again => to(OFF),
            Rival::On | Rival::Control => Some((to(OFF)? + to(AGAIN)?) / 2.0),
        }
    }
}

/// Which of the two times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// How long a step took.
    Wall,
    /// How long its thread had a processor.
    Cpu,
}

/// What is raced.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    pub(crate) off: &'a Original,
    pub(crate) on: &'a Original,
    /// The programs' own arguments.
    pub(crate) args: &'a [String],
    /// The loop.
    pub(crate) name: &'a str,
    /// How long it goes on. Decided before anything is seen.
    pub(crate) time: Duration,
    /// How much slower the control is.
    pub(crate) waste: f64,
    pub(crate) pinning: &'a Pinning,
    /// Where the programs' output goes.
    pub(crate) log: &'a Path,
    /// How long a program may take to answer.
    pub(crate) patience: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Race {
    pub(crate) crews: Vec<Crew>,
    /// How long a step of *off* takes.
    pub(crate) step: Duration,
    /// Steps in a block.
    pub(crate) steps: u64,
    /// How often *on* was compared with *off*.
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
}

/// What came of one crew.
#[derive(Debug)]
pub(crate) struct Crew {
    pub(super) rounds: Vec<Round>,
    /// The steps that were timed by themselves.
    pub(super) steps: [Vec<Spent>; ARMS],
}

/// The time of a step in the two blocks of each program.
pub(super) type Round = [[Spent; 2]; ARMS];

impl Crew {
    /// The logarithm of the ratio of a program's time for a step to that of the baseline: none where the system does not
    /// tell the time.
    ///
    /// Of the time on the wall, that of the pairs which another program did not disturb: a trimmed mean. The processor's
    /// time does not contain what others did, so there all count, and an engine that records little as a rule and much
    /// at times does not get away with it.
    pub(crate) fn log_ratio(&self, rival: Rival, clock: Clock) -> Option<f64> {
        rival.against_baseline(|arm, baseline| match clock {
            Clock::Wall => {
                let pair = |(rival, off): (&Spent, &Spent)| (rival.wall / off.wall).ln();
                let pairs = self.rounds.iter().flat_map(|round| round[arm].iter().zip(&round[baseline]).map(pair));
                Some(trimmed_mean(&mut pairs.collect::<Vec<_>>()))
            }
            Clock::Cpu => {
                let total = |arm: usize| {
                    let times = self.rounds.iter().flat_map(|round| round[arm]);
                    times.map(|spent| spent.cpu).sum::<Option<f64>>()
                };
                Some((total(arm)? / total(baseline)?).ln())
            }
        })
    }

    /// The times of the steps of a program that were timed by themselves.
    pub(crate) fn steps(&self, arm: usize, clock: Clock) -> impl Iterator<Item = f64> {
        self.steps[arm].iter().filter_map(move |spent| match clock {
            Clock::Wall => Some(spent.wall),
            Clock::Cpu => spent.cpu,
        })
    }
}

/// Who starts in which place of a crew. The order is drawn for each cycle; then each moves up by one place from crew to
/// crew.
pub(super) fn next_places(places: &mut [usize; ARMS], crew: usize, random: &mut fastrand::Rng) {
    if crew.is_multiple_of(ARMS) {
        random.shuffle(places);
    } else {
        places.rotate_left(1);
    }
}

/// The turns of a round: in which half of it, and which place. The second half mirrors the first.
pub(super) fn turns(random: &mut fastrand::Rng) -> impl Iterator<Item = (usize, usize)> + use<> {
    let mut turns: [usize; ARMS] = std::array::from_fn(|place| place);
    random.shuffle(&mut turns);
    turns.into_iter().map(|place| (0, place)).chain(turns.into_iter().rev().map(|place| (1, place)))
}

/// A process, and the copy of the program that it runs, which goes after it.
#[derive(Debug)]
struct Running {
    process: Process,
    _copy: TempPath,
}

/// How the time is spent.
#[derive(Clone, Copy, Debug)]
struct Plan {
    order: Order,
    /// Steps of a process before it is measured.
    warm_up: u64,
    /// Rounds of a crew.
    rounds: usize,
}

impl Course<'_> {
    /// Runs it. `progress` is told how much of the time has gone.
    pub(crate) fn run(&self, mut progress: impl FnMut(Duration)) -> Result<Race> {
        let started = Instant::now();
        let plan = self.plan()?;
        let mut crews = Vec::new();
        let mut longest = Duration::ZERO;
        let mut random = fastrand::Rng::new();
        let mut places = [OFF, ON, AGAIN, CONTROL];
        while crews.is_empty() || started.elapsed() + longest <= self.time {
            let begun = Instant::now();
            next_places(&mut places, crews.len(), &mut random);
            crews.push(self.crew(&plan, places, || progress(started.elapsed()))?);
            longest = longest.max(begun.elapsed());
        }
        let rounds = crews.iter().map(|crew| crew.rounds.len()).sum();
        let step =
            mean(&crews.iter().flat_map(|crew| &crew.rounds).map(|round| round[OFF][0].wall).collect::<Vec<_>>());
        Ok(Race {
            crews,
            step: Duration::from_nanos(step as u64),
            steps: plan.order.steps,
            rounds,
            time: started.elapsed(),
        })
    }

    /// Looks at one process to find out how long things take.
    fn plan(&self) -> Result<Plan> {
        let begun = Instant::now();
        let Running { mut process, _copy } = self.start(OFF)?;
        let set_up = begun.elapsed();
        let (mut tried, mut took) = (1, 0.0);
        while took < WARM_UP.as_nanos() as f64 {
            tried *= 2;
            took = process.run(Order { lead: 0, steps: tried, group: 0, waste: 0.0 })?.whole.wall;
            ensure!(tried < MOST_STEPS, "the steps of `{}` take no time", self.name);
        }
        drop(process);
        let step = took / tried as f64;
        let steps_in = |time: Duration| time.as_nanos() as f64 / step;
        let (lead, steps) = (steps_in(LEAD).round(), steps_in(BLOCK).ceil());
        let warm_up = steps_in(WARM_UP).ceil();
        // A crew counts as one observation, so there should be many, but not so many that most of the time goes into
        // starting them: a third goes into what is measured.
        let crew = (set_up.as_nanos() as f64 + warm_up * step) * ARMS as f64 / 2.0;
        let round = (lead + steps) * step * (2 * ARMS) as f64;
        let timed = self.time.as_nanos() as f64 / round * 2.0 * steps;
        Ok(Plan {
            order: Order {
                lead: lead as u64,
                steps: steps as u64,
                group: steps_in(TIMED_ONE_IN).max(timed / TIMED_STEPS).ceil() as u64,
                waste: 0.0,
            },
            warm_up: warm_up as u64,
            rounds: (crew / round).ceil() as usize,
        })
    }

    fn start(&self, arm: usize) -> Result<Running> {
        let copy = if arm == ON { self.on.copy() } else { self.off.copy() }?;
        let mut command = Command::new(&copy);
        command.args(self.args).env("INFEROMETER_CHECK_PADDING", "x".repeat(fastrand::usize(..MOST_PADDING)));
        let mut process = self.pinning.spawning(|| Process::start(command, self.log, self.patience))??;
        process.open(self.name, ARMS, fastrand::usize(..MOST_LEFT_OUT))?;
        Ok(Running { process, _copy: copy })
    }

    /// Starts four processes in the order of their places, lets them run their rounds, and ends them.
    fn crew(&self, plan: &Plan, places: [usize; ARMS], mut each_round: impl FnMut()) -> Result<Crew> {
        let mut processes = Vec::new();
        for arm in places {
            let mut running = self.start(arm)?;
            running.process.run(Order { steps: plan.warm_up, ..plan.order })?;
            processes.push(running);
        }
        let mut crew = Crew { rounds: Vec::with_capacity(plan.rounds), steps: Default::default() };
        let mut random = fastrand::Rng::new();
        for _ in 0..plan.rounds {
            let mut round = [[Spent { wall: 0.0, cpu: None }; 2]; ARMS];
            for (half, place) in turns(&mut random) {
                let arm = places[place];
                let waste = if arm == CONTROL { self.waste } else { 0.0 };
                let block = processes[place].process.run(Order { waste, ..plan.order })?;
                let steps = plan.order.steps as f64;
                round[arm][half] =
                    Spent { wall: block.whole.wall / steps, cpu: block.whole.cpu.map(|cpu| cpu / steps) };
                crew.steps[arm].extend(block.steps);
            }
            crew.rounds.push(round);
            each_round();
        }
        while let Some(last) = processes.pop() {
            drop(last);
        }
        Ok(crew)
    }
}
