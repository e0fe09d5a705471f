//! The metrics themselves.

use super::{Sheet, Unit, WINDOW, line, section, slot};
use crate::monitoring::args::Context;
use crate::monitoring::naming::{JOB, Own};
use crate::monitoring::promql::{Selector, count_by, rate, share, sum_by};
use inferometer_serving::Metric;

pub(super) fn sheet(cx: &Context) -> Sheet {
    let growth = |title, description, own: Own, legend: &'static str| {
        slot(title, Unit::PerSecond, description, || Some(vec![line(rate(&cx.chosen(own)?, WINDOW), legend)]))
    };
    let gauge = |title, unit, description, own: Own, legend: &'static str| {
        slot(title, unit, description, || Some(vec![line(cx.chosen(own)?, legend)]))
    };
    let cost = section(
        "Cost",
        [
            slot("Overhead", Unit::Share, "Of recording, in the processor time of the threads that record.", || {
                let [spent, all] = [Own::OverheadSeconds, Own::RecordingCpuSeconds].map(|own| cx.chosen(own));
                Some(vec![line(rate(&spent?, WINDOW).over(&rate(&all?, WINDOW)), "{{instance}}")])
            }),
            gauge("Memory", Unit::Bytes, "By what it is for.", Own::MemoryBytes, "{{instance}} {{kind}}"),
            slot("Sections that are timed", Unit::Share, "Of all, by stage: the budget decides.", || {
                let stage = cx.chosen(Metric::HostStage)?;
                let timed = share(&stage.samples(), &stage.events(), &["instance", "stage"], WINDOW);
                Some(vec![line(timed, "{{instance}} {{stage}}")])
            }),
            gauge("Series", Unit::Count, "In all registries.", Own::Series, "{{instance}}"),
            gauge("Threads", Unit::Count, "That record.", Own::Threads, "{{instance}}"),
        ],
    );
    let losses = section(
        "What is left out",
        [
            growth("Label values past a limit", "By family.", Own::SeriesDropped, "{{instance}} {{family}}"),
            growth("Values that cannot be", "Negative, infinite, too large.", Own::InvalidObservations, "{{instance}}"),
            growth("Records without a cell", "Refused at registration.", Own::RecordsDropped, "{{instance}}"),
        ],
    );
    let scrapes = section(
        "Scrapes",
        [
            slot("Time of a scrape", Unit::Seconds, "As Prometheus sees it.", || {
                Some(vec![line(of_target("scrape_duration_seconds"), "{{instance}}")])
            }),
            slot("Samples of a scrape", Unit::Count, "Before any is dropped.", || {
                Some(vec![line(of_target("scrape_samples_scraped"), "{{instance}}")])
            }),
            slot("Servers", Unit::Count, "That are scraped, of those that are listed.", || {
                let up = || Selector::new("up").is("job", JOB);
                Some(vec![line(sum_by(&[], &up().into()), "up"), line(count_by(&[], &up().into()), "listed")])
            }),
        ],
    );
    Sheet { name: "self", title: "Inference: the metrics themselves", sections: vec![cost, losses, scrapes] }
}

/// What Prometheus itself says of a target.
fn of_target(name: &str) -> Selector {
    Selector::new(name).is("job", JOB).matches("instance", "$instance")
}
