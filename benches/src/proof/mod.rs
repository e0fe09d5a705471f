//! What `docs/overhead.md` shows: measurements of the promises about time, each a section of the page.
//!
//! Each section names the cases that it has, so that the page can be held against the code, and says what did not hold.

mod account;
mod attacks;
mod break_even;
mod budget;
mod clients;
mod command_line;
mod curve;
mod engine;
mod honesty;
mod page;
mod plot;
mod polls;
mod step;
mod sweep;

pub use command_line::command_line;
pub use page::{Page, PageError};
pub use plot::Plot;

use crate::machine;

/// A part of the page, measured.
#[derive(Clone, Debug)]
pub struct Section {
    /// In Markdown, without a heading.
    pub text: String,
    /// What does not hold.
    pub failures: Vec<String>,
}

/// A section, and the pictures in it.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The section, which refers to the pictures.
    pub section: Section,
    /// Files beside the page.
    pub plots: Vec<Plot>,
}

impl From<Section> for Measured {
    fn from(section: Section) -> Self {
        Measured { section, plots: Vec::new() }
    }
}

impl Proof {
    /// Measures it, and adds how and on what.
    pub fn measure(&self, length: Length) -> Measured {
        let mut measured = (self.run)(length);
        let text = &mut measured.section.text;
        *text = format!("{}\n\nBy {}, on {}.", text.trim_end(), self.shown_command(), machine::line());
        measured
    }

    /// As the page shows it.
    fn shown_command(&self) -> String {
        format!("`cargo xtask {} {}`", self.command, self.name)
    }
}

/// How long the cases go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// As on the page.
    Full,
    /// A look at whether it still works.
    Short,
}

impl Length {
    /// By which factor a bound may be missed. A short look, which others disturb, finds what is broken.
    fn tolerance(self) -> f64 {
        match self {
            Length::Full => 1.0,
            Length::Short => 2.5,
        }
    }
}

/// Measures until it is good, a few times at most: a machine may be busy with something else for a while.
fn until_good<T>(mut measure: impl FnMut() -> T, is_good: impl Fn(&T) -> bool) -> T {
    const TRIES: usize = 3;
    for _ in 1..TRIES {
        let measured = measure();
        if is_good(&measured) {
            return measured;
        }
    }
    measure()
}

/// Something that measures a section.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// The developer command of its page.
    pub command: &'static str,
    /// By which it is chosen, and found in the page.
    pub name: &'static str,
    /// Measures it.
    pub run: fn(Length) -> Measured,
    /// The names of its cases, which stand in the page.
    pub cases: fn() -> Vec<&'static str>,
    /// Whether there is a picture of that name, which shows the cases as well.
    pub has_plot: bool,
}

/// All of them, in the page's order.
pub const ALL: [Proof; 8] = [
    Proof {
        command: "overhead",
        name: "break-even",
        run: break_even::section,
        cases: break_even::cases,
        has_plot: true,
    },
    Proof { command: "overhead", name: "sweep", run: sweep::section, cases: sweep::cases, has_plot: true },
    Proof { command: "overhead", name: "engine", run: engine::section, cases: engine::cases, has_plot: false },
    Proof { command: "overhead", name: "attacks", run: attacks::section, cases: attacks::cases, has_plot: false },
    Proof { command: "overhead", name: "polls", run: polls::section, cases: polls::cases, has_plot: false },
    Proof { command: "overhead", name: "budget", run: budget::section, cases: budget::cases, has_plot: false },
    Proof { command: "overhead", name: "account", run: account::section, cases: account::cases, has_plot: false },
    Proof { command: "overhead", name: "honesty", run: honesty::section, cases: honesty::cases, has_plot: false },
];
