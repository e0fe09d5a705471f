//! A histogram's bounds, and how a value finds its bucket.
//!
//! The grid is the union of the native bounds and the classic ones. Each of its buckets lies inside one native and
//! inside one classic bucket, so one array of counts gives both expositions, and both are exact.

mod bounds;
mod native;
mod spans;
mod table;

pub(crate) use bounds::check_bounds;
pub use bounds::{Buckets, BucketsError};
pub(crate) use table::{Entry, LIMIT, index_in, position_of_float, position_of_integer};

use crate::sync::{Mutex, lock};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use table::Keys;

/// What the observations of a histogram are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Domain {
    /// Durations: counted in nanoseconds, exposed in seconds.
    Nanoseconds,
    /// Whole numbers: tokens, bytes, batch sizes.
    Integers,
    /// Floats that are not negative.
    Floats,
}

impl Domain {
    fn keys(self) -> Keys {
        match self {
            Domain::Nanoseconds | Domain::Integers => Keys::Integers,
            Domain::Floats => Keys::Floats,
        }
    }

    /// Whether the sum of the observations is a float.
    pub(crate) fn has_float_sum(self) -> bool {
        self == Domain::Floats
    }

    /// The largest key whose value is not above `bound`, where the value of an integer key is computed as a float, the
    /// way a scraper's reader would. So 30 ms, recorded as 30,000,000 ns, is in `le="0.03"`, although the float 0.03
    /// times 1e9, rounded down, need not be 30,000,000. `None` for a bound beyond all keys.
    fn key(self, bound: f64) -> Option<u64> {
        match self {
            Domain::Floats => Some(bound.to_bits()),
            Domain::Integers => (bound < LIMIT as f64).then_some(bound as u64),
            Domain::Nanoseconds => {
                let mut key = (bound * 1e9) as u64;
                if key >= LIMIT {
                    return None;
                }
                while key > 0 && key as f64 / 1e9 > bound {
                    key -= 1;
                }
                while (key + 1) as f64 / 1e9 <= bound {
                    key += 1;
                }
                Some(key)
            }
        }
    }

    /// The classic bounds and the native range of these buckets, or the defaults.
    fn bounds_and_range(self, buckets: &Buckets) -> (&[f64], (f64, f64)) {
        let bounds = buckets.classic.as_deref().unwrap_or(self.default_bounds());
        (bounds, buckets.range.unwrap_or(self.default_range()))
    }

    fn default_range(self) -> (f64, f64) {
        match self {
            Domain::Nanoseconds => (2f64.powi(-20), 2f64.powi(13)),
            // Half of one, so that the zero bucket holds zeros and nothing else.
            Domain::Integers => (0.5, 2f64.powi(40)),
            Domain::Floats => (2f64.powi(-20), 2f64.powi(20)),
        }
    }

    fn default_bounds(self) -> &'static [f64] {
        match self {
            Domain::Nanoseconds => {
                &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]
            }
            Domain::Integers => {
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0, 16384.0, 65536.0]
            }
            Domain::Floats => {
                &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 100.0, 1000.0]
            }
        }
    }
}

/// The native part of a grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Native {
    pub(crate) schema: i8,
    /// The index of the bucket whose upper bound is the zero threshold.
    pub(crate) lowest: i32,
    /// The index of the last bucket with a bound of its own; what is above goes to the next one.
    pub(crate) highest: i32,
}

/// The bucket bounds of a histogram, with the table that finds a value's bucket.
#[derive(Debug)]
pub(crate) struct Grid {
    pub(crate) domain: Domain,
    pub(crate) classic: Box<[f64]>,
    pub(crate) native: Option<Native>,
    /// The largest key of each bucket but the last, ascending.
    bounds: Box<[u64]>,
    /// For each bucket, the classic bucket that holds it; `classic.len()` is `+Inf`.
    classic_of: Box<[u16]>,
    /// For each bucket, the native bucket that holds it; [`Native::lowest`] is the zero bucket.
    native_of: Box<[i32]>,
    table: Box<[Entry]>,
    first: u32,
}

