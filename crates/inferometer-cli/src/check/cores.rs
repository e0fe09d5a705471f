//! Which cores the programs under test run on.

use std::str::FromStr;

/// What `--cores` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// The last core that this process may use: interrupts prefer the first.
    Last,
    /// All of them.
    All,
    /// These.
    These(Vec<usize>),
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => return Ok(Self::Last),
            "all" => return Ok(Self::All),
            _ => {}
        }
        let mut cores = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (first.parse::<usize>(), last.parse::<usize>()) {
                (Ok(first), Ok(last)) if first <= last && last < MOST => cores.extend(first..=last),
                _ => return Err(format!("`{part}` is no core and no range of cores, such as 3 or 0-2")),
            }
        }
        Ok(Self::These(cores))
    }
}

/// The size of the system's own set.
const MOST: usize = 1_024;

pub(crate) use system::Pinning;

#[cfg(target_os = "linux")]
mod system {
    use super::{Cores, MOST};
    use anyhow::{Context, Result, ensure};
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    /// The cores of the programs under test, and those that are left to this one.
    #[derive(Debug)]
    pub(crate) struct Pinning {
        theirs: CpuSet,
        ours: CpuSet,
    }

    impl Pinning {
        /// Keeps this thread, and all threads that it will start, away from the cores of the programs under test, if
        /// there are others.
        pub(crate) fn new(cores: &Cores) -> Result<Self> {
            let allowed = sched_getaffinity(None).context("cannot tell which cores there are")?;
            let listed: Vec<usize> = (0..MOST).filter(|&core| allowed.is_set(core)).collect();
            let chosen = match cores {
                Cores::All => listed.as_slice(),
                Cores::Last => listed.last_chunk::<1>().map_or(&[][..], |last| last),
                Cores::These(chosen) => chosen,
            };
            if let Some(missing) = chosen.iter().find(|&&core| !allowed.is_set(core)) {
                anyhow::bail!("core {missing} is not one that this process may use; those are {listed:?}");
            }
            ensure!(!chosen.is_empty(), "there is no core to run on");
            let (mut theirs, mut ours) = (CpuSet::new(), allowed);
            for &core in chosen {
                theirs.set(core);
                ours.unset(core);
            }
            if ours.count() == 0 {
                ours = allowed;
            }
            let pinning = Pinning { theirs, ours };
            pinning.put(&pinning.ours)?;
            Ok(pinning)
        }

        /// Does something that starts a program, which then runs on its cores from its first instruction.
        pub(crate) fn spawning<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
            self.put(&self.theirs)?;
            let started = start();
            self.put(&self.ours)?;
            Ok(started)
        }

        fn put(&self, set: &CpuSet) -> Result<()> {
            sched_setaffinity(None, set).context("cannot choose the cores")
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use super::Cores;
    use anyhow::{Result, ensure};

    /// Where a process cannot be tied to cores, it runs where the system likes.
    #[derive(Debug)]
    pub(crate) struct Pinning;

    impl Pinning {
        pub(crate) fn new(cores: &Cores) -> Result<Self> {
            ensure!(!matches!(cores, Cores::These(_)), "on this system, programs cannot be tied to cores");
            Ok(Pinning)
        }

        pub(crate) fn spawning<T>(&self, start: impl FnOnce() -> T) -> Result<T> {
            Ok(start())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_named_one_by_one_or_in_ranges() {
        assert_eq!("last".parse(), Ok(Cores::Last));
        assert_eq!("all".parse(), Ok(Cores::All));
        assert_eq!("3".parse(), Ok(Cores::These(vec![3])));
        assert_eq!("0-2,5".parse(), Ok(Cores::These(vec![0, 1, 2, 5])));
        for wrong in ["", "x", "2-1", "1-", "99999999", "1,,2"] {
            assert!(wrong.parse::<Cores>().is_err(), "{wrong}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_program_runs_where_it_is_told_to() {
        let pinning = Pinning::new(&Cores::Last).expect("there is a core");
        let shown = |command: &mut std::process::Command| {
            let output = command.args(["-c", "grep Cpus_allowed_list /proc/self/status"]).output().expect("sh runs");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let pinned = pinning.spawning(|| shown(&mut std::process::Command::new("sh"))).expect("it may");
        let list = pinned.rsplit('\t').next().expect("a list");
        assert!(list.parse::<usize>().is_ok(), "one core, not {list}");
    }
}
