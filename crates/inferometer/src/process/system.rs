//! What any Unix says by a system call.

use std::time::Duration;

/// Of all threads, those that have ended among them.
pub(super) fn cpu_time() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: validity: the pointer is to a whole `timespec`. Aliasing: it is this function's own.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    // The types of the fields differ between systems; the values are never negative.
    (failed == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// `None` where there is no limit.
pub(super) fn max_fds() -> Option<f64> {
    // SAFETY: validity: the pointer is to a whole `rlimit`. Aliasing: it is `soft_limit`'s own.
    soft_limit(|limit| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, limit) })
}

/// `None` where there is no limit.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn max_virtual_bytes() -> Option<f64> {
    // SAFETY: validity: the pointer is to a whole `rlimit`. Aliasing: it is `soft_limit`'s own.
    soft_limit(|limit| unsafe { libc::getrlimit(libc::RLIMIT_AS, limit) })
}

/// The limit that is in force, and not the one up to which the process may raise it.
fn soft_limit(get: impl FnOnce(&mut libc::rlimit) -> libc::c_int) -> Option<f64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let failed = get(&mut limit);
    (failed == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur as f64)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn page_bytes() -> Option<f64> {
    // SAFETY: validity: any name will do; an unknown one is an error. Aliasing: no memory is passed.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    (bytes > 0).then_some(bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_there_is_not_is_absent() {
        let limit = |current| {
            move |limit: &mut libc::rlimit| {
                limit.rlim_cur = current;
                0
            }
        };
        assert_eq!(soft_limit(limit(1_024)), Some(1_024.0));
        assert_eq!(soft_limit(limit(libc::RLIM_INFINITY)), None);
        assert_eq!(soft_limit(|_| -1), None);
    }
}
