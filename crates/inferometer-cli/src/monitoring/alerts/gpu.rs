//! GPUs: their memory, their health, and whether anybody still hears from them.

use super::case::{Case, TARGET, failed, growing, not_yet, steady, then};
use super::{Alert, Format, Rule, Severity};
use crate::monitoring::args::Context;
use crate::monitoring::naming::Probe;
use crate::monitoring::promql::{
    Condition, Selector, count_by, increase, max_over_time, max_over_time_of, min_over_time, now, over_window,
};
use inferometer_gpu::Metric;

/// After these a GPU, or what runs on it, has to be restarted: the memory is broken (48, 64, 95), the GPU is lost (74, 79),
/// or its own processors hang (62, 119, 120).
const CRITICAL_XIDS: &str = "48|62|64|74|79|95|119|120";

/// Labels of the GPU of the cases.
fn labels<'a>(cx: &'a Context, own: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    TARGET.into_iter().chain([(cx.naming.gpu_label(), "0")]).chain(own.iter().copied()).collect()
}

/// A series of that GPU.
fn example(cx: &Context, series: &Selector) -> Selector {
    cx.example(series.clone()).is(cx.naming.gpu_label(), "0")
}

pub(super) fn memory(cx: &Context) -> Option<Alert> {
    let [used, total] = [Metric::MemoryUsed, Metric::MemoryTotal].map(|metric| cx.naming.series(metric));
    let (used, total) = (used?, total?);
    let window = cx.clock.minutes(1);
    let share = max_over_time(&used, window).over(&max_over_time(&total, window));
    let case =
        |case: Case, memory: String| case.with(example(cx, &used), memory).with(example(cx, &total), steady(80e9, 60));
    Some(Alert {
        summary: "A GPU's memory is all but full.",
        description: format!("On {{instance}} {{value}} of the memory of GPU {{{}}} is in use.", cx.naming.gpu_label()),
        value: Format::Percentage,
        rules: vec![Rule::new(Condition::above(share, 0.95), cx.clock.minutes(1), Severity::Critical)],
        cases: vec![
            case(Case::fires("97 % is in use", cx.steps(20)), steady(77.6e9, 60)).expect(&labels(cx, &[]), 0.97),
            case(Case::quiet("90 % is in use", cx.steps(20)), steady(72e9, 60)),
            case(
                Case::restart("a scrape fails, and 97 % is in use as before", cx.steps(32)),
                then(&[steady(77.6e9, 30), failed(1), steady(77.6e9, 20)]),
            )
            .expect(&labels(cx, &[]), 0.97),
            case(
                Case::restart("the server restarts and takes half of it", cx.steps(45)),
                then(&[steady(77.6e9, 30), failed(2), steady(40e9, 20)]),
            ),
        ],
    })
}

pub(super) fn probe_down(cx: &Context) -> Option<Alert> {
    let up = cx.naming.series(Probe::Up)?;
    // On a machine without a GPU it was never up.
    let was_up = Condition::above(max_over_time(&up, cx.clock.days(1)), 0.0);
    let down = Condition::equal(max_over_time(&up, cx.clock.minutes(1)), 0.0).and(was_up);
    let series = || cx.example(up.clone());
    Some(Alert {
        summary: "A server's GPUs no longer answer.",
        description:
            "The driver on {instance} does not answer for all GPUs, or not in time; it did within the last day."
                .to_owned(),
        value: Format::Plain,
        rules: vec![Rule::new(down, cx.clock.minutes(5), Severity::Warning)],
        cases: vec![
            Case::fires("the driver stops to answer", cx.steps(60))
                .with(series(), then(&[steady(1.0, 20), steady(0.0, 60)]))
                .expect(&TARGET, 0.0),
            Case::quiet("there is no GPU", cx.steps(60)).with(series(), steady(0.0, 80)),
            Case::quiet("it answers", cx.steps(60)).with(series(), steady(1.0, 80)),
            Case::restart("it does not answer while the server starts", cx.steps(35))
                .with(series(), then(&[steady(1.0, 20), failed(2), steady(0.0, 8), steady(1.0, 40)])),
        ],
    })
}

