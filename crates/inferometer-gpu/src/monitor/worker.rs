//! The probe's thread: it opens the driver, asks, waits, and begins again when something does not work.

use super::backoff::Backoff;
use super::event_thread::EventThread;
use super::state::{Number, Shared, Shown};
use super::totals::Totals;
use super::{Config, Status, plausible};
use crate::call::{Call, Tier};
use crate::error::{ProbeError, Reason};
use crate::probe::{Device, Probe, Session};
use crate::reading::{Readings, Value};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Worker {
    config: Arc<Config>,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    totals: Totals,
    backoff: Backoff,
    events: EventThread,
}

/// Why a session is over.
enum End {
    Stopped,
    /// The driver does not work.
    Failed(ProbeError),
    /// A GPU does not work, which was said already, or there are other GPUs than there were: the driver is to be opened
    /// again.
    Again,
}

/// A GPU in a session.
struct Watched {
    /// Its place in the driver's list.
    place: usize,
    device: Device,
    /// What it does not have.
    unsupported: BTreeSet<Call>,
    /// Why it does not answer. It is left alone until the driver is opened again.
    failing: Option<ProbeError>,
}

/// What one call came to.
enum Answer {
    Given,
    /// The GPU does not have it.
    Unsupported,
    Failed(ProbeError),
}

impl Worker {
    pub(super) fn new(config: Arc<Config>, shared: Arc<Shared>, stop: Arc<AtomicBool>) -> Self {
        let (first, limit) = config.backoff;
        Worker {
            config,
            shared,
            stop,
            totals: Totals::default(),
            backoff: Backoff::new(first, limit),
            events: EventThread::default(),
        }
    }

    pub(super) fn run(mut self, mut probe: Box<dyn Probe>) {
        while !self.is_stopped() {
            // What a panic leaves behind in a session goes with the session.
            let end = catch_unwind(AssertUnwindSafe(|| self.session(&mut *probe))).unwrap_or_else(|_| self.panicked());
            // The driver cannot be opened anew while somebody still listens to it.
            self.events.close();
            match end {
                End::Stopped => break,
                End::Failed(error) => {
                    self.say_down(error);
                    let wait = self.backoff.next();
                    self.sleep(wait);
                }
                End::Again => {}
            }
        }
        self.events.close();
        // A driver's own end may panic as well.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(probe)));
    }

