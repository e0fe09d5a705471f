//! Any label value and help text stays in its line and is read back as it was.
#![no_main]

use inferometer::Registry;
use inferometer_prometheus::{Exporter, Format};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/inferometer-prometheus/tests/support/mod.rs"]
mod support;

fuzz_target!(|texts: (&str, &str, &str)| {
    let (help, first, second) = texts;
    let registry = Registry::new();
    registry.describe("level", None, help).unwrap();
    let gauge = registry.gauge("level", &[("a", first), ("b", second)]).unwrap();
    gauge.set(1.5);
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    let families = support::read(&exporter);
    let level = support::family(&families, "level");
    assert_eq!(level.help.as_deref().unwrap_or_default(), help);
    let want = [("a", first), ("b", second)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(level.samples[0].labels, want);
    assert_eq!(level.samples[0].text, "1.5");
    // OpenMetrics escapes labels alike, and has its last line once.
    let mut page = Vec::new();
    exporter.render_into(Format::OpenMetrics, &mut page);
    let page = String::from_utf8(page).unwrap();
    assert!(page.ends_with("\n# EOF\n"));
    assert_eq!(page.lines().filter(|line| *line == "# EOF").count(), 1);
    assert_eq!(page.split('\n').count(), 4 + usize::from(!help.is_empty()));
});
