//! The macros of inferometer: `#[metric]`, `#[derive(LabelSet)]` and `#[derive(LabelValue)]`. Use them through the
//! `inferometer` crate, whose documentation describes the traits.

mod label_set;
mod label_value;
mod metric;
mod timed;

use proc_macro::TokenStream;

/// Declares a metric: a static that is registered at link time and stands in the first scrape, at zero.
///
/// ```ignore
/// /// Time between output tokens.
/// #[metric(name = "inference_inter_token_latency_seconds", buckets = [0.01, 0.1, 1.0])]
/// static ITL: Histogram = Histogram::new();
/// ```
///
/// The documentation comment is the help text. The type is `Counter`, `UpDownCounter`, `Gauge`, `Histogram<T>` or a
/// `Family` of one of them.
///
/// | argument | |
/// |---|---|
/// | `name = "..."` | the name; the static's own in lower case when it is left out |
/// | `unit = Unit::Seconds` | the unit, which must be the name's last word; known from the name when it is left out |
/// | `buckets = [...]` | a histogram's classic bounds: a literal or a constant of type `&[f64]` |
/// | `native = 3`, `native = false` | a histogram's native schema, or none |
/// | `range = (1e-6, 100.0)` | the range of the native buckets |
/// | `max_series = 100` | how many series a family may have |
/// | `sampling = Sampling::EveryN(64)` | for a histogram with which sections are timed: which of them really are |
///
/// The name, the unit and the bounds are checked by the compiler.
#[proc_macro_attribute]
pub fn metric(arguments: TokenStream, item: TokenStream) -> TokenStream {
    metric::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Times a function with a histogram: `#[timed(FORWARD)]`, where the argument is anything that has a method `start`. All
/// ways out of the function end the section.
///
/// ```ignore
/// #[timed(FORWARD_SECONDS)]
/// fn forward(batch: &Batch) -> Result<Logits> { ... }
/// ```
///
/// Of an `async fn` the wall time is measured from the first poll to its completion, or to the moment when the future is
/// dropped: with all that other tasks did in between, and without the time before the first poll.
#[proc_macro_attribute]
pub fn timed(arguments: TokenStream, item: TokenStream) -> TokenStream {
    timed::expand(arguments.into(), item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives `LabelSet` for a struct with named fields: each field is a label. A field that is named by a keyword, or
/// needs another name, takes `#[label(name = "...")]`.
#[proc_macro_derive(LabelSet, attributes(label))]
pub fn label_set(item: TokenStream) -> TokenStream {
    label_set::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Derives `LabelValue` for an enum without fields: a closed set of values. A variant's text is its name in snake_case,
/// or what `#[label(value = "...")]` says.
#[proc_macro_derive(LabelValue, attributes(label))]
pub fn label_value(item: TokenStream) -> TokenStream {
    label_value::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
