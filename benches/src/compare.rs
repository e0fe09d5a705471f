//! What `docs/compare.md` shows: the figures, what each library does, and what it keeps when nobody scrapes.

mod features;
mod figures;
mod unscraped;

pub use figures::not_shown;

use crate::proof::Proof;

/// The page's sections, in its order.
pub const ALL: [Proof; 3] = [
    Proof { command: "compare", name: "figures", run: figures::section, cases: figures::cases, has_plot: false },
    Proof { command: "compare", name: "features", run: features::section, cases: features::cases, has_plot: false },
    Proof { command: "compare", name: "unscraped", run: unscraped::section, cases: unscraped::cases, has_plot: false },
];
