//! What the probe's thread leaves for scrapes. The lock is held for as long as it takes to copy some numbers, and never
//! while a driver is called.

use super::status::Status;
use crate::call::{Call, Tier};
use crate::error::Reason;
use crate::metric::Metric;
use crate::probe::{Device, Driver};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The state behind its lock.
#[derive(Debug)]
pub(super) struct Shared(Mutex<State>);

/// What is known.
#[derive(Debug)]
pub(super) struct State {
    pub(super) status: Status,
    /// When the thread last said how it is.
    pub(super) came_round: Instant,
    pub(super) driver: Option<Driver>,
    /// By UUID.
    pub(super) devices: BTreeMap<String, Known>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) costs: BTreeMap<Call, Cost>,
    pub(super) failures: BTreeMap<(Call, Reason), u64>,
    /// By UUID and number.
    pub(super) xids: BTreeMap<(String, u64), Xid>,
}

/// A GPU that was listed at some time.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) device: Device,
    /// Whether it was in the latest list.
    pub(super) listed: bool,
    /// When a call for it last succeeded; when it was first listed before that.
    pub(super) seen: Instant,
    pub(super) values: BTreeMap<(Metric, &'static [&'static str]), Shown>,
}

/// A value, ready to be exposed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) value: Number,
    pub(super) at: Instant,
    pub(super) tier: Tier,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Gauge(f64),
    Count(u64),
}

/// A call that has not returned.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) call: Call,
    pub(super) since: Instant,
    pub(super) deadline: Duration,
    /// Whether it was counted as a failure already.
    counted: bool,
}

/// What a call has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub(super) calls: u64,
    pub(super) total: Duration,
    pub(super) latest: Duration,
}

/// Errors of one number.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Xid {
    pub(super) count: u64,
    /// When the latest came, in seconds since 1970.
    pub(super) latest: f64,
}

/// How many different errors of GPUs are kept; NVIDIA has some 150 numbers.
const MOST_XIDS: usize = 1_000;

impl Shared {
    pub(super) fn new() -> Self {
        Shared(Mutex::new(State {
            status: Status::Starting,
            came_round: Instant::now(),
            driver: None,
            devices: BTreeMap::new(),
            in_flight: None,
            costs: BTreeMap::new(),
            failures: BTreeMap::new(),
            xids: BTreeMap::new(),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the driver answers for all GPUs that are watched, and did so within `lifetime`.
    pub(super) fn is_up(&self, now: Instant, lifetime: Duration) -> bool {
        self.status.is_up()
            && now.saturating_duration_since(self.came_round) <= lifetime
            && !self.in_flight.as_ref().is_some_and(|call| call.is_overdue(now))
    }

    pub(super) fn count_failure(&mut self, call: Call, reason: Reason) {
        *self.failures.entry((call, reason)).or_default() += 1;
    }

    pub(super) fn begin(&mut self, call: Call, since: Instant, deadline: Duration) {
        self.in_flight = Some(InFlight { call, since, deadline, counted: false });
    }

    /// The call under way has returned; says whether it was too late.
    pub(super) fn end(&mut self, now: Instant) -> bool {
        self.count_overdue(now);
        let Some(call) = self.in_flight.take() else { return false };
        let took = now - call.since;
        let cost = self.costs.entry(call.call).or_default();
        *cost = Cost { calls: cost.calls + 1, total: cost.total + took, latest: took };
        call.counted
    }

    /// Counts the call under way as a failure once it is too late.
    pub(super) fn count_overdue(&mut self, now: Instant) {
        let Some(call) = self.in_flight.as_mut().filter(|call| !call.counted && call.is_overdue(now)) else { return };
        call.counted = true;
        let call = call.call;
        self.count_failure(call, Reason::Timeout);
    }

    /// Takes the latest list of the GPUs that are watched.
    pub(super) fn list(&mut self, devices: &[Device], now: Instant) {
        self.devices.values_mut().for_each(|known| known.listed = false);
        for device in devices {
            let known = self.devices.entry(device.uuid.clone()).or_insert_with(|| Known {
                device: device.clone(),
                listed: true,
                seen: now,
                values: BTreeMap::new(),
            });
            (known.device, known.listed) = (device.clone(), true);
        }
        // A GPU that is gone keeps its age, so that it is missed. Parts of GPUs come and go as somebody wants them.
        self.devices.retain(|_, known| known.listed || known.device.parent_uuid.is_none());
        for known in self.devices.values_mut().filter(|known| !known.listed) {
            known.values.clear();
        }
    }

    pub(super) fn xid(&mut self, uuid: &str, xid: u64, now: f64) {
        let key = (uuid.to_owned(), xid);
        if self.xids.len() < MOST_XIDS || self.xids.contains_key(&key) {
            let entry = self.xids.entry(key).or_default();
            *entry = Xid { count: entry.count + 1, latest: now };
        }
    }
}

impl InFlight {
    fn is_overdue(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > self.deadline
    }
}
