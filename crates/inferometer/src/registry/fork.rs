//! What happens to the metrics of a process that forks.
//!
//! The child starts counting at zero: what its parent counted, its parent exposes. The threads of the parent do not
//! exist in the child, so their slabs are free there. All locks are held across the fork, because a lock that another
//! thread holds at that moment would stay locked in the child for ever.

use super::collector::{Desk, Poller};
use super::family::Table;
use super::list::SeriesList;
use super::series::Life;
use super::{Directory, Family, Inner, account, all_registries};
use crate::clock;
use crate::storage::recorders::{self, Recorders};
use crate::storage::{self, POOL, Ranges, Slab};
use crate::sync::{Mutex, MutexGuard, lock};
use std::cell::RefCell;
use std::sync::{Arc, Once, Weak};

/// Installs the handlers, once.
pub(super) fn watch() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: validity: the functions live as long as the program and have the type that is asked for. Aliasing: no
        // memory is passed.
        let failed = unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
        if failed != 0 {
            log::warn!("pthread_atfork failed: a forked child will go on from its parent's counts");
        }
    });
}

/// Everything that is locked. The fields are unlocked from the top down, the reverse of the order of locking.
struct Held {
    _clock: clock::Held,
    recorders: MutexGuard<'static, Recorders>,
    parked: MutexGuard<'static, Vec<&'static Slab>>,
    _ranges: MutexGuard<'static, Ranges>,
    registries: Vec<HeldRegistry>,
    _all: MutexGuard<'static, Vec<Weak<Inner>>>,
}

struct HeldRegistry {
    _desks: Vec<MutexGuard<'static, Desk>>,
    _lives: Vec<MutexGuard<'static, Life>>,
    _tables: Vec<MutexGuard<'static, Table>>,
    _directory: MutexGuard<'static, Directory>,
    // The owners of the mutexes come last, so that they outlive the guards.
    collectors: Arc<Vec<Arc<Poller>>>,
    _series: Vec<SeriesList>,
    _families: Arc<Vec<Arc<Family>>>,
    registry: Arc<Inner>,
}

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

extern "C" fn prepare() {
    let all = all_registries();
    let registries = all.iter().filter_map(Weak::upgrade).map(hold).collect();
    let (parked, ranges) = POOL.hold();
    let recorders = recorders::hold();
    let held = Held { _clock: clock::hold(), recorders, parked, _ranges: ranges, registries, _all: all };
    // Where the thread is ending, its thread-locals are gone and the locks are let go at once.
    let _ = HELD.try_with(|slot| slot.replace(Some(held)));
}

extern "C" fn parent() {
    let _ = HELD.try_with(RefCell::take);
}

extern "C" fn child() {
    let _ = HELD.try_with(|slot| {
        if let Some(mut held) = slot.take() {
            POOL.start_over(&mut held.parked, storage::own_slab());
            storage::own_table(|table| held.recorders.start_over(table));
            account::start_over();
            for held in &held.registries {
                held.registry.shared.retired.start_over();
                held.collectors.iter().for_each(|collector| collector.start_over());
            }
        }
    });
}

fn hold(registry: Arc<Inner>) -> HeldRegistry {
    let directory = lock_for_ever(&registry.directory);
    let families = Arc::clone(&directory.list);
    let tables: Vec<_> = families.iter().map(|family| lock_for_ever(family.mutex())).collect();
    // A scrape holds these without the locks above.
    let series: Vec<_> = tables.iter().map(|table| table.series()).collect();
    let lives = series.iter().flat_map(|list| list.iter()).map(|series| series.mutex());
    let lives = lives.map(lock_for_ever).collect();
    let collectors = Arc::clone(&directory.collectors);
    let desks = collectors.iter().map(|collector| lock_for_ever(collector.mutex())).collect();
    HeldRegistry {
        _desks: desks,
        _lives: lives,
        _tables: tables,
        _directory: directory,
        collectors,
        _series: series,
        _families: families,
        registry,
    }
}

fn lock_for_ever<T>(mutex: &Mutex<T>) -> MutexGuard<'static, T> {
    // SAFETY: validity: the owner of the mutex stands behind the guard in the same struct, so it is dropped after it.
    // Aliasing: a mutex is shared.
    let mutex: &'static Mutex<T> = unsafe { &*std::ptr::from_ref(mutex) };
    lock(mutex)
}