impl Grid {
    /// The grid for these buckets; equal ones share one. Call [`Buckets::check`] first.
    pub(crate) fn shared(domain: Domain, buckets: &Buckets) -> Arc<Grid> {
        type Key = (Domain, Vec<u64>, Option<(i8, u64, u64)>);
        static GRIDS: Mutex<Option<HashMap<Key, Weak<Grid>>>> = Mutex::new(None);

        let (classic, range) = domain.bounds_and_range(buckets);
        let key = (
            domain,
            classic.iter().map(|bound| bound.to_bits()).collect(),
            buckets.schema.map(|schema| (schema, range.0.to_bits(), range.1.to_bits())),
        );
        let mut grids = lock(&GRIDS);
        let grids = grids.get_or_insert_default();
        if let Some(grid) = grids.get(&key).and_then(Weak::upgrade) {
            return grid;
        }
        let grid = Arc::new(Grid::new(domain, buckets));
        grids.retain(|_, grid| grid.strong_count() > 0);
        grids.insert(key, Arc::downgrade(&grid));
        grid
    }

    /// The grid for these buckets, shared with nobody.
    pub(crate) fn new(domain: Domain, buckets: &Buckets) -> Grid {
        let (classic, range) = domain.bounds_and_range(buckets);
        let native = buckets.schema.map(|schema| Native {
            schema,
            lowest: native::index_of(schema, range.0),
            highest: native::index_of(schema, range.1),
        });
        let native_bounds = native
            .iter()
            .flat_map(|native| (native.lowest..=native.highest).map(|index| native::upper_bound(native.schema, index)));
        let mut bounds: Vec<u64> =
            native_bounds.chain(classic.iter().copied()).filter_map(|bound| domain.key(bound)).collect();
        bounds.sort_unstable();
        bounds.dedup();

        // A bucket lies inside the first coarser one whose bound is not below its own.
        let classic_keys: Vec<Option<u64>> = classic.iter().map(|&bound| domain.key(bound)).collect();
        let holder = |key: Option<u64>, bound: Option<u64>| match (key, bound) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(key), Some(bound)) => key <= bound,
        };
        let buckets = || bounds.iter().copied().map(Some).chain([None]);
        let classic_of =
            buckets().map(|key| classic_keys.partition_point(|&bound| !holder(key, bound)) as u16).collect();
        let native_of = native.map_or(Box::default(), |native| {
            let mut index = native.lowest;
            buckets()
                .map(|key| {
                    while index <= native.highest && !holder(key, domain.key(native::upper_bound(native.schema, index)))
                    {
                        index += 1;
                    }
                    index
                })
                .collect()
        });

        // Integers have a small universe: cover it. Floats: cover the bounds.
        let (first, last) = match domain.keys() {
            Keys::Integers => (position_of_integer(1), position_of_integer(LIMIT - 1)),
            Keys::Floats => (
                position_of_float(bounds.iter().find(|&&key| key > 0).map_or(1f64.to_bits(), |&key| key)),
                position_of_float(bounds.last().map_or(1f64.to_bits(), |&key| key)),
            ),
        };
        let entries = (last - first) as usize + 1;
        let table = table::build(domain.keys(), &bounds, first, entries).unwrap_or_default();
        Grid { domain, classic: classic.into(), native, bounds: bounds.into(), classic_of, native_of, table, first }
    }

    /// How many buckets there are.
    pub(crate) fn len(&self) -> usize {
        self.bounds.len() + 1
    }

    /// The table, and the position of its first entry. Empty when too many bounds are too close together for it: then
    /// every record takes [`Grid::search`].
    pub(crate) fn table(&self) -> (&[Entry], u32) {
        (&self.table, self.first)
    }

    /// The bucket of a key, as a record finds it; `position` is the number of its entry before the first is subtracted.
    pub(crate) fn bucket(&self, position: u32, key: u64) -> usize {
        match self.table.get(position.wrapping_sub(self.first) as usize) {
            Some(entry) => index_in(entry, key),
            None => self.search(key),
        }
    }

    /// The bucket of a key, by binary search.
    pub(crate) fn search(&self, key: u64) -> usize {
        self.bounds.partition_point(|&bound| bound < key)
    }

    /// The counts of the classic buckets, not cumulative; the last one is `+Inf`.
    pub(crate) fn fold_classic(&self, counts: &[u64], into: &mut Vec<u64>) {
        into.clear();
        into.resize(self.classic.len() + 1, 0);
        for (&count, &bucket) in counts.iter().zip(&self.classic_of) {
            into[usize::from(bucket)] += count;
        }
    }

    /// The native buckets that are not empty, by ascending index, with the counts of the zero bucket first.
    pub(crate) fn fold_native(&self, counts: &[u64], into: &mut Vec<(i32, u64)>) -> u64 {
        into.clear();
        let mut zero = 0;
        let Some(native) = self.native else { return 0 };
        for (&count, &index) in counts.iter().zip(&self.native_of) {
            if index == native.lowest {
                zero += count;
            } else if count > 0 {
                match into.last_mut() {
                    Some((last, sum)) if *last == index => *sum += count,
                    _ => into.push((index, count)),
                }
            }
        }
        zero
    }

    /// The zero threshold of the native histogram.
    pub(crate) fn zero_threshold(&self) -> f64 {
        self.native.map_or(0.0, |native| native::upper_bound(native.schema, native.lowest))
    }

    /// The exposed value of a key.
    pub(crate) fn value(&self, key: u64) -> f64 {
        match self.domain {
            Domain::Nanoseconds => key as f64 / 1e9,
            Domain::Integers => key as f64,
            Domain::Floats => f64::from_bits(key),
        }
    }

    /// The limits of a bucket, lower exclusive and upper inclusive, in the unit of the exposition.
    pub(crate) fn limits(&self, bucket: usize) -> (f64, f64) {
        let low = if bucket == 0 { 0.0 } else { self.value(self.bounds[bucket - 1]) };
        let high = self.bounds.get(bucket).map_or(f64::INFINITY, |&key| self.value(key));
        (low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bucket as the record path finds it.
    fn index(grid: &Grid, key: u64) -> usize {
        let position = match grid.domain.keys() {
            Keys::Integers => position_of_integer(key),
            Keys::Floats => position_of_float(key),
        };
        grid.bucket(position, key)
    }

    /// All bounds in the unit of the exposition, without the grid's own arithmetic.
    fn all_bounds(classic: &[f64], native: Option<Native>) -> Vec<f64> {
        let mut bounds = classic.to_vec();
        if let Some(native) = native {
            bounds.extend((native.lowest..=native.highest).map(|i| native::upper_bound(native.schema, i)));
        }
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        bounds
    }

    /// How many distinct bounds separate the value from zero: the naive twin of the grid. Bounds that no key tells
    /// apart count once, since the grid cannot have a bucket between them.
    fn naive(grid: &Grid, bounds: &[f64], key: u64) -> usize {
        let value = grid.value(key);
        let below = bounds.iter().filter(|&&bound| bound < value);
        let mut keys: Vec<u64> = below
            .map(|&bound| {
                // The largest key not above the bound, by bisection over the definition itself.
                let (mut low, mut high) =
                    (0_u64, if grid.domain == Domain::Floats { f64::MAX.to_bits() } else { LIMIT });
                while low < high {
                    let middle = low + (high - low).div_ceil(2);
                    if grid.value(middle) <= bound { low = middle } else { high = middle - 1 }
                }
                low
            })
            .collect();
        keys.dedup();
        keys.len()
    }

    fn check_around(grid: &Grid, bounds: &[f64], key: u64) {
        for key in key.saturating_sub(2)..=key + 2 {
            if grid.domain == Domain::Floats || key < LIMIT {
                assert_eq!(index(grid, key), naive(grid, bounds, key), "key {key}, value {}", grid.value(key));
                assert_eq!(grid.search(key), index(grid, key), "key {key}");
            }
        }
    }

    fn check_grid(domain: Domain, buckets: &Buckets, random: &[u64]) {
        buckets.check().unwrap();
        let grid = Grid::shared(domain, buckets);
        let bounds = all_bounds(&grid.classic, grid.native);
        for &key in grid.bounds.iter().chain(random) {
            check_around(&grid, &bounds, key);
        }
        // Both folds keep every count and put it where its bound says.
        let counts: Vec<u64> = (0..grid.len() as u64).map(|i| i % 7).collect();
        let total: u64 = counts.iter().sum();
        let mut classic = Vec::new();
        grid.fold_classic(&counts, &mut classic);
        assert_eq!(classic.iter().sum::<u64>(), total);
        let mut cumulative = 0;
        for (i, &bound) in grid.classic.iter().enumerate() {
            cumulative += classic[i];
            let want: u64 = counts.iter().enumerate().filter(|&(b, _)| grid.limits(b).1 <= bound).map(|(_, n)| n).sum();
            assert_eq!(cumulative, want, "classic bound {bound}");
        }
        if let Some(native) = grid.native {
            let mut sparse = Vec::new();
            let zero = grid.fold_native(&counts, &mut sparse);
            assert_eq!(zero + sparse.iter().map(|(_, n)| n).sum::<u64>(), total);
            for &(index, n) in &sparse {
                let upper = native::upper_bound(native.schema, index);
                let lower = native::upper_bound(native.schema, index - 1);
                let inside = |b: usize| {
                    let limit = grid.limits(b).1;
                    limit > lower && (limit <= upper || index > native.highest)
                };
                let want: u64 = (0..grid.len()).filter(|&b| inside(b)).map(|b| counts[b]).sum();
                assert_eq!(n, want, "native bucket {index}");
            }
        }
    }

    const DOMAINS: [Domain; 3] = [Domain::Nanoseconds, Domain::Integers, Domain::Floats];

    #[test]
    fn every_bound_of_the_default_grids_and_its_neighbours_are_found_exactly() {
        for domain in DOMAINS {
            let random: Vec<u64> = (0..2_000_u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20).collect();
            check_grid(domain, &Buckets::DEFAULT, &random);
            assert!(!Grid::shared(domain, &Buckets::DEFAULT).table.is_empty());
        }
    }

    #[test]
    fn thirty_milliseconds_is_in_the_bucket_of_thirty_milliseconds() {
        let grid = Grid::shared(Domain::Nanoseconds, &Buckets::classic(&[0.03]));
        assert_eq!(grid.limits(index(&grid, 30_000_000)).1, 0.03);
        assert!(grid.limits(index(&grid, 30_000_001)).1 > 0.03);
    }

    #[test]
    fn the_bounds_of_the_serving_catalogues_fit_the_table() {
        // vLLM, SGLang and OpenTelemetry together, for TTFT and for the time between tokens.
        const TTFT: &[f64] = &[
            0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.2, 0.25, 0.4, 0.5, 0.6, 0.75, 0.8, 1.0, 2.0, 2.5, 4.0,
            5.0, 6.0, 7.5, 8.0, 10.0, 20.0, 40.0, 60.0, 80.0, 100.0, 160.0, 200.0, 400.0, 640.0, 2560.0,
        ];
        const ITL: &[f64] = &[
            0.00025, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03,
            0.035, 0.04, 0.05, 0.06, 0.075, 0.08, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.8, 1.0, 2.0, 2.5, 4.0,
            5.0, 6.0, 7.5, 8.0, 10.0, 20.0, 40.0, 80.0,
        ];
        for bounds in [TTFT, ITL] {
            assert!(!Grid::shared(Domain::Nanoseconds, &Buckets::classic(bounds)).table.is_empty());
        }
    }

    #[test]
    fn equal_buckets_share_one_grid() {
        let a = Grid::shared(Domain::Integers, &Buckets::classic_from([1.0, 5.0]));
        let b = Grid::shared(Domain::Integers, &Buckets::classic(&[1.0, 5.0]));
        assert!(Arc::ptr_eq(&a, &b));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn the_index_equals_a_naive_search(
            domain in prop::sample::select(&DOMAINS),
            schema in -4_i8..=8,
            native in any::<bool>(),
            exponents in prop::collection::vec(-18.0_f64..18.0, 0..40),
            range in (-10.0_f64..4.0, 0.5_f64..4.0),
            random in prop::collection::vec(0_u64..LIMIT, 50),
        ) {
            let scale = if domain == Domain::Integers { 18.0 } else { 0.0 };
            let mut classic: Vec<f64> = exponents.iter().map(|e| (e + scale).exp2()).collect();
            classic.sort_by(f64::total_cmp);
            classic.dedup();
            let buckets = Buckets::classic_from(classic);
            let low = (range.0 + scale).exp2();
            let buckets = if native {
                buckets.native(schema).range(low, low * range.1.exp2())
            } else {
                buckets.without_native()
            };
            let random: Vec<u64> = match domain {
                Domain::Floats => random.iter().map(|&v| ((v as f64 / LIMIT as f64 - 0.5) * 40.0).exp2().to_bits()).collect(),
                // Log-uniform: shift by a few of the value's own bits.
                _ => random.iter().map(|&v| v >> (v % 40)).collect(),
            };
            check_grid(domain, &buckets, &random);
        }
    }
}
