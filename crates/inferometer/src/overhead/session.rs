//! What the gate says, and what it is told. Words of a line are separated by tabs:
//!
//! | the gate | the program |
//! |---|---|
//! | (starts it) | `hello`, the version, `on` or `off` for recording, the names of the loops |
//! | `open`, a name, how many programs take turns, bytes to leave out | `ready`, when that loop is set up |
//! | `run`, lead, steps, group, waste | `done`, nanoseconds, those of the processor, and both of each step that was timed |
//!
//! What follows `run` is an [`Order`]. A step is written `wall:cpu`. Where the system does not tell the time of
//! the processor, there is `-` in its place. What cannot be done is answered `error` and a reason.
//!
//! Timed sections may take a share of the time that their thread lives, and here it stands still while others have their
//! turn. So that it is the share of the steps' time that is kept, the budget is divided by the number of programs.
//!
//! A program that records allocates more, so that all allocations after that lie elsewhere, and where they lie can cost or
//! save some per cent of a step. Bytes that the gate draws are allocated first and never used, so that no program has a
//! place of its own. (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!", 2009.)

use super::channel::Channel;
use super::measure::{Block, Order, Spent};
use super::{Loops, Steps};
use crate::sampling::{costs::SAMPLED, set_budget};
use std::fmt::Write;
use std::hint::black_box;
use std::num::NonZeroU32;

/// Goes up when a program and a gate that differ could misunderstand each other.
const VERSION: u32 = 1;

/// Whether this program records, or is the baseline.
pub(super) const RECORDING: &str = if cfg!(inferometer_off) { "off" } else { "on" };

pub(super) fn run(loops: Loops, mut channel: Channel) {
    let Loops(mut loops) = loops;
    let mut open: Option<Steps> = None;
    let mut hello = format!("hello\t{VERSION}\t{RECORDING}");
    for each in &loops {
        hello.push('\t');
        hello.push_str(&each.name);
    }
    // A gate that has gone cannot be told anything.
    if channel.send(&hello).is_err() {
        return;
    }
    while let Some(line) = channel.receive() {
        let answer = match parsed(&line) {
            Some(Command::Open { name, turns, left_out }) => match loops.iter().position(|each| each.name == name) {
                Some(at) => {
                    black_box(Vec::<u8>::with_capacity(left_out)).leak();
                    open = Some((loops.swap_remove(at).set_up)());
                    // Now, because setting up may set it too.
                    set_budget(f64::from(SAMPLED.budget()) / f64::from(turns.get()));
                    "ready".to_owned()
                }
                None => format!("error\tthere is no loop `{name}`, or it was opened before"),
            },
            Some(Command::Run(order)) => match &mut open {
                Some(steps) => done(&steps(order)),
                None => "error\tno loop is open".to_owned(),
            },
            None => format!("error\tunknown command `{line}`"),
        };
        if channel.send(&answer).is_err() {
            return;
        }
    }
}

#[derive(Debug)]
enum Command<'a> {
    Open { name: &'a str, turns: NonZeroU32, left_out: usize },
    Run(Order),
}

fn parsed(line: &str) -> Option<Command<'_>> {
    let words: Vec<&str> = line.split('\t').collect();
    match *words {
        ["open", name, turns, left_out] => {
            Some(Command::Open { name, turns: turns.parse().ok()?, left_out: left_out.parse().ok()? })
        }
        ["run", lead, steps, group, waste] => Some(Command::Run(Order {
            lead: lead.parse().ok()?,
            steps: steps.parse().ok()?,
            group: group.parse().ok()?,
            // More than this is a mistake, and a number that is none would wait for ever.
            waste: waste.parse().ok().filter(|waste| (0.0..=100.0).contains(waste))?,
        })),
        _ => None,
    }
}

fn done(block: &Block) -> String {
    let mut line = format!("done\t{}\t{}\t", block.whole.wall.as_nanos(), cpu(&block.whole));
    for (at, step) in block.steps.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a string does not fail.
        let _ = write!(line, "{comma}{}:{}", step.wall.as_nanos(), cpu(step));
    }
    line
}

fn cpu(spent: &Spent) -> String {
    spent.cpu.map_or_else(|| "-".to_owned(), |cpu| cpu.as_nanos().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn commands_are_read_and_nonsense_is_not() {
        let Some(Command::Open { name, turns, left_out }) = parsed("open\ta loop\t4\t100") else { panic!("no name") };
        assert_eq!((name, turns.get(), left_out), ("a loop", 4, 100));
        let Some(Command::Run(order)) = parsed("run\t1\t20\t4\t0.02") else { panic!("no order") };
        assert_eq!((order.lead, order.steps, order.group), (1, 20, 4));
        assert!((order.waste - 0.02).abs() < 1e-12);
        for nonsense in [
            "",
            "open",
            "open\ta loop",
            "open\ta loop\t0",
            "run\t1\t1\t1",
            "run\t1\t-1\t0\t0",
            "run\t1\t1\t1\tNaN",
            "run\t1\t1\t1\t-1",
            "stop",
        ] {
            assert!(parsed(nonsense).is_none(), "{nonsense:?}");
        }
    }

    #[test]
    fn answers_carry_both_times_and_say_what_is_unknown() {
        let spent =
            |wall, cpu: Option<u64>| Spent { wall: Duration::from_nanos(wall), cpu: cpu.map(Duration::from_nanos) };
        let block = Block { whole: spent(900, Some(800)), steps: vec![spent(10, Some(9)), spent(11, Some(10))] };
        assert_eq!(done(&block), "done\t900\t800\t10:9,11:10");
        assert_eq!(done(&Block { whole: spent(900, None), steps: Vec::new() }), "done\t900\t-\t");
    }
}
