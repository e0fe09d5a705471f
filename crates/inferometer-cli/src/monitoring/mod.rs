//! `inferometer monitoring`: rules, their tests, routes and dashboards, made of the table that the metrics come from.
//!
//! From the bottom up: `time` and `promql` are what expressions are made of, `naming` says what the families are called,
//! `alerts`, `recording` and `dashboards` are the tables, and the rest writes these as the programs read them.

mod alertmanager;
mod alerts;
mod args;
mod dashboards;
mod files;
mod naming;
mod prometheus;
mod promql;
mod recording;
mod rules;
mod stack;
#[cfg(test)]
mod tests;
mod time;
mod unit_tests;

use anyhow::Result;
pub(crate) use args::Args;
use args::Context;
use std::process::ExitCode;

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let cx = Context::new(args)?;
    let files = files::all(args, &cx)?;
    for file in &files {
        file.write(&args.out)?;
    }
    println!("{} files in {}", files.len(), args.out.display());
    let missing = left_out(&cx);
    if !missing.is_empty() {
        println!("Left out, as these names have no metrics for it: {}", missing.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// The alerts and panels that the profile has no metrics for.
fn left_out(cx: &Context) -> Vec<String> {
    let alerts = alerts::ALL.iter().filter(|row| row.alert(cx).is_none()).map(|row| row.name.to_owned());
    let panels = dashboards::missing(cx).into_iter().map(|(sheet, panel)| format!("{panel} ({sheet})"));
    alerts.chain(panels).collect()
}
