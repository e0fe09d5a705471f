//! Why a registration is refused.

use super::Kind;
use super::name::NameError;
use crate::grid::BucketsError;
use std::fmt;

/// Why a metric cannot be registered. Nothing is changed by a refused registration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The metric's name is not allowed.
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// A label's name is not allowed.
    Label {
        /// The metric's name.
        name: String,
        /// What is wrong with its labels.
        error: NameError,
    },
    /// The histogram's buckets are not allowed.
    Buckets {
        /// The metric's name.
        name: String,
        /// What is wrong with them.
        error: BucketsError,
    },
    /// The name is taken by a metric of another kind.
    OtherKind {
        /// The metric's name.
        name: String,
        /// The kind that it is registered with.
        registered: Kind,
    },
    /// The name is taken by a metric with other label names.
    OtherLabels {
        /// The metric's name.
        name: String,
        /// The label names that it is registered with.
        registered: Vec<String>,
    },
    /// The name is taken by a histogram with other buckets.
    OtherBuckets {
        /// The metric's name.
        name: String,
    },
    /// The name is taken by a metric with another help text.
    OtherHelp {
        /// The metric's name.
        name: String,
    },
    /// Another name becomes the same one when it is escaped.
    SameWhenEscaped {
        /// The name that was refused.
        name: String,
        /// The name that is registered.
        registered: String,
    },
    /// Another label of the metric becomes the same one when it is escaped.
    LabelSameWhenEscaped {
        /// The metric's name.
        name: String,
        /// The label that was refused.
        label: String,
        /// The label that is registered.
        registered: String,
    },
    /// The metric exists already, or this series of it, and its values come from elsewhere: from a function, a
    /// collector or the crate itself.
    Taken {
        /// The metric's name.
        name: String,
    },
    /// There is a collector with this name already.
    CollectorTaken {
        /// The collector's name.
        name: String,
    },
    /// The registry holds as many series as it may, [`Registry::MAX_SERIES`](crate::Registry::MAX_SERIES).
    TooManySeries,
    /// There is no storage left for another series.
    StorageFull,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, error } => write!(f, "metric {name:?}: {error}"),
            Self::Label { name, error } => write!(f, "labels of metric {name:?}: {error}"),
            Self::Buckets { name, error } => write!(f, "buckets of metric {name:?}: {error}"),
            Self::OtherKind { name, registered } => {
                write!(f, "metric {name:?} is registered as a {}", registered.as_str())
            }
            Self::OtherLabels { name, registered } => {
                write!(f, "metric {name:?} is registered with the labels {registered:?}")
            }
            Self::OtherBuckets { name } => write!(f, "metric {name:?} is registered with other buckets"),
            Self::OtherHelp { name } => write!(f, "metric {name:?} is registered with another help text"),
            Self::SameWhenEscaped { name, registered } => {
                write!(f, "metric {name:?} would be exposed under the same name as {registered:?}")
            }
            Self::LabelSameWhenEscaped { name, label, registered } => {
                write!(f, "label {label:?} of metric {name:?} would be exposed under the same name as {registered:?}")
            }
            Self::Taken { name } => {
                write!(f, "metric {name:?} exists already, and its values come from elsewhere")
            }
            Self::CollectorTaken { name } => write!(f, "there is a collector {name:?} already"),
            Self::TooManySeries => f.write_str("the registry holds as many series as it may"),
            Self::StorageFull => f.write_str("there is no storage left for another series"),
        }
    }
}

impl std::error::Error for RegisterError {}