pub(super) fn probe_stale(cx: &Context) -> Option<Alert> {
    let age = cx.naming.series(Probe::Age)?;
    let condition = Condition::above(min_over_time(&age, cx.clock.minutes(1)), 60.0);
    let series = || example(cx, &age);
    Some(Alert {
        summary: "What is known of a GPU is old.",
        description: "On {instance} GPU {gpu} was last heard of {value} ago; its other metrics are left out."
            .to_owned(),
        value: Format::Seconds,
        rules: vec![Rule::new(condition, cx.clock.minutes(1), Severity::Warning)],
        cases: vec![
            Case::fires("the driver hangs", cx.steps(30))
                .with(series(), growing(0.0, 15.0, 60))
                .expect(&labels(cx, &[]), 390.0),
            Case::quiet("it answers", cx.steps(30)).with(series(), steady(0.8, 60)),
            Case::restart("the age begins at nothing after a restart", cx.steps(9))
                .with(series(), then(&[growing(0.0, 15.0, 5), failed(2), growing(0.0, 0.1, 40)])),
        ],
    })
}

pub(super) fn missing_gpu(cx: &Context) -> Option<Alert> {
    let info = cx.naming.series(Probe::Info)?;
    let count = count_by(&["job", "instance", "host"], &info.clone().into());
    let most = max_over_time_of(&count, cx.clock.hours(6), cx.clock.minutes(5));
    let gpu = |index: &str| example(cx, &info).is("gpu", index);
    Some(Alert {
        summary: "A server has fewer GPUs than it had.",
        description: "{instance} has {value} GPUs, and had more within the last six hours.".to_owned(),
        value: Format::Plain,
        rules: vec![Rule::new(Condition::less(count, most), cx.clock.minutes(5), Severity::Critical)],
        cases: vec![
            Case::fires("one of two is gone", cx.steps(90))
                .with(gpu("0"), steady(1.0, 120))
                .with(gpu("1"), then(&[steady(1.0, 50), failed(1)]))
                .expect(&TARGET, 1.0),
            Case::quiet("both are there", cx.steps(90))
                .with(gpu("0"), steady(1.0, 120))
                .with(gpu("1"), steady(1.0, 120)),
            Case::restart("a server restarts, and finds the second later than the first", cx.steps(66))
                .with(gpu("0"), then(&[steady(1.0, 50), failed(2), steady(1.0, 60)]))
                .with(gpu("1"), then(&[steady(1.0, 50), failed(6), steady(1.0, 60)])),
        ],
    })
}

pub(super) fn xid_critical(cx: &Context) -> Option<Alert> {
    Some(Alert {
        summary: "A GPU has failed.",
        ..xid(cx, |series| series.matches("xid", CRITICAL_XIDS), Severity::Critical, ["79", "31"])?
    })
}

pub(super) fn xid_warning(cx: &Context) -> Option<Alert> {
    Some(Alert {
        summary: "A GPU has reported an error.",
        ..xid(cx, |series| series.matches_not("xid", CRITICAL_XIDS), Severity::Warning, ["31", "79"])?
    })
}

/// An Xid of these came a short time ago. The first one makes the counter's series, so `increase` would not see it.
fn xid(cx: &Context, these: fn(Selector) -> Selector, severity: Severity, [this, other]: [&str; 2]) -> Option<Alert> {
    let time = cx.naming.series(Probe::XidTime)?;
    let window = cx.clock.minutes(10);
    let condition = Condition::below(now().minus(&these(time.clone()).into()), window.as_secs());
    let case = |case: Case, xid: &str, seen: u64| {
        let values = then(&[not_yet(20), steady(cx.steps(seen).as_secs(), 60)]);
        case.with(example(cx, &time).is("xid", xid), values)
    };
    let labels = labels(cx, &[("xid", this)]);
    Some(Alert {
        summary: "",
        description: "GPU {gpu} on {instance} reported Xid {xid} within the last ten minutes.".to_owned(),
        value: Format::Plain,
        rules: vec![Rule::new(condition, cx.clock.seconds(0), severity)],
        cases: vec![
            case(Case::fires("it came five minutes ago", cx.steps(40)), this, 20).expect(&labels, 0.0),
            case(Case::quiet("it came a quarter of an hour ago", cx.steps(70)), this, 10),
            case(Case::quiet("another came", cx.steps(40)), other, 20),
            Case::restart("the server restarts, and the GPU has had none since", cx.steps(50)).with(
                example(cx, &time).is("xid", this),
                then(&[not_yet(10), steady(cx.steps(10).as_secs(), 20), "stale".to_owned()]),
            ),
        ],
    })
}

