//! Events that a driver tells of by itself.

use crate::error::ProbeError;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Waits for events, on a thread of its own.
pub trait EventSource: Send {
    /// Blocks and hands events to `sink`, until [`EventSink::is_closed`]. It has to look at that once a second or so.
    ///
    /// # Errors
    /// When the driver has no more events to give.
    fn run(&mut self, sink: &EventSink<'_>) -> Result<(), ProbeError>;
}

/// Takes events.
pub struct EventSink<'a> {
    closed: &'a AtomicBool,
    take: &'a dyn Fn(&str, u64),
}

impl<'a> EventSink<'a> {
    /// Hands events to `take`, as [`EventSink::xid`] gets them, until `closed` is set.
    pub fn new(closed: &'a AtomicBool, take: &'a dyn Fn(&str, u64)) -> Self {
        EventSink { closed, take }
    }

    /// Whether nobody wants any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// A GPU reported an error, which NVIDIA calls Xid and gives a number.
    pub fn xid(&self, uuid: &str, xid: u64) {
        (self.take)(uuid, xid);
    }
}

impl std::fmt::Debug for EventSink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventSink").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}
