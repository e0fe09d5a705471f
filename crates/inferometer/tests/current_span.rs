//! Exemplars of the span that a record is made in, with real tracers and a real subscriber.

use inferometer::{Exemplar, Histogram, Registry};
use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanContext, TraceContextExt, Tracer, TracerProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use std::time::Duration;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

fn tracer(sampler: Sampler) -> SdkTracer {
    SdkTracerProvider::builder().with_sampler(sampler).build().tracer("test")
}

/// A histogram in a registry of its own.
fn histogram() -> (Registry, Histogram) {
    let registry = Registry::new();
    let histogram = registry.histogram("x_seconds", &[]).unwrap();
    (registry, histogram)
}

fn exemplars(registry: &Registry) -> Vec<Exemplar> {
    registry.snapshot().histogram("x_seconds", &[]).unwrap().exemplars().to_vec()
}

fn ids(span: &SpanContext) -> Vec<(String, String)> {
    vec![
        ("trace_id".to_owned(), format!("{:032x}", span.trace_id())),
        ("span_id".to_owned(), format!("{:016x}", span.span_id())),
    ]
}

/// Runs `body` with a subscriber that makes OpenTelemetry spans of `tracing` spans. `activated` is whether it makes an
/// entered span the current one of OpenTelemetry as well.
fn with_tracing(sampler: Sampler, activated: bool, body: impl FnOnce()) {
    let layer = tracing_opentelemetry::layer().with_tracer(tracer(sampler)).with_context_activation(activated);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), body);
}

#[test]
fn the_span_of_the_opentelemetry_context_becomes_an_exemplar() {
    let (registry, histogram) = histogram();
    let span = tracer(Sampler::AlwaysOn).start("step");
    let want = ids(span.span_context());
    let attached = Context::current_with_span(span).attach();
    histogram.record_with_current_span(Duration::from_millis(12));
    drop(attached);
    let exemplars = exemplars(&registry);
    assert_eq!(exemplars.len(), 1);
    assert_eq!((exemplars[0].value, &exemplars[0].labels), (0.012, &want));
}

#[test]
fn the_current_tracing_span_becomes_an_exemplar() {
    for activated in [true, false] {
        with_tracing(Sampler::AlwaysOn, activated, || {
            let (registry, histogram) = histogram();
            let span = tracing::info_span!("step");
            let want = span.in_scope(|| {
                histogram.record_with_current_span(Duration::from_millis(12));
                ids(tracing::Span::current().context().span().span_context())
            });
            assert_ne!(want, ids(&SpanContext::NONE));
            let exemplars = exemplars(&registry);
            assert_eq!(exemplars.len(), 1, "activated: {activated}");
            assert_eq!((exemplars[0].value, &exemplars[0].labels), (0.012, &want));
        });
    }
}

#[test]
fn the_innermost_span_is_the_one_that_counts() {
    with_tracing(Sampler::AlwaysOn, false, || {
        let (registry, histogram) = histogram();
        tracing::info_span!("request").in_scope(|| {
            tracing::info_span!("step").in_scope(|| histogram.record_with_current_span(Duration::from_millis(1)));
            histogram.record_with_current_span(Duration::from_millis(100));
        });
        let exemplars = exemplars(&registry);
        assert_eq!(exemplars[0].labels[0], exemplars[1].labels[0], "they are of one trace");
        assert_ne!(exemplars[0].labels[1], exemplars[1].labels[1], "in different spans");
    });
}

#[test]
fn the_opentelemetry_context_goes_before_the_tracing_span() {
    with_tracing(Sampler::AlwaysOn, false, || {
        let (registry, histogram) = histogram();
        let span = tracer(Sampler::AlwaysOn).start("inner");
        let want = ids(span.span_context());
        tracing::info_span!("outer").in_scope(|| {
            let _attached = Context::current_with_span(span).attach();
            histogram.record_with_current_span(Duration::from_millis(12));
        });
        assert_eq!(exemplars(&registry)[0].labels, want);
    });
}

#[test]
fn without_a_sampled_span_it_is_a_plain_record() {
    let (registry, histogram) = histogram();
    histogram.record_with_current_span(Duration::from_millis(12));
    {
        let _attached = Context::current_with_span(tracer(Sampler::AlwaysOff).start("step")).attach();
        histogram.record_with_current_span(Duration::from_millis(12));
    }
    for activated in [true, false] {
        with_tracing(Sampler::AlwaysOff, activated, || {
            tracing::info_span!("step").in_scope(|| histogram.record_with_current_span(Duration::from_millis(12)));
        });
    }
    // A `tracing` span that no layer makes an OpenTelemetry span of.
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        tracing::info_span!("step").in_scope(|| histogram.record_with_current_span(Duration::from_millis(12)));
    });
    let seen = registry.snapshot().histogram("x_seconds", &[]).unwrap();
    assert_eq!((seen.count(), seen.exemplars().len()), (5, 0));
}

#[test]
fn a_sampled_span_outside_of_one_that_is_not_is_passed_over() {
    with_tracing(Sampler::AlwaysOn, false, || {
        let (registry, histogram) = histogram();
        tracing::info_span!("outer").in_scope(|| {
            let _attached = Context::current_with_span(tracer(Sampler::AlwaysOff).start("inner")).attach();
            histogram.record_with_current_span(Duration::from_millis(12));
        });
        assert_eq!(exemplars(&registry), []);
    });
}

#[test]
fn integers_and_floats_are_recorded_with_their_span_too() {
    let registry = Registry::new();
    let integers: Histogram<u64> = registry.histogram("integers", &[]).unwrap();
    let floats: Histogram<f64> = registry.histogram("floats", &[]).unwrap();
    let span = tracer(Sampler::AlwaysOn).start("step");
    let want = ids(span.span_context());
    let _attached = Context::current_with_span(span).attach();
    integers.record_with_current_span(7);
    floats.record_with_current_span(0.5);
    floats.record_with_current_span(f64::NAN);
    let snapshot = registry.snapshot();
    for (name, value) in [("integers", 7.0), ("floats", 0.5)] {
        let seen = snapshot.histogram(name, &[]).unwrap();
        assert_eq!((seen.count(), seen.exemplars().len()), (1, 1));
        assert_eq!((seen.exemplars()[0].value, &seen.exemplars()[0].labels), (value, &want));
    }
}

#[test]
fn a_record_in_a_destructor_of_a_thread_local_is_kept_without_its_span() {
    struct RecordsLate(Histogram);

    impl Drop for RecordsLate {
        fn drop(&mut self) {
            self.0.record_with_current_span(Duration::from_millis(12));
        }
    }

    thread_local! {
        static LATE: std::cell::RefCell<Option<RecordsLate>> = const { std::cell::RefCell::new(None) };
    }

    let (registry, histogram) = histogram();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    for warm in [false, true] {
        let histogram = histogram.clone();
        let ended = std::thread::spawn(move || {
            LATE.with(|late| late.replace(Some(RecordsLate(histogram.clone()))));
            if warm {
                histogram.record_with_current_span(Duration::from_millis(12));
            }
        });
        ended.join().unwrap();
    }
    std::panic::set_hook(hook);
    let seen = registry.snapshot().histogram("x_seconds", &[]).unwrap();
    assert_eq!((seen.count(), seen.exemplars().len()), (3, 0));
}
