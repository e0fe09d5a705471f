//! Counters that are found by labels whose values are known at run time only.

use super::counter::facade;
use crate::library::{Exporter, Library};
use crate::timing::Contestant;
use ::prometheus::{IntCounterVec, Opts};
use ::prometheus_client::encoding::EncodeLabelSet;
use ::prometheus_client::metrics::counter::Counter as ClientCounter;
use ::prometheus_client::metrics::family::Family as ClientFamily;
use inferometer::{Counter, Family, LabelSet, LabelValue, metric};
use std::hint::black_box;
use std::sync::Arc;

/// Requests of the label benches.
#[metric(name = "bench_label_requests_total")]
static BY_MODEL: Family<Model, Counter> = Family::new();

/// Requests of the label benches, by closed labels.
#[metric(name = "bench_label_outcomes_total")]
static BY_OUTCOME: Family<Outcome, Counter> = Family::new();

#[derive(LabelSet)]
struct Model<'a> {
    model_name: &'a str,
}

#[derive(LabelSet)]
struct Outcome {
    status: Status,
    stream: bool,
}

#[derive(Clone, Copy, LabelValue)]
enum Status {
    Ok,
    Error,
    Cancelled,
}

/// The label set of `prometheus-client`.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClientModel {
    model_name: String,
}

/// A macro with a variable for a value.
#[inline(never)]
pub fn by_macro(model: &str, n: u64) {
    for _ in 0..n {
        inferometer::counter!("bench_label_macro_total", "model_name" => model).increment(1);
    }
}

/// A declared family with one open label.
#[inline(never)]
pub fn by_family(model: &str, n: u64) {
    for _ in 0..n {
        BY_MODEL.get(&Model { model_name: model }).increment(1);
    }
}

/// A macro whose value is another one each time.
#[inline(never)]
pub fn in_turn(models: &[String; 8], n: u64) {
    for i in 0..n {
        let model = &models[i as usize & 7];
        inferometer::counter!("bench_label_turn_total", "model_name" => model).increment(1);
    }
}

#[inline(never)]
fn by_enum(statuses: &[Status; 8], n: u64) {
    for i in 0..n {
        BY_OUTCOME.get(&Outcome { status: statuses[i as usize & 7], stream: i & 1 == 0 }).increment(1);
    }
}

/// `metrics` wants to own the value; an `Arc` is the cheapest to hand over.
#[inline(never)]
fn by_metrics(model: &Arc<str>, n: u64) {
    for _ in 0..n {
        metrics::counter!("bench_label_total", "model_name" => Arc::clone(model)).increment(1);
    }
}

#[inline(never)]
fn by_prometheus(family: &IntCounterVec, model: &str, n: u64) {
    for _ in 0..n {
        family.with_label_values(&[model]).inc();
    }
}

/// With a label set that was made before, since making one allocates.
#[inline(never)]
fn by_client(family: &ClientFamily<ClientModel, ClientCounter>, model: &ClientModel, n: u64) {
    for _ in 0..n {
        family.get_or_create(model).inc();
    }
}

/// The value: 12 bytes.
pub const MODEL: &str = "llama-3.1-8b";

/// Eight values of 12 bytes.
pub fn models() -> [String; 8] {
    black_box(std::array::from_fn(|i| format!("llama-3.{i}-8b")))
}

/// How many of the contestants do the same; after them come our other ways.
pub const SAME: usize = 4;

/// One label.
pub fn contestants() -> Vec<Contestant<'static>> {
    let model = || black_box(MODEL.to_owned());
    let (for_macro, for_family, for_prometheus) = (model(), model(), model());
    let models = models();
    let statuses = black_box(std::array::from_fn(|i| [Status::Ok, Status::Error, Status::Cancelled][i % 3]));
    let shared: Arc<str> = model().into();
    let shared_too = Arc::clone(&shared);
    let (recorder, facade) = (Exporter::registry(), facade());
    let prometheus =
        IntCounterVec::new(Opts::new("bench_label_total", "Help."), &["model_name"]).expect("a valid family");
    let client = ClientFamily::default();
    let client_model = ClientModel { model_name: model() };
    vec![
        Contestant::new("inferometer", move |n| by_macro(&for_macro, n)),
        Contestant::new("metrics::counter!", move |n| {
            metrics::with_local_recorder(&recorder, || by_metrics(&shared, n));
        }),
        Contestant::new("prometheus, with_label_values", move |n| by_prometheus(&prometheus, &for_prometheus, n)),
        Contestant::new("prometheus-client, get_or_create", move |n| by_client(&client, &client_model, n)),
        Contestant::new("Family::get", move |n| by_family(&for_family, n)),
        Contestant::new("eight values in turn", move |n| in_turn(&models, n)),
        Contestant::new("two closed labels", move |n| by_enum(&statuses, n)),
        Contestant::new("behind metrics::counter!", move |n| {
            metrics::with_local_recorder(facade, || by_metrics(&shared_too, n));
        }),
    ]
}
