//! What the program does without a gate: it times its loops, so that its author sees that they run.

use super::measure::Order;
use super::session::RECORDING;
use super::{Loop, Loops, Steps};
use std::time::Duration;

/// How long each loop is timed.
const TIME: Duration = Duration::from_secs(1);

pub(super) fn run(loops: Loops) {
    for Loop { name, set_up } in loops.0 {
        let (steps, time) = timed(&mut set_up());
        println!(
            "{name}: {steps} steps, {:.3} us each (recording {RECORDING})",
            time.as_secs_f64() * 1e6 / steps as f64
        );
    }
    println!("`inferometer check` says what recording costs them; it comes with `cargo install inferometer-cli`.");
}

/// Blocks of doubling length, until one takes half the time.
fn timed(steps: &mut Steps) -> (u64, Duration) {
    let mut count = 1;
    loop {
        let time = steps(Order { lead: 0, steps: count, group: 0, waste: 0.0 }).whole.wall;
        if time >= TIME / 2 || count >= u64::MAX / 2 {
            return (count, time);
        }
        count *= 2;
    }
}
