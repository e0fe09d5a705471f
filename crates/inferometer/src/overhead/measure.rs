//! A block of steps and how long it took.

use super::cpu_clock;
use std::hint::{black_box, spin_loop};
use std::time::{Duration, Instant};

/// What a block shall do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    /// How many steps are not timed before the others. They find the caches as another process left them, and an engine
    /// that runs by itself has none of that.
    pub(super) lead: u64,
    /// How many are.
    pub(super) steps: u64,
    /// The last step of each group of so many is timed by itself too; of 0, none is.
    pub(super) group: u64,
    /// By what share of its time each group is made longer, by waiting busily.
    pub(super) waste: f64,
}

/// How long something took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) wall: Duration,
    /// Of the thread that called.
    pub(super) cpu: Option<Duration>,
}

/// How long a block took.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) whole: Spent,
    /// The steps that were timed by themselves.
    pub(super) steps: Vec<Spent>,
}

struct Moment {
    wall: Instant,
    cpu: Option<Duration>,
}

impl Moment {
    fn now() -> Self {
        Moment { wall: Instant::now(), cpu: cpu_clock::now() }
    }

    fn elapsed(&self) -> Spent {
        let cpu = cpu_clock::now().zip(self.cpu).map(|(now, then)| now.saturating_sub(then));
        Spent { wall: self.wall.elapsed(), cpu }
    }
}

/// Does what the order says. The whole is timed by one reading of the clocks at each end.
pub(super) fn block<T>(step: &mut impl FnMut() -> T, order: Order) -> Block {
    let timed = order.steps.checked_div(order.group).unwrap_or(0);
    let mut steps = Vec::with_capacity(usize::try_from(timed).unwrap_or(0));
    for _ in 0..order.lead {
        black_box(step());
    }
    let start = Moment::now();
    inferometer_measured_steps(step, order, &mut steps);
    Block { whole: start.elapsed(), steps }
}

/// The steps and nothing else. The gate counts the instructions of what has this name.
#[inline(never)]
fn inferometer_measured_steps<T>(step: &mut impl FnMut() -> T, order: Order, timed: &mut Vec<Spent>) {
    let mut left = order.steps;
    while left > 0 {
        let times_one = order.group > 0 && left >= order.group;
        let group = if times_one { order.group } else { left };
        let begun = (order.waste > 0.0).then(Instant::now);
        for _ in 1..group {
            black_box(step());
        }
        let start = times_one.then(Moment::now);
        black_box(step());
        timed.extend(start.map(|start| start.elapsed()));
        if let Some(begun) = begun {
            let end = begun.elapsed().mul_f64(1.0 + order.waste);
            while begun.elapsed() < end {
                spin_loop();
            }
        }
        left -= group;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(steps: u64, group: u64) -> Order {
        Order { lead: 2, steps, group, waste: 0.0 }
    }

    #[test]
    fn as_many_steps_are_done_as_are_asked_for() {
        for (steps, group, timed) in [(0, 1, 0), (1, 1, 1), (5, 1, 5), (5, 2, 2), (9, 4, 2), (5, 0, 0), (3, 4, 0)] {
            let mut done = 0;
            let block = block(&mut || done += 1, order(steps, group));
            assert_eq!(done, steps + 2);
            assert_eq!(block.steps.len(), timed, "{steps} steps in groups of {group}");
        }
    }

    #[test]
    fn steps_that_are_timed_by_themselves_are_part_of_the_whole() {
        let mut step = || std::thread::sleep(Duration::from_millis(2));
        let block = block(&mut step, order(4, 1));
        let steps: Duration = block.steps.iter().map(|step| step.wall).sum();
        assert!(steps >= Duration::from_millis(8) && steps <= block.whole.wall, "{block:?}");
        // Sleeping is not computing.
        let computed = block.whole.cpu.unwrap_or_default();
        assert!(computed < block.whole.wall / 2, "{block:?}");
    }

    #[test]
    fn the_steps_of_the_lead_are_not_timed() {
        let mut next = 0;
        let mut step = || {
            next += 1;
            std::thread::sleep(Duration::from_millis(if next <= 2 { 25 } else { 0 }));
        };
        let start = Instant::now();
        let block = block(&mut step, order(3, 1));
        assert!(start.elapsed() - block.whole.wall >= Duration::from_millis(50), "{block:?}");
    }

    #[test]
    fn waste_is_in_proportion_to_the_time_of_the_steps() {
        let mut step = || std::thread::sleep(Duration::from_millis(1));
        let block = block(&mut step, Order { waste: 1.0, ..order(10, 2) });
        assert!(block.whole.wall >= Duration::from_millis(20), "{block:?}");
        // What is wasted is computed.
        assert!(block.whole.cpu.is_none_or(|cpu| cpu >= Duration::from_millis(5)), "{block:?}");
    }
}