pub(super) fn ecc(cx: &Context) -> Option<Alert> {
    let errors = cx.naming.series(Metric::EccErrors)?.is("type", "uncorrected").is("scope", "volatile");
    let condition = Condition::above(increase(&errors, cx.clock.minutes(15)), 0.0);
    let series = || example(cx, &errors);
    let gpu = cx.naming.gpu_label();
    let labels = labels(cx, &[("type", "uncorrected"), ("scope", "volatile")]);
    Some(Alert {
        summary: "A GPU's memory had an error that could not be corrected.",
        description: format!(
            "GPU {{{gpu}}} on {{instance}} lost data in its memory within the last quarter of an hour."
        ),
        value: Format::Plain,
        rules: vec![Rule::new(condition, cx.clock.seconds(0), Severity::Critical)],
        cases: vec![
            Case::fires("the first error", cx.steps(30))
                .with(series(), then(&[steady(0.0, 20), steady(1.0, 40)]))
                .expect(&labels, 0.0),
            Case::quiet("errors of long ago", cx.steps(30)).with(series(), steady(4.0, 60)),
            Case::restart("the count begins again", cx.steps(40))
                .with(series(), then(&[steady(4.0, 20), failed(2), steady(0.0, 40)])),
        ],
    })
}

pub(super) fn row_remap_pending(cx: &Context) -> Option<Alert> {
    Some(Alert {
        summary: "A GPU needs a reset to replace broken memory.",
        ..row_remap(cx, "pending", Severity::Warning)?
    })
}

pub(super) fn row_remap_failure(cx: &Context) -> Option<Alert> {
    Some(Alert {
        summary: "A GPU has broken memory and nothing left to replace it with.",
        ..row_remap(cx, "failure", Severity::Critical)?
    })
}

fn row_remap(cx: &Context, state: &'static str, severity: Severity) -> Option<Alert> {
    let remap = cx.naming.series(Metric::RowRemap)?.is("state", state);
    // Read every few seconds; a restart must not hide it.
    let condition = Condition::above(max_over_time(&remap, cx.clock.minutes(2)), 0.0);
    let series = || example(cx, &remap);
    let labels = labels(cx, &[("state", state)]);
    Some(Alert {
        summary: "",
        description: format!("GPU {{{}}} on {{instance}} says so (row remapping: {{state}}).", cx.naming.gpu_label()),
        value: Format::Plain,
        rules: vec![Rule::new(condition, cx.clock.minutes(5), severity)],
        cases: vec![
            Case::fires("the driver says so", cx.steps(40)).with(series(), steady(1.0, 60)).expect(&labels, 1.0),
            Case::quiet("nothing is wrong", cx.steps(40)).with(series(), steady(0.0, 60)),
            Case::restart("the server restarts, and the driver says so as before", cx.steps(40))
                .with(series(), then(&[steady(1.0, 25), failed(3), steady(1.0, 30)]))
                .expect(&labels, 1.0),
        ],
    })
}

pub(super) fn thermal(cx: &Context) -> Option<Alert> {
    Some(Alert {
        summary: "A GPU is slowed down by heat.",
        ..throttled(cx, ["hw_thermal_slowdown", "sw_thermal_slowdown"])?
    })
}

pub(super) fn power_brake(cx: &Context) -> Option<Alert> {
    Some(Alert { summary: "A GPU is slowed down by the power supply.", ..throttled(cx, ["hw_power_brake_slowdown"])? })
}

/// The clocks were held down for one of these reasons most of the time.
fn throttled<const N: usize>(cx: &Context, reasons: [&'static str; N]) -> Option<Alert> {
    let active = cx.naming.series(Metric::ThrottleActive)?;
    let those = active.clone().matches("reason", reasons.join("|"));
    let share = over_window("avg_over_time", &those, cx.clock.minutes(5));
    let series = |reason: &str| example(cx, &active).is("reason", reason);
    let reason = reasons[0];
    let labels = labels(cx, &[("reason", reason)]);
    Some(Alert {
        summary: "",
        description: format!(
            "For {{value}} of the last five minutes the clocks of GPU {{{}}} on {{instance}} were held down ({{reason}}).",
            cx.naming.gpu_label()
        ),
        value: Format::Percentage,
        rules: vec![Rule::new(Condition::above(share, 0.5), cx.clock.minutes(5), Severity::Warning)],
        cases: vec![
            Case::fires("all the time", cx.steps(50)).with(series(reason), steady(1.0, 60)).expect(&labels, 1.0),
            Case::quiet("now and then", cx.steps(50))
                .with(series(reason), then(&vec![then(&[steady(1.0, 0), steady(0.0, 6)]); 10])),
            Case::quiet("to save power, which is no trouble", cx.steps(50)).with(series("gpu_idle"), steady(1.0, 60)),
            Case::restart("scrapes fail meanwhile", cx.steps(50))
                .with(series(reason), then(&[steady(1.0, 30), failed(3), steady(1.0, 30)]))
                .expect(&labels, 1.0),
        ],
    })
}
