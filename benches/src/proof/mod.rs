//! What `docs/overhead.md` shows: measurements of the promises about time, each a section of the page.
//!
//! Each section names the cases that it has, so that the page can be held against the code, and says what did not hold.

mod account;
mod budget;
mod page;

pub use page::{Page, PageError};

/// A part of the page, measured.
#[derive(Clone, Debug)]
pub struct Section {
    /// In Markdown, without a heading.
    pub text: String,
    /// What does not hold.
    pub failures: Vec<String>,
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
    /// By which it is chosen, and found in the page.
    pub name: &'static str,
    /// Measures it.
    pub run: fn(Length) -> Section,
    /// The names of its cases, which stand in the page.
    pub cases: fn() -> Vec<&'static str>,
}

/// All of them, in the page's order.
pub const ALL: [Proof; 2] = [
    Proof { name: "budget", run: budget::section, cases: budget::cases },
    Proof { name: "account", run: account::section, cases: account::cases },
];
