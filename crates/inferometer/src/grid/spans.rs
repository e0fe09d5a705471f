//! Which buckets have an exemplar between them.
//!
//! The classic exposition has room for one exemplar in each of its buckets, so a histogram with classic bounds keeps
//! one for each. Where there are native buckets alone, one for each doubling tells the fast from the slow. Where either
//! would be more than [`MOST_SPANS`], neighbours share one.

use super::{Grid, Native};

/// The most exemplars of a histogram.
pub(crate) const MOST_SPANS: usize = 64;

impl Grid {
    /// How many exemplars a histogram with this grid keeps.
    pub(crate) fn spans(&self) -> usize {
        self.natural_spans().min(MOST_SPANS)
    }

    /// The place of a bucket's exemplar among them. It rises with the bucket.
    pub(crate) fn span(&self, bucket: usize) -> usize {
        let natural = if !self.classic.is_empty() {
            self.classic_bucket(bucket)
        } else if let (Some(native), Some(&index)) = (self.native, self.native_of.get(bucket)) {
            native.doubling(index)
        } else {
            0
        };
        let spans = self.natural_spans();
        if spans <= MOST_SPANS { natural } else { natural * MOST_SPANS / spans }
    }

    /// The classic bucket that holds a bucket; the number of finite bounds is `+Inf`.
    pub(crate) fn classic_bucket(&self, bucket: usize) -> usize {
        self.classic_of.get(bucket).map_or(self.classic.len(), |&classic| usize::from(classic))
    }

    fn natural_spans(&self) -> usize {
        match self.native {
            Some(native) if self.classic.is_empty() => native.doubling(native.highest.saturating_add(1)) + 1,
            _ => self.classic.len() + 1,
        }
    }
}

impl Native {
    /// The number of a native bucket's doubling, from the zero bucket on, which is one of its own. Below schema 0 a
    /// bucket is several doublings wide, and each is one of its own.
    fn doubling(self, index: i32) -> usize {
        let per_doubling = self.schema.max(0);
        // A doubling ends with the index that is a multiple of what it holds.
        let doublings = |index: i32| i64::from(index.saturating_sub(1)) >> per_doubling;
        if index <= self.lowest { 0 } else { (1 + doublings(index) - doublings(self.lowest + 1)) as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Buckets, Domain};
    use super::*;
    use proptest::prelude::*;

    fn spans_of(grid: &Grid) -> Vec<usize> {
        (0..grid.len()).map(|bucket| grid.span(bucket)).collect()
    }

    #[test]
    fn with_classic_bounds_each_classic_bucket_is_a_span() {
        let grid = Grid::shared(Domain::Nanoseconds, &Buckets::DEFAULT);
        assert_eq!(grid.spans(), grid.classic.len() + 1);
        for bucket in 0..grid.len() {
            assert_eq!(grid.span(bucket), grid.classic_bucket(bucket));
        }
    }

    #[test]
    fn without_classic_bounds_a_span_is_a_doubling() {
        let grid = Grid::shared(Domain::Floats, &Buckets::DEFAULT.without_classic().range(1.0, 16.0));
        // Zero, four doublings, and what is above.
        assert_eq!(grid.spans(), 6);
        for (value, span) in [(0.0, 0), (1.0, 0), (1.01, 1), (2.0, 1), (2.01, 2), (16.0, 4), (16.01, 5), (1e9, 5)] {
            assert_eq!(grid.span(grid.search(f64::to_bits(value))), span, "{value}");
        }
    }

    #[test]
    fn without_any_bounds_there_is_one_span() {
        let grid = Grid::shared(Domain::Integers, &Buckets::DEFAULT.without_classic().without_native());
        assert_eq!((grid.len(), grid.spans(), grid.span(0)), (1, 1, 0));
    }

    proptest! {
        #[test]
        fn spans_are_few_and_rise_with_the_buckets(
            domain in prop::sample::select(&[Domain::Nanoseconds, Domain::Integers, Domain::Floats]),
            schema in prop::option::of(-4_i8..=8),
            bounds in prop::collection::btree_set(1_u32..100_000, 0..200),
            range in (-40.0_f64..20.0, 0.5_f64..50.0),
        ) {
            let classic: Vec<f64> = bounds.iter().map(|&bound| f64::from(bound) / 64.0).collect();
            let buckets = Buckets::classic_from(classic).range(range.0.exp2(), (range.0 + range.1).exp2());
            let buckets = match schema {
                Some(schema) => buckets.native(schema),
                None => buckets.without_native(),
            };
            prop_assume!(buckets.check().is_ok());
            let grid = Grid::shared(domain, &buckets);
            let spans = spans_of(&grid);
            prop_assert!(grid.spans() <= MOST_SPANS);
            prop_assert!(spans.is_sorted());
            prop_assert!(spans.iter().all(|&span| span < grid.spans()));
        }
    }
}
