//! Writes the page of all metrics: `cargo run -p inferometer-serving --example reference > docs/metrics.md`.

use inferometer::Kind;
use inferometer_serving::{Group, Metric, Presence, Spec};

fn main() {
    print!("{}", page());
}

/// The page.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# The metrics of an inference server\n\n\
         What `inferometer-serving` exposes. This page is made from the crate's table by\n\
         `cargo run -p inferometer-serving --example reference > docs/metrics.md`; a test holds it to that.\n\n\
         Labels are closed sets, but for the names of models (`model_name`), engines and adapters, of which a family has\n\
         at most a hundred before further ones are counted as `other`. Histograms have native buckets as well, at\n\
         schema 3; the classic bounds hold those of vLLM, SGLang and OpenTelemetry, so that each one's queries work\n\
         under its profile.\n",
    );
    for group in Group::ALL {
        page += &format!("\n## {}\n", group.title());
        for spec in Metric::ALL.iter().map(|metric| metric.spec()).filter(|spec| spec.group == group) {
            page += &row(spec);
        }
    }
    page
}

fn row(spec: &Spec) -> String {
    let unit = if spec.unit.as_str().is_empty() { "none" } else { spec.unit.as_str() };
    let labels: Vec<String> = spec.labels.iter().map(|label| format!("`{label}`")).collect();
    let when = match spec.presence {
        Presence::Always => "from the start",
        Presence::OnceSet => "once it is set",
        Presence::OnRequest => "if asked for",
        _ => "-",
    };
    let mut row = format!("\n### `{}`\n\n{}\n\n", spec.name, spec.help);
    row += &format!("- type: {}\n- unit: {unit}\n", exposed_as(spec.kind));
    row += &format!("- labels: {}\n- there: {when}\n", labels.join(", "));
    if !spec.bounds.is_empty() {
        let bounds: Vec<String> = spec.bounds.iter().map(f64::to_string).collect();
        row += &format!("- bounds: {}\n", bounds.join(" "));
    }
    if spec.sampled {
        row += "- sampled, with `_events_total` (exact) and `_samples_total` beside it\n";
    }
    row
}

fn exposed_as(kind: Kind) -> &'static str {
    match kind {
        Kind::UpDownCounter => "gauge",
        kind => kind.as_str(),
    }
}
