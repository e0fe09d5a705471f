//! Counters that never fall, from a driver's counters, which do.

use super::plausible;
use crate::metric::Metric;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Instant;

/// How many GPUs are remembered. There are more only where parts of GPUs come and go under new names.
const REMEMBERED: usize = 256;

/// What each counter of each GPU has reached, by UUID: a driver that is loaded again, and GPUs in another order, change
/// nothing about it.
#[derive(Debug, Default)]
pub(super) struct Totals(BTreeMap<String, Device>);

#[derive(Debug)]
struct Device {
    counters: BTreeMap<(Metric, &'static [&'static str]), Counter>,
    used: Instant,
}

#[derive(Debug)]
struct Counter {
    total: u64,
    /// What the driver said last, and when.
    raw: u64,
    at: Instant,
    /// What it said since that cannot be.
    suspect: Option<(u64, Instant)>,
}

impl Totals {
    /// The total of a counter that the driver says is `raw`; `None` if it cannot be.
    pub(super) fn add(
        &mut self,
        uuid: &str,
        metric: Metric,
        labels: &'static [&'static str],
        raw: u64,
        now: Instant,
    ) -> Option<u64> {
        if !self.0.contains_key(uuid) {
            self.make_room();
        }
        let device = self.0.entry(uuid.to_owned()).or_insert(Device { counters: BTreeMap::new(), used: now });
        device.used = now;
        match device.counters.entry((metric, labels)) {
            Entry::Occupied(counter) => counter.into_mut().add(metric, raw, now),
            Entry::Vacant(_) if !plausible::is_count(raw) => None,
            Entry::Vacant(place) => Some(place.insert(Counter { total: raw, raw, at: now, suspect: None }).total),
        }
    }

    fn make_room(&mut self) {
        if self.0.len() < REMEMBERED {
            return;
        }
        let longest_unused = self.0.iter().min_by_key(|(_, device)| device.used).map(|(uuid, _)| uuid.clone());
        if let Some(uuid) = longest_unused {
            self.0.remove(&uuid);
        }
    }
}

impl Counter {
    fn add(&mut self, metric: Metric, raw: u64, now: Instant) -> Option<u64> {
        // One that has fallen began again at zero.
        let grown = raw.checked_sub(self.raw).unwrap_or(raw);
        let grown = if plausible::is_growth(metric, grown, now - self.at) {
            grown
        } else {
            // A wild value comes once. Where the driver keeps to it, it counts from there.
            let before = self.suspect.replace((raw, now));
            let (suspect, at) = before?;
            let since = raw.checked_sub(suspect).filter(|&grown| plausible::is_growth(metric, grown, now - at))?;
            if !plausible::is_count(raw) {
                return None;
            }
            since
        };
        self.total = self.total.saturating_add(grown);
        (self.raw, self.at, self.suspect) = (raw, now, None);
        Some(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NONE: &[&str] = &[];

    /// The totals of an energy counter that is read once a second.
    fn totals(raw: &[u64]) -> Vec<Option<u64>> {
        let (start, mut totals) = (Instant::now(), Totals::default());
        let at = |second: usize| start + Duration::from_secs(second as u64);
        raw.iter().enumerate().map(|(n, &raw)| totals.add("GPU-1", Metric::Energy, NONE, raw, at(n))).collect()
    }

    #[test]
    fn a_counter_that_begins_again_goes_on_from_where_it_was() {
        assert_eq!(
            totals(&[5_000, 6_000, 100, 300, 0, 0, 7]),
            [5_000, 6_000, 6_100, 6_300, 6_300, 6_300, 6_307].map(Some)
        );
    }

    #[test]
    fn a_wild_value_that_comes_once_is_left_out_and_changes_nothing() {
        let wild = 1 << 50;
        assert_eq!(totals(&[5_000, wild, 6_000, 6_100]), [Some(5_000), None, Some(6_000), Some(6_100)]);
        assert_eq!(totals(&[u64::MAX, u64::MAX, 6_000]), [None, None, Some(6_000)]);
        assert_eq!(totals(&[5_000, u64::MAX, u64::MAX, 6_000]), [Some(5_000), None, None, Some(6_000)]);
    }

    #[test]
    fn a_wild_value_that_stays_is_where_counting_goes_on() {
        let wild = 1 << 50;
        assert_eq!(totals(&[5_000, wild, wild + 10, wild + 30]), [Some(5_000), None, Some(5_010), Some(5_030)]);
    }

    #[test]
    fn gpus_are_told_apart_by_uuid_and_not_too_many_are_remembered() {
        let (now, mut totals) = (Instant::now(), Totals::default());
        assert_eq!(totals.add("GPU-1", Metric::Energy, NONE, 10, now), Some(10));
        assert_eq!(totals.add("GPU-2", Metric::Energy, NONE, 500, now), Some(500));
        assert_eq!(totals.add("GPU-1", Metric::Energy, NONE, 20, now), Some(20));
        for n in 0..10_000 {
            totals.add(&format!("MIG-{n}"), Metric::Energy, NONE, 1, now + Duration::from_secs(n));
        }
        assert!(totals.0.len() <= REMEMBERED);
    }
}
