//! `engine`: a small inference server on a real model, with its metrics.

use anyhow::Result;
use clap::Parser;
use inferometer_example_engine::args::Args;
use inferometer_example_engine::{app, threads};

fn main() -> Result<()> {
    let args = Args::parse();
    // SAFETY: this is the first thing that the program does; it has no other thread yet.
    unsafe { threads::configure(args.threads) };
    app::run(&args)
}
