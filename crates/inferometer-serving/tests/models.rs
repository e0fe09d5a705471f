//! Which series there are: of the table, of several models and engines, past the limit, and after a model has gone.

use inferometer::{FamilySnapshot, Moment, Registry, SeriesSnapshot, Unit, Value};
use inferometer_serving::{
    EngineState, FinishReason, KvBlocks, LoadPhase, LoraAdapters, Metric, Presence, ServingMetrics,
    ServingMetricsBuilder,
};
use std::collections::BTreeSet;
use std::time::Duration;

fn families(registry: &Registry) -> Vec<FamilySnapshot> {
    let mut families = registry.snapshot().families;
    families.retain(|family| !family.series.is_empty());
    families
}

fn label<'a>(series: &'a SeriesSnapshot, name: &str) -> Option<&'a str> {
    series.labels.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
}

#[test]
fn the_registry_has_what_the_table_says() {
    let registry = Registry::new();
    let builder = ServingMetrics::builder("llama").registry(&registry);
    let metrics = builder.with(Metric::RequestActive).with(Metric::TokenLogprob).register().unwrap();
    let always: Vec<&str> = families(&registry).iter().map(|family| family.name.clone().leak() as &str).collect();
    let wanted = Metric::ALL.iter().map(|metric| metric.spec());
    let wanted: Vec<&str> = wanted.filter(|spec| spec.presence != Presence::OnceSet).map(|spec| spec.name).collect();
    let own: Vec<&str> = always
        .into_iter()
        .filter(|name| !name.ends_with("_events_total") && !name.ends_with("_samples_total"))
        .collect();
    assert_eq!(own, wanted, "what is there from the start, in the order of the table");

    metrics.set_engine_state(EngineState::Ready);
    metrics.set_max_running_requests(8);
    metrics.set_max_step_tokens(2_048);
    metrics.set_kv_cache(100, 16);
    metrics.set_lora_adapters(&LoraAdapters::default());
    metrics.set_model_load(LoadPhase::Weights, Duration::from_secs(2));
    metrics.set_model_weight_bytes(1 << 30);
    metrics.step_recorder().set_kv_blocks(KvBlocks { used: 10, free: 80, cached: 10 });
    let families = families(&registry);
    for spec in Metric::ALL.iter().map(|metric| metric.spec()) {
        let family = families.iter().find(|family| family.name == spec.name).expect(spec.name);
        assert!(family.help.starts_with(spec.help), "{}", spec.name);
        assert_eq!((family.kind, family.unit.unwrap_or(Unit::Count)), (spec.kind, spec.unit), "{}", spec.name);
        let names: Vec<&str> = family.series[0].labels.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, spec.labels, "{}", spec.name);
        if let Value::Histogram(histogram) = &family.series[0].value {
            let bounds: Vec<f64> = histogram.classic().map(|(bound, _)| bound).filter(|b| b.is_finite()).collect();
            assert_eq!(bounds, spec.bounds, "{}", spec.name);
        }
    }
}

#[test]
fn models_and_engines_share_families() {
    let registry = Registry::new();
    let register = |model: &str, engine: &str| {
        ServingMetrics::builder(model).engine(engine).registry(&registry).register().unwrap()
    };
    let all = [("llama", "0"), ("llama", "1"), ("qwen", "0")].map(|(model, engine)| register(model, engine));
    for (metrics, requests) in all.iter().zip([1, 2, 4]) {
        (0..requests).for_each(|_| metrics.request(Moment::now()).finished(FinishReason::Stop, Moment::now()));
    }
    let ended = |labels: &[(&str, &str)]| registry.snapshot().counter("inference_requests_total", labels);
    assert_eq!(ended(&[]), Some(7));
    assert_eq!(ended(&[("model_name", "llama")]), Some(3));
    assert_eq!(ended(&[("model_name", "llama"), ("engine", "1")]), Some(2));
    // Registered once more, it goes on.
    register("qwen", "0").request(Moment::now()).finished(FinishReason::Stop, Moment::now());
    assert_eq!(ended(&[("model_name", "qwen")]), Some(5));
}

