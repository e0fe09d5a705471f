//! A reader of the protobuf format: client_model's messages as `prost` decodes them, and Prometheus's own checks of a
//! native histogram.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetricFamily {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) help: String,
    #[prost(int32, tag = "3")]
    pub(crate) kind: i32,
    #[prost(message, repeated, tag = "4")]
    pub(crate) metric: Vec<Metric>,
    #[prost(string, tag = "5")]
    pub(crate) unit: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(crate) label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(crate) gauge: Option<Single>,
    #[prost(message, optional, tag = "3")]
    pub(crate) counter: Option<Single>,
    #[prost(message, optional, tag = "5")]
    pub(crate) untyped: Option<Single>,
    #[prost(int64, tag = "6")]
    pub(crate) timestamp_ms: i64,
    #[prost(message, optional, tag = "7")]
    pub(crate) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LabelPair {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Single {
    #[prost(double, tag = "1")]
    pub(crate) value: f64,
    #[prost(message, optional, tag = "3")]
    pub(crate) created: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(crate) nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(crate) label: Vec<LabelPair>,
    #[prost(double, tag = "2")]
    pub(crate) value: f64,
    #[prost(message, optional, tag = "3")]
    pub(crate) timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Bucket {
    #[prost(uint64, tag = "1")]
    pub(crate) cumulative_count: u64,
    #[prost(double, tag = "2")]
    pub(crate) upper_bound: f64,
    #[prost(message, optional, tag = "3")]
    pub(crate) exemplar: Option<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Span {
    #[prost(sint32, tag = "1")]
    pub(crate) offset: i32,
    #[prost(uint32, tag = "2")]
    pub(crate) length: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, tag = "1")]
    pub(crate) sample_count: u64,
    #[prost(double, tag = "2")]
    pub(crate) sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    pub(crate) schema: i32,
    #[prost(double, tag = "6")]
    pub(crate) zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    pub(crate) zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    pub(crate) positive_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    pub(crate) positive_delta: Vec<i64>,
    #[prost(message, optional, tag = "15")]
    pub(crate) created: Option<Timestamp>,
    #[prost(message, repeated, tag = "16")]
    pub(crate) exemplars: Vec<Exemplar>,
}

/// All families of a body.
pub(crate) fn families(mut body: &[u8]) -> Vec<MetricFamily> {
    let mut families = Vec::new();
    while !body.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut body).expect("a family"));
    }
    families
}

impl MetricFamily {
    pub(crate) fn is_native(&self) -> bool {
        self.metric.iter().all(|metric| metric.histogram.as_ref().is_some_and(Histogram::is_native))
    }
}

impl Histogram {
    /// As `isNativeHistogram` of Prometheus 2.42 has it, which is narrower than later ones.
    pub(crate) fn is_native(&self) -> bool {
        !self.positive_delta.is_empty() || self.zero_threshold > 0.0 || self.zero_count > 0
    }

    /// The buckets that spans and deltas stand for: index and count. Refuses what Prometheus's `Validate` refuses,
    /// which there takes the whole target down.
    pub(crate) fn native(&self) -> Result<Vec<(i32, u64)>, String> {
        let mut buckets = Vec::new();
        let mut deltas = self.positive_delta.iter();
        let (mut index, mut count) = (0_i32, 0_i64);
        for (place, span) in self.positive_span.iter().enumerate() {
            if place > 0 && span.offset < 0 {
                return Err(format!("span {place} goes back by {}", span.offset));
            }
            index += span.offset;
            for _ in 0..span.length {
                count += deltas.next().ok_or("more places in spans than deltas")?;
                buckets.push((index, u64::try_from(count).map_err(|_| format!("bucket {index} holds {count}"))?));
                index += 1;
            }
        }
        if deltas.next().is_some() {
            return Err("more deltas than places in spans".to_owned());
        }
        let sum: u64 = buckets.iter().map(|(_, count)| count).sum();
        if sum + self.zero_count != self.sample_count {
            return Err(format!("{sum} + {} in buckets, count {}", self.zero_count, self.sample_count));
        }
        Ok(buckets)
    }
}
