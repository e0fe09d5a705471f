//! A program that does not outlive its test.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use crate::wait;

/// A running program, killed when this is dropped.
#[derive(Debug)]
pub struct Guarded(Child);

impl Guarded {
    /// Starts it.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        die_with_parent(command);
        command.spawn().map(Self)
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap_or_default()
    }

    /// Asks it to end, as `kill` does, and waits until it has.
    #[cfg(unix)]
    pub fn terminate(&mut self, limit: Duration) -> ExitStatus {
        let process = libc::pid_t::try_from(self.0.id()).expect("a process number fits its type");
        // SAFETY: no memory is involved, and the number is that of a child that has not been waited for, so no other
        // process can have it.
        let sent = unsafe { libc::kill(process, libc::SIGTERM) };
        assert_eq!(sent, 0, "cannot send a signal: {}", io::Error::last_os_error());
        wait::until("the program to end", limit, || self.ended().ok_or_else(|| "it runs".to_owned()))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only for a program that has already ended and been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A test that is killed drops nothing; then the kernel ends what it started.
#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let set = || {
        // SAFETY: the call takes numbers only.
        match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec only a system call is made: nothing is allocated and no lock is taken.
    unsafe { command.pre_exec(set) };
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}
