//! The macros, in the syntax of `metrics` 0.24.

/// What a macro's records are for; accepted for compatibility with `metrics` and not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(());

impl Level {
    /// Trace.
    pub const TRACE: Level = Level(());
    /// Debug.
    pub const DEBUG: Level = Level(());
    /// Info.
    pub const INFO: Level = Level(());
    /// Warn.
    pub const WARN: Level = Level(());
    /// Error.
    pub const ERROR: Level = Level(());
}

/// A counter of the global registry.
///
/// With a literal name and literal labels the call site finds its series once, and each further record costs one
/// thread-local add; the macro gives a `&'static` [`Counter`](crate::Counter). Anything else goes through a
/// thread-local cache that is keyed by content, and the macro gives a [`Local`](crate::Local) handle. Call `.handle()`
/// on either for one that may be kept in a struct or sent to another thread.
///
/// The syntax is that of `metrics` 0.24; `target:` and `level:` are accepted and not used.
///
/// ```
/// use inferometer::counter;
/// let model = String::from("llama");
/// counter!("doc_macro_requests_total", "status" => "ok").increment(1);
/// counter!("doc_macro_tokens_total", "model_name" => model).increment(8);
/// counter!(target: "engine", "doc_macro_steps_total").increment(1);
/// let labels = [("model_name", "llama")];
/// counter!("doc_macro_loads_total", &labels).increment(1);
/// ```
#[macro_export]
macro_rules! counter {
    ($($input:tt)+) => { $crate::__instrument!($crate::Counter, $($input)+) };
}

/// An up-down counter of the global registry; see [`counter!`](crate::counter).
///
/// ```
/// inferometer::up_down_counter!("doc_macro_requests_in_flight").increment(1);
/// ```
#[macro_export]
macro_rules! up_down_counter {
    ($($input:tt)+) => { $crate::__instrument!($crate::UpDownCounter, $($input)+) };
}

/// A gauge of the global registry; see [`counter!`](crate::counter).
///
/// ```
/// inferometer::gauge!("doc_macro_kv_cache_usage_ratio", "engine" => "0").set(0.5);
/// ```
#[macro_export]
macro_rules! gauge {
    ($($input:tt)+) => { $crate::__instrument!($crate::Gauge, $($input)+) };
}

/// A histogram of floats of the global registry; see [`counter!`](crate::counter). A duration is recorded in seconds.
/// The buckets come from [`Registry::set_buckets`](crate::Registry::set_buckets).
///
/// ```
/// use std::time::Duration;
/// inferometer::histogram!("doc_macro_step_seconds").record(Duration::from_millis(12));
/// inferometer::histogram!("doc_macro_loss_ratio", "engine" => "0").record(0.25);
/// ```
#[macro_export]
macro_rules! histogram {
    ($($input:tt)+) => { $crate::__instrument!($crate::Histogram<f64>, $($input)+) };
}

/// Runs an expression and times it with a histogram, if it is one of the sections that are sampled: see
/// [`Sampling`](crate::Sampling). Gives the value of the expression. `return`, `?`, `break` and `.await` in it work as they
/// do outside, and end the section. With `--cfg inferometer_off` only the expression is left.
///
/// ```
/// use inferometer::{Histogram, metric, time};
///
/// /// Time to load weights.
/// #[metric(name = "doc_macro_load_seconds", sampling = inferometer::Sampling::Always)]
/// static LOAD: Histogram = Histogram::new();
///
/// fn load(text: &str) -> Result<i32, std::num::ParseIntError> {
///     let weight: i32 = time!(LOAD, text.parse()?);
///     Ok(weight + 1)
/// }
/// assert_eq!(load("41"), Ok(42));
/// assert!(load("x").is_err());
/// let seen = inferometer::Registry::global().snapshot();
/// assert_eq!(seen.histogram("doc_macro_load_seconds", &[]).unwrap().count(), 2);
/// ```
#[macro_export]
macro_rules! time {
    ($histogram:expr, $section:expr $(,)?) => {{
        let timer = $histogram.start();
        let value = $section;
        timer.stop();
        value
    }};
}

