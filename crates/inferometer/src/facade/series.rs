//! From a key of the facade to a series of ours.

use crate::instrument::Instrument;
use crate::registry::{ForeignLabel, RegisterError, Registry, Request, RequestLabels, Series, SliceLabels, name};
use metrics::Key;
use std::sync::Arc;

/// The series of a key, made if need be.
pub(super) fn series<I: Instrument>(registry: &Registry, key: &Key) -> Result<Arc<Series>, RegisterError> {
    let labels: Vec<_> = key.labels().collect();
    // The last of those with one name, and none that is empty: to Prometheus that is not there.
    let last =
        |(at, label): &(usize, &&metrics::Label)| labels[at + 1..].iter().all(|other| other.key() != label.key());
    let labels = labels.iter().enumerate().filter(last).map(|(_, label)| *label);
    let labels: Vec<_> = labels.filter(|label| !label.value().is_empty()).collect();
    let names: Vec<String> = labels.iter().map(|label| name::foreign_label_name(label.key())).collect();
    let labels: Vec<ForeignLabel<'_>> = labels
        .iter()
        .zip(&names)
        .map(|(label, name)| ForeignLabel { given: label.key(), name, value: label.value() })
        .collect();
    for (at, label) in labels.iter().enumerate() {
        if let Some(first) = labels[..at].iter().find(|first| first.name == label.name) {
            return Err(RegisterError::LabelSameWhenEscaped {
                name: key.name().to_owned(),
                label: label.given.to_owned(),
                registered: first.given.to_owned(),
            });
        }
    }
    let names: Vec<&str> = labels.iter().map(|label| label.name).collect();
    let family = registry.family(&Request {
        name: key.name(),
        help: "",
        unit: None,
        kind: I::KIND,
        labels: RequestLabels::Foreign(&names),
        domain: I::DOMAIN,
        buckets: None,
        max_series: None,
        sampling: None,
    })?;
    family.get_or_create(&SliceLabels(&family.key(&labels)?))
}
