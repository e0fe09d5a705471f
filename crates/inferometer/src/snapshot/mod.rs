//! The read side: directory and cells become values, for encoders ([`Visitor`]) and for programs ([`Snapshot`]).

mod exemplar;
mod histogram;
mod owned;
mod quantile;
mod read;

pub use exemplar::{Exemplar, ExemplarView};
pub use histogram::HistogramSnapshot;
pub use owned::{FamilySnapshot, SeriesSnapshot, Snapshot, Value};
pub use quantile::Quantile;
pub(crate) use read::Reader;
pub use read::{FamilyView, HistogramSum, HistogramView, NativeView, Sample, SeriesId, SeriesView, Visitor};
