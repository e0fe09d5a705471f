//! The threads that record: how much processor time they take, and where their tables are.
//!
//! A thread joins when it gets its slab and leaves before it gives it back, both under one lock, so whoever holds the
//! lock may look at the threads that are in the list: none of them has ended.

use super::thread::{self, ChunkTable};
use crate::sync::{Mutex, MutexGuard, lock};
use std::ptr;
use std::time::Duration;

static RECORDERS: Mutex<Recorders> = Mutex::new(Recorders { live: Vec::new(), ended: Duration::ZERO });

/// The threads that have slabs.
#[derive(Debug)]
pub(crate) struct Recorders {
    live: Vec<Recorder>,
    /// The processor time of those that have ended.
    ended: Duration,
}

#[derive(Debug)]
struct Recorder {
    table: *const ChunkTable,
    clock: Option<CpuClock>,
    /// What the clock said when the thread joined.
    before: Duration,
}

// SAFETY: validity: the table is read under the lock only, by which its thread has not ended. Aliasing: it is made of
// atomics.
unsafe impl Send for Recorder {}

/// The present thread, whose table this is, gets its slab.
pub(super) fn join(table: &ChunkTable) {
    lock(&RECORDERS).live.push(Recorder::of_this_thread(table));
}

/// The present thread gives its slab back.
pub(super) fn leave(table: &ChunkTable) {
    let mut recorders = lock(&RECORDERS);
    if let Some(at) = recorders.live.iter().position(|recorder| ptr::eq(recorder.table, table)) {
        let recorder = recorders.live.swap_remove(at);
        recorders.ended += recorder.used();
    }
}

/// How many threads record.
pub(crate) fn threads() -> usize {
    lock(&RECORDERS).live.len()
}

/// The processor time of these and of those that have ended, each since it began to record. Zero where the system does not
/// say.
pub(crate) fn cpu_time() -> Duration {
    let recorders = lock(&RECORDERS);
    let live: Duration = recorders.live.iter().map(Recorder::used).sum();
    recorders.ended + live
}

/// Clears the tables of all threads that record.
pub(super) fn clear_tables() {
    for recorder in &lock(&RECORDERS).live {
        // SAFETY: validity: the thread has not left, which it does under this lock before its memory goes. Aliasing: the
        // table is made of atomics.
        thread::clear(unsafe { &*recorder.table });
    }
}

/// The lock, to be held across a `fork`.
#[cfg(unix)]
pub(crate) fn hold() -> MutexGuard<'static, Recorders> {
    lock(&RECORDERS)
}

impl Recorders {
    /// For the child of a fork, which has one thread.
    #[cfg(unix)]
    pub(crate) fn start_over(&mut self, own: Option<&ChunkTable>) {
        let own = |recorder: &Recorder| own.is_some_and(|own| ptr::eq(recorder.table, own));
        self.live.retain(own);
        // It is the same thread for the program, and another one for the system.
        self.live.iter_mut().for_each(|recorder| *recorder = Recorder::of_this_thread(recorder.table));
        self.ended = Duration::ZERO;
    }
}

impl Recorder {
    fn of_this_thread(table: *const ChunkTable) -> Self {
        let clock = CpuClock::of_this_thread();
        Recorder { table, clock, before: clock.map_or(Duration::ZERO, CpuClock::read) }
    }

    fn used(&self) -> Duration {
        self.clock.map_or(Duration::ZERO, |clock| clock.read().saturating_sub(self.before))
    }
}

/// The clock of a thread's processor time, which other threads can read.
#[derive(Clone, Copy, Debug)]
struct CpuClock(#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))] libc::clockid_t);

#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
impl CpuClock {
    fn of_this_thread() -> Option<Self> {
        let mut clock = 0;
        // SAFETY: validity: it takes nothing and cannot fail. Aliasing: no memory is passed.
        let thread = unsafe { libc::pthread_self() };
        // SAFETY: validity: the thread is the present one, and the pointer is to a whole clock id. Aliasing: nobody else
        // has it.
        let failed = unsafe { libc::pthread_getcpuclockid(thread, &mut clock) };
        (failed == 0).then_some(CpuClock(clock))
    }

    fn read(self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: validity: the pointer is to a whole `timespec`; a clock that is no more is an error. Aliasing: nobody
        // else has it.
        unsafe { libc::clock_gettime(self.0, &mut time) };
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
    }
}

/// Where the system has no such clock.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
impl CpuClock {
    fn of_this_thread() -> Option<Self> {
        None
    }

    fn read(self) -> Duration {
        Duration::ZERO
    }
}
