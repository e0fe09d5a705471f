//! The series of a family, in the order of their creation.

use super::series::Series;
use std::sync::Arc;

/// A list that a scrape copies at once, by its reference, and that can be added to meanwhile. What both then share is
/// copied before it is changed: a block of series, and not all of them, since each costs an atomic add to a cache line
/// that the scrape is using as well.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesList {
    blocks: Arc<Vec<Block>>,
    len: usize,
}

type Block = Arc<Vec<Arc<Series>>>;

const BLOCK: usize = 32;

impl SeriesList {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Series>> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    pub(super) fn push(&mut self, series: Arc<Series>) {
        self.len += 1;
        let blocks = Arc::make_mut(&mut self.blocks);
        match blocks.last_mut() {
            Some(last) if last.len() < BLOCK => Arc::make_mut(last).push(series),
            _ => blocks.push(Arc::new(vec![series])),
        }
    }

    pub(super) fn remove(&mut self, series: &Arc<Series>) {
        let blocks = Arc::make_mut(&mut self.blocks);
        let holds = |block: &Block| block.iter().position(|other| Arc::ptr_eq(other, series));
        let place = blocks.iter().enumerate().find_map(|(at, block)| Some((at, holds(block)?)));
        if let Some((at, place)) = place {
            self.len -= 1;
            Arc::make_mut(&mut blocks[at]).remove(place);
            if blocks[at].is_empty() {
                blocks.remove(at);
            }
        }
    }
}