#[test]
fn a_model_that_is_unloaded_takes_its_series_with_it() {
    let registry = Registry::new();
    let register = |model: &str, engine: &str| {
        ServingMetrics::builder(model).engine(engine).registry(&registry).register().unwrap()
    };
    let [first, second, other] =
        [("llama", "0"), ("llama", "1"), ("qwen", "0")].map(|(model, engine)| register(model, engine));
    let series = |name: &str, value: &str| {
        let all = families(&registry);
        all.iter().flat_map(|family| &family.series).filter(|series| label(series, name) == Some(value)).count()
    };
    let of_first = |registry: &Registry| {
        let all = families(registry);
        let series = all.iter().flat_map(|family| &family.series);
        series.filter(|s| (label(s, "model_name"), label(s, "engine")) == (Some("llama"), Some("0"))).count()
    };
    let of_qwen = series("model_name", "qwen");

    // A request that is still under way keeps them until it has ended.
    let request = first.request(Moment::now());
    first.unload();
    assert!(of_first(&registry) > 0);
    request.finished(FinishReason::Stop, Moment::now());
    assert_eq!(of_first(&registry), 0);
    assert_eq!(registry.snapshot().counter("inference_requests_started_total", &[("model_name", "llama")]), Some(1));

    second.unload();
    assert_eq!(series("model_name", "llama"), 0);
    assert_eq!(series("model_name", "qwen"), of_qwen);
    // Loaded again, it starts at zero.
    let _again = register("llama", "0");
    assert_eq!(registry.snapshot().counter("inference_requests_started_total", &[("model_name", "llama")]), Some(0));
    drop(other); // a drop removes nothing
    assert_eq!(series("model_name", "qwen"), of_qwen);
}

#[test]
fn ten_thousand_names_of_models_make_no_more_series_than_the_limit_and_one() {
    const LIMIT: usize = ServingMetricsBuilder::DEFAULT_MAX_SERIES;
    let registry = Registry::new();
    for i in 0..10_000 {
        let metrics = ServingMetrics::builder(&format!("model-{i}")).registry(&registry).register().unwrap();
        metrics.request(Moment::now()).finished(FinishReason::Stop, Moment::now());
    }
    let snapshot = registry.snapshot();
    for family in &snapshot.families {
        let models: BTreeSet<_> = family.series.iter().filter_map(|series| label(series, "model_name")).collect();
        assert!(models.len() <= LIMIT + 1, "{} has {}", family.name, models.len());
    }
    // And nothing is lost.
    assert_eq!(snapshot.counter("inference_requests_total", &[]), Some(10_000));
    let others = snapshot.counter("inference_requests_total", &[("model_name", "other")]);
    assert_eq!(others, Some(10_000 - LIMIT as u64));
    // There is room for others' metrics.
    registry.counter("own_total", &[]).unwrap();
}

#[test]
fn adapters_that_have_gone_leave_no_series() {
    let registry = Registry::new();
    let metrics = ServingMetrics::builder("llama").registry(&registry).register().unwrap();
    let set = |running: &[&str]| metrics.set_lora_adapters(&LoraAdapters { max: 4, loaded: 2, running, waiting: &[] });
    for running in [&["a"][..], &["a", "b"], &["b"], &["b"]] {
        set(running);
    }
    let all = families(&registry);
    let info = all.iter().find(|family| family.name == Metric::LoraInfo.spec().name).unwrap();
    let running: Vec<_> = info.series.iter().map(|series| label(series, "running_lora_adapters")).collect();
    assert_eq!(running, [Some("b")]);
    let labels = [("state", "running")];
    assert_eq!(registry.snapshot().gauge("inference_lora_adapters", &labels), Some(1.0));
}

#[test]
fn a_name_that_is_taken_is_an_error() {
    let registry = Registry::new();
    registry.gauge("inference_requests_total", &[]).unwrap();
    let error = ServingMetrics::builder("llama").registry(&registry).register().unwrap_err();
    assert!(error.to_string().contains("inference_requests_total"), "{error}");
}
