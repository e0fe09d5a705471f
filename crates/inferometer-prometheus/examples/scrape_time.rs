//! How long a scrape takes: 1,000 counters and 100 classic histograms of 15 buckets, three labels each, recorded by one
//! thread.
//!
//! ```text
//! cargo run --release -p inferometer-prometheus --example scrape_time
//! ```

use inferometer::{Buckets, Histogram, Registry};
use inferometer_prometheus::{Exporter, Format, ScrapeRequest};
use std::time::{Duration, Instant};

const BOUNDS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 10.0];
const ROUNDS: usize = 2_000;

struct Nothing;

impl inferometer::Visitor for Nothing {
    fn family(&mut self, _: &inferometer::FamilyView<'_>) -> bool {
        true
    }

    fn series(&mut self, view: &inferometer::SeriesView<'_>, sample: inferometer::Sample<'_>) {
        std::hint::black_box((view, sample));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new();
    let buckets = Buckets::classic_from(BOUNDS).without_native();
    let mut histograms: Vec<Histogram> = Vec::new();
    for i in 0..1_000_u64 {
        let (family, series) = (i / 50, (i % 50).to_string());
        let labels = [("model_name", "llama-3.1-70b-instruct"), ("engine", series.as_str()), ("status", "ok")];
        registry.counter(&format!("inference_requests_{family}_total"), &labels)?.increment(1_000 * i + 7);
        if i < 100 {
            let name = format!("inference_step_{}_seconds", i / 10);
            histograms.push(registry.histogram_with_buckets(&name, &labels, &buckets)?);
        }
    }
    for (i, histogram) in histograms.iter().enumerate() {
        for value in 0..2_000_u64 {
            histogram.record(Duration::from_nanos(value * value * 1_000 + i as u64));
        }
    }
    let exporter = Exporter::builder().registry(registry.clone()).build()?;
    println!("reading the registry  {:.4} ms", time(|| registry.visit(&mut Nothing)));
    for format in [Format::Text, Format::OpenMetrics, Format::Protobuf] {
        let mut body = Vec::new();
        let scrape = time(|| {
            body.clear();
            exporter.render_into(format, &mut body);
        });
        println!("{:<20}  {scrape:.4} ms, {} bytes", format!("{format:?}"), body.len());
    }
    let request = ScrapeRequest::new();
    println!("with a body to share  {:.4} ms", time(|| drop(exporter.answer(&request))));
    let packed = request.accept_encoding("gzip");
    let bytes = exporter.answer(&packed)?.body.len();
    println!("the same, packed      {:.4} ms, {bytes} bytes", time(|| drop(exporter.answer(&packed))));
    Ok(())
}

/// The median time of many calls, in milliseconds.
fn time(mut call: impl FnMut()) -> f64 {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[ROUNDS / 2].as_secs_f64() * 1e3
}
