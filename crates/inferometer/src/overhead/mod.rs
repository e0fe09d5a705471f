//! The side of the release gate that a program links: the loop whose cost of instrumentation is checked.
//!
//! A bench (or an example) with `harness = false` names its loops and says how each is set up:
//!
//! ```no_run
//! # struct Engine;
//! # impl Engine { fn load() -> Self { Engine } fn step(&mut self) {} }
//! fn main() {
//!     inferometer::overhead::run("decode", || {
//!         let mut engine = Engine::load();
//!         move || engine.step()
//!     });
//! }
//! ```
//!
//! `inferometer check --bench NAME` (from the crate `inferometer-cli`) builds it twice, as it is and with
//! `--cfg inferometer_off`, lets both run in turns, and says what recording costs each step. Run by itself, with
//! `cargo bench`, the program times its loops for a second each and judges nothing.
//!
//! # What a good loop does
//!
//! - A step is what an engine does again and again: a forward pass with all that it records. Some microseconds to some
//!   hundred milliseconds are good; what is shorter should be done several times in a step.
//! - Two programs that did the same number of steps are in the same state: seeds are fixed, nothing depends on the time
//!   of day. The gate compares steps of the same number with each other.
//! - The step computes on the thread that called it, or waits for those that do. The time of the processor is that of
//!   this thread.
//! - What is set up belongs into the closure that sets up, so that `main` reaches [`run`] at once. Of several loops only
//!   one is set up in a process.
//!
//! While the gate listens, standard output belongs to it: what the loop prints goes to standard error. Standard input is
//! empty.

mod alone;
mod channel;
mod cpu_clock;
mod measure;
mod session;

use measure::{Block, Order};
use std::fmt;

/// Runs one loop, as [`Loops`] does.
///
/// `set_up` is called once and returns the step. Values that the step returns are kept from the optimiser.
pub fn run<S, T>(name: &str, set_up: impl FnOnce() -> S + 'static)
where
    S: FnMut() -> T + 'static,
{
    Loops::new().with(name, set_up).run();
}

/// Loops that are checked one after another, each in processes of its own.
///
/// ```no_run
/// use inferometer::overhead::Loops;
///
/// # struct Engine;
/// # impl Engine { fn load(_: &str) -> Self { Engine } fn step(&mut self) {} }
/// let mut loops = Loops::new();
/// for model in ["small", "large"] {
///     loops = loops.with(model, move || {
///         let mut engine = Engine::load(model);
///         move || engine.step()
///     });
/// }
/// loops.run();
/// ```
#[derive(Default)]
#[must_use = "loops run when `run` is called"]
pub struct Loops(Vec<Loop>);

/// A loop that is not set up yet.
struct Loop {
    name: String,
    set_up: Box<dyn FnOnce() -> Steps>,
}

/// A loop that is: does a block of steps. One call of a pointer for a block, and none for a step.
type Steps = Box<dyn FnMut(Order) -> Block>;

impl Loops {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more. The name is one line; characters that would break it become spaces.
    pub fn with<S, T>(mut self, name: &str, set_up: impl FnOnce() -> S + 'static) -> Self
    where
        S: FnMut() -> T + 'static,
    {
        let name = name.replace(char::is_control, " ");
        let set_up = || {
            let mut step = set_up();
            Box::new(move |order| measure::block(&mut step, order)) as Steps
        };
        self.0.push(Loop { name, set_up: Box::new(set_up) });
        self
    }

    /// Does what the gate says until it has gone; without a gate, times each loop and prints that.
    pub fn run(self) {
        match channel::to_the_gate() {
            Some(channel) => session::run(self, channel),
            None => alone::run(self),
        }
    }
}

impl fmt::Debug for Loops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|each| &each.name)).finish()
    }
}
