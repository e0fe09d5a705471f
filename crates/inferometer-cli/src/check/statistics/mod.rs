//! From many noisy ratios to one that can be relied upon.
//!
//! What is compared are *clusters*: sets of processes that were started together. Within a cluster the ratios agree with
//! each other better than the machine deserves, because the processes keep the memory that they were given: two processes
//! of the same program may differ by one per cent, or by twenty, for as long as they live. So a cluster counts as one
//! observation, however many blocks it ran. A method that counts blocks would be far too sure: the simulations keep one as
//! a control.

mod estimate;
mod location;

pub(crate) use estimate::{Estimate, growth};
pub(crate) use location::{mean, quantile, trimmed_mean};
