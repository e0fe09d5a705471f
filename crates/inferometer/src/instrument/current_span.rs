//! The span that a record is made in, for its exemplar.

use crate::storage::{self, Entry};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use std::panic::catch_unwind;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The ids of a span, in hexadecimal digits.
#[derive(Debug)]
pub(super) struct CurrentSpan {
    trace: [u8; 32],
    span: [u8; 16],
}

impl CurrentSpan {
    /// The current span, when it is sampled.
    pub(super) fn find() -> Option<Self> {
        // An allocator or a signal handler inside a cold path must not be led through other crates; and in a thread
        // that is ending, their thread-locals may be gone.
        if !matches!(storage::enter(), Entry::Open(_)) {
            return None;
        }
        // They may be gone all the same, in a destructor, and OpenTelemetry panics then. A record does not.
        catch_unwind(look).ok().flatten()
    }

    pub(super) fn labels(&self) -> [(&str, &str); 2] {
        [("trace_id", text(&self.trace)), ("span_id", text(&self.span))]
    }

    fn of(span: &SpanContext) -> Self {
        CurrentSpan { trace: hexadecimal(span.trace_id().to_bytes()), span: hexadecimal(span.span_id().to_bytes()) }
    }
}

fn look() -> Option<CurrentSpan> {
    // The outer answer says whether there is a span, the inner one whether it is sampled.
    let in_context = |context: &Context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| span.is_sampled().then(|| CurrentSpan::of(span)))
    };
    // Not `Context::current`, which counts a reference to the context.
    Context::map_current(in_context).or_else(|| in_context(&tracing::Span::current().context())).flatten()
}

fn hexadecimal<const BYTES: usize, const DIGITS: usize>(bytes: [u8; BYTES]) -> [u8; DIGITS] {
    const { assert!(DIGITS == 2 * BYTES) };
    std::array::from_fn(|at| {
        let byte = bytes[at / 2];
        let digit = if at % 2 == 0 { byte >> 4 } else { byte & 0xf };
        b"0123456789abcdef"[usize::from(digit)]
    })
}

fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

    #[test]
    fn ids_are_written_with_leading_zeros_in_lower_case() {
        let (trace, span) =
            (TraceId::from_bytes(0x0a_bc_u128.to_be_bytes()), SpanId::from_bytes(0xf0_u64.to_be_bytes()));
        let context = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default());
        let want = [("trace_id", "00000000000000000000000000000abc"), ("span_id", "00000000000000f0")];
        assert_eq!(CurrentSpan::of(&context).labels(), want);
        assert_eq!(want[0].1, trace.to_string());
    }
}
