//! Threads on cores of their own.

/// Ties the calling thread to one of the cores that the process may use: the `index`-th, counted round. Does nothing
/// where the system has no such call.
pub fn to_core(index: usize) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: validity: an all-zero set is a valid, empty one.
        let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: validity: the set is as large as is said. It is not shared.
        let failed = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut allowed) };
        // SAFETY: `core` is below the size of the set.
        let is_allowed = |core: &usize| unsafe { libc::CPU_ISSET(*core, &allowed) };
        let cores: Vec<usize> = (0..libc::CPU_SETSIZE as usize).filter(is_allowed).collect();
        if failed != 0 || cores.is_empty() {
            return;
        }
        // SAFETY: as above.
        let mut chosen: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: the core is below the size of the set.
        unsafe { libc::CPU_SET(cores[index % cores.len()], &mut chosen) };
        // SAFETY: validity: the set is as large as is said. A thread that stays unpinned is not worth a failure.
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &chosen) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = index;
}