    fn session(&mut self, probe: &mut dyn Probe) -> End {
        let opened = self.timed(Call::Open, || probe.open().map(|session| (session.driver(), session))).0;
        let (driver, mut session) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.shared.lock().driver = None;
                return self.failed(Call::Open, error);
            }
        };
        let name = driver.name;
        self.shared.lock().driver = Some(driver);
        let (mut watched, incomplete) = match self.list(&mut *session) {
            Ok(listed) => listed,
            Err(error) => return self.failed(Call::Devices, error),
        };
        self.listen(&mut *session);
        let mut calls: Vec<Call> = session.capabilities().to_vec();
        calls.retain(|&call| call != Call::Processes || self.config.process_memory);

        let mut due = Tier::ALL.map(|_| Instant::now());
        due[Tier::Rare as usize] += self.config.interval(Tier::Rare);
        let mut reopen: Option<Instant> = None;
        while !self.is_stopped() {
            let (mut late, trouble) = (false, incomplete.clone());
            for tier in [Tier::Fast, Tier::Slow] {
                if Instant::now() < due[tier as usize] {
                    continue;
                }
                due[tier as usize] = Instant::now() + self.config.interval(tier);
                match self.pass(&mut *session, &mut watched, &calls, tier) {
                    Ok(was_late) => late |= was_late,
                    Err(end) => return end,
                }
            }
            match trouble.or_else(|| watched.iter().find_map(|gpu| gpu.failing.clone())) {
                Some(error) => {
                    self.say(Status::Down { driver: Some(name), error });
                    let backoff = &mut self.backoff;
                    let at = *reopen.get_or_insert_with(|| Instant::now() + backoff.next());
                    if Instant::now() >= at {
                        return End::Again;
                    }
                }
                None => {
                    self.say(Status::Up { driver: name, devices: watched.len() });
                    if !late {
                        self.backoff.reset();
                    }
                }
            }
            if Instant::now() >= due[Tier::Rare as usize] {
                due[Tier::Rare as usize] = Instant::now() + self.config.interval(Tier::Rare);
                let before: Vec<Device> = watched.iter().map(|gpu| gpu.device.clone()).collect();
                match self.list(&mut *session) {
                    Ok((now, missing)) => {
                        if now.iter().map(|gpu| &gpu.device).ne(&before) || missing.is_some() != incomplete.is_some() {
                            return End::Again;
                        }
                    }
                    Err(error) => return self.failed(Call::Devices, error),
                }
                self.listen(&mut *session);
            }
            let next = due.into_iter().chain(reopen).min().unwrap_or_else(Instant::now);
            self.sleep(next.saturating_duration_since(Instant::now()));
        }
        End::Stopped
    }

    /// Lists the GPUs that are to be watched. The second value says what is wrong with the list.
    fn list(&mut self, session: &mut dyn Session) -> Result<(Vec<Watched>, Option<ProbeError>), ProbeError> {
        let listed = self.timed(Call::Devices, || session.devices()).0?;
        let devices: Vec<Device> = listed.iter().filter_map(|device| device.as_ref().ok().cloned()).collect();
        let (mut watched, mut errors) = (Vec::new(), Vec::new());
        for (place, device) in listed.into_iter().enumerate() {
            match device {
                Ok(device) if self.config.devices.includes(&device, &devices) => {
                    watched.push(Watched { place, device, unsupported: BTreeSet::new(), failing: None });
                }
                Ok(_) => {}
                // Where GPUs are named, another one may be broken.
                Err(error) if self.config.devices.are_all() => errors.push(error),
                Err(_) => {}
            }
        }
        let missing = self.config.devices.missing(&devices);
        if !missing.is_empty() {
            errors.push(ProbeError::new(Reason::NotFound, format!("there is no GPU {}", missing.join(", "))));
        }
        let mut state = self.shared.lock();
        for error in &errors {
            state.count_failure(Call::Devices, error.reason());
        }
        let list: Vec<Device> = watched.iter().map(|gpu| gpu.device.clone()).collect();
        state.list(&list, Instant::now());
        drop(state);
        Ok((watched, errors.pop()))
    }

    /// Starts the second thread, unless it runs or there is nothing to listen to.
    fn listen(&mut self, session: &mut dyn Session) {
        if self.events.is_running() {
            return;
        }
        match self.timed(Call::Events, || session.events()).0 {
            Ok(None) => {}
            Ok(Some(source)) => self.events.start(source, &self.shared),
            Err(error) if error.reason().is_lasting() => {}
            Err(error) => self.shared.lock().count_failure(Call::Events, error.reason()),
        }
    }

    /// Makes the calls of a tier, and says whether one of them was late. After such a one the driver is left alone for a
    /// while.
    fn pass(
        &mut self,
        session: &mut dyn Session,
        watched: &mut [Watched],
        calls: &[Call],
        tier: Tier,
    ) -> Result<bool, End> {
        let mut any_late = false;
        for gpu in watched.iter_mut().filter(|gpu| gpu.failing.is_none()) {
            let (mut answered, mut failed) = (false, None);
            for &call in calls.iter().filter(|call| call.tier() == tier) {
                if self.is_stopped() {
                    return Err(End::Stopped);
                }
                if gpu.unsupported.contains(&call) {
                    continue;
                }
                let (answer, late) = self.ask(session, gpu, call);
                if late {
                    any_late = true;
                    let wait = self.backoff.next();
                    self.sleep(wait);
                }
                match answer {
                    Answer::Given => answered = true,
                    Answer::Unsupported => {
                        gpu.unsupported.insert(call);
                    }
                    Answer::Failed(error) if error.reason().is_of_driver() => return Err(End::Failed(error)),
                    Answer::Failed(error) => {
                        let is_final = error.reason().is_of_device();
                        failed = Some(error);
                        if is_final {
                            answered = false;
                            break;
                        }
                    }
                }
            }
            gpu.failing = failed.filter(|_| !answered);
        }
        Ok(any_late)
    }

    /// Makes a call, and puts what it gives where scrapes find it. Says as well whether it was late.
    fn ask(&mut self, session: &mut dyn Session, gpu: &Watched, call: Call) -> (Answer, bool) {
        let mut readings = Readings::default();
        let (result, late) = self.timed(call, || session.read(gpu.place, call, &mut readings));
        let answer = match result {
            Ok(()) => Answer::Given,
            Err(error) if error.reason() == Reason::Unsupported => Answer::Unsupported,
            Err(error) => {
                self.shared.lock().count_failure(call, error.reason());
                log::debug!("{} of GPU {}: {error}", call.as_str(), gpu.device.index);
                if error.reason().is_lasting() { Answer::Unsupported } else { Answer::Failed(error) }
            }
        };
        let shared = Arc::clone(&self.shared);
        let (mut state, now) = (shared.lock(), Instant::now());
        for error in readings.failures() {
            state.count_failure(call, error.reason());
        }
        let fit = plausible::fit(readings.readings());
        for reading in readings.readings() {
            let uuid = &gpu.device.uuid;
            let number = match reading.value {
                _ if !fit => None,
                Value::Gauge(value) => plausible::is_gauge(reading.metric, value).then_some(Number::Gauge(value)),
                Value::Counter(raw) => {
                    self.totals.add(uuid, reading.metric, reading.labels, raw, now).map(Number::Count)
                }
            };
            match (number, state.devices.get_mut(uuid)) {
                (Some(value), Some(known)) => {
                    let shown = Shown { value, at: now, tier: call.tier() };
                    known.values.insert((reading.metric, reading.labels), shown);
                }
                (None, _) => state.count_failure(call, Reason::Implausible),
                (Some(_), None) => {}
            }
        }
        if let (Answer::Given, Some(known)) = (&answer, state.devices.get_mut(&gpu.device.uuid)) {
            known.seen = now;
        }
        (answer, late)
    }

    /// Makes a call so that scrapes see that it is under way. Says as well whether it was late.
    fn timed<T>(&self, call: Call, make: impl FnOnce() -> T) -> (T, bool) {
        self.shared.lock().begin(call, Instant::now(), self.config.deadline(call));
        let result = make();
        let late = self.shared.lock().end(Instant::now());
        (result, late)
    }

    fn failed(&self, call: Call, error: ProbeError) -> End {
        self.shared.lock().count_failure(call, error.reason());
        End::Failed(error)
    }

    /// After a panic, which the panic hook has told of.
    fn panicked(&self) -> End {
        let mut state = self.shared.lock();
        let call = state.in_flight.as_ref().map_or(Call::Open, |call| call.call);
        state.end(Instant::now());
        drop(state);
        self.failed(call, ProbeError::new(Reason::Panicked, format!("the probe panicked in `{}`", call.as_str())))
    }

    fn say_down(&self, error: ProbeError) {
        let driver = self.shared.lock().driver.as_ref().map(|driver| driver.name);
        self.say(Status::Down { driver, error });
    }

    fn say(&self, status: Status) {
        let mut state = self.shared.lock();
        let is_news = status.is_news_after(&state.status);
        state.status = status.clone();
        state.came_round = Instant::now();
        drop(state);
        if !is_news {
            return;
        }
        match &status {
            Status::Down { driver: Some(_), .. } => log::warn!("{status}"),
            _ => log::info!("{status}"),
        }
        if let Some(told) = &self.config.on_status {
            // A panic of the user's must not end the thread.
            let _ = catch_unwind(AssertUnwindSafe(|| told(&status)));
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Until the time is over or somebody stops the monitor.
    fn sleep(&self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_stopped() {
                return;
            }
            thread::park_timeout(left);
        }
    }
}