/// Describes a counter: `describe_counter!(name, description)` or `describe_counter!(name, unit, description)`.
///
/// ```
/// use inferometer::{describe_counter, Unit};
/// describe_counter!("doc_macro_requests_total", "Requests that arrived.");
/// describe_counter!("doc_macro_sent_bytes_total", Unit::Bytes, "Bytes sent.");
/// ```
#[macro_export]
macro_rules! describe_counter {
    ($($input:tt)+) => { $crate::__describe!($($input)+) };
}

/// Describes a gauge or an up-down counter; see [`describe_counter!`](crate::describe_counter).
#[macro_export]
macro_rules! describe_gauge {
    ($($input:tt)+) => { $crate::__describe!($($input)+) };
}

/// Describes a histogram; see [`describe_counter!`](crate::describe_counter).
#[macro_export]
macro_rules! describe_histogram {
    ($($input:tt)+) => { $crate::__describe!($($input)+) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    ($name:expr, $unit:expr, $description:expr $(,)?) => {
        $crate::__private::describe(
            ::core::convert::AsRef::<str>::as_ref(&$name),
            ::core::option::Option::Some($unit),
            ::core::convert::AsRef::<str>::as_ref(&$description),
        )
    };
    ($name:expr, $description:expr $(,)?) => {
        $crate::__private::describe(
            ::core::convert::AsRef::<str>::as_ref(&$name),
            ::core::option::Option::None,
            ::core::convert::AsRef::<str>::as_ref(&$description),
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __instrument {
    // What `metrics` takes and we do not use.
    ($type:ty, target: $target:expr, level: $level:expr, $($rest:tt)+) => {{
        let _ = ($target, $level);
        $crate::__instrument!($type, $($rest)+)
    }};
    ($type:ty, target: $target:expr, $($rest:tt)+) => {{
        let _ = $target;
        $crate::__instrument!($type, $($rest)+)
    }};
    ($type:ty, level: $level:expr, $($rest:tt)+) => {{
        let _ = $level;
        $crate::__instrument!($type, $($rest)+)
    }};
    // All literal: the site is a static instrument.
    ($type:ty, $name:literal $(, $label:literal => $value:literal)* $(,)?) => {{
        const _: () = $crate::__private::assert_metric($name, &[$($label),*]);
        static DECLARATION: $crate::__private::Declaration =
            $crate::__private::Declaration::named($name, &[$(($label, $value)),*]);
        static SITE: $type = <$type>::declared(&DECLARATION);
        &SITE
    }};
    // The values are known at run time.
    ($type:ty, $name:literal $(, $label:literal => $value:expr)+ $(,)?) => {{
        const _: () = $crate::__private::assert_metric($name, &[$($label),+]);
        static SITE: $crate::__private::DynamicSite = $crate::__private::DynamicSite::new();
        SITE.get::<$type>(true, $name, &[$($label),+], &[$(::core::convert::AsRef::<str>::as_ref(&$value)),+])
    }};
    // So are names.
    ($type:ty, $name:expr $(, $label:expr => $value:expr)* $(,)?) => {{
        static SITE: $crate::__private::DynamicSite = $crate::__private::DynamicSite::new();
        SITE.get::<$type>(
            false,
            ::core::convert::AsRef::<str>::as_ref(&$name),
            &[$(::core::convert::AsRef::<str>::as_ref(&$label)),*],
            &[$(::core::convert::AsRef::<str>::as_ref(&$value)),*],
        )
    }};
    // A slice of pairs.
    ($type:ty, $name:expr, $labels:expr $(,)?) => {{
        static SITE: $crate::__private::DynamicSite = $crate::__private::DynamicSite::new();
        SITE.get_pairs::<$type, _, _>(::core::convert::AsRef::<str>::as_ref(&$name), &($labels)[..])
    }};
}
