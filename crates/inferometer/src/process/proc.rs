//! What Linux says under /proc.

use std::fs;

/// The unit of the times in `/proc/self/stat`. It is 100 on every Linux that Rust runs on: the kernel has kept it since
/// 2.4, whatever its own tick is.
const TICKS_PER_SECOND: u64 = 100;

/// What does not change from one look to the next.
#[derive(Debug, Default)]
pub(super) struct Proc {
    /// When the machine started, in seconds since 1970. Asked once, since it moves when somebody sets the clock.
    boot: Option<u64>,
}

/// What is used of `/proc/self/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) threads: u64,
    /// In ticks after the machine's.
    start: u64,
    pub(super) virtual_bytes: u64,
    pub(super) resident_pages: u64,
}

impl Proc {
    pub(super) fn stat(&self) -> Option<Stat> {
        Stat::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// In seconds since 1970.
    pub(super) fn start_time(&mut self, stat: &Stat) -> Option<f64> {
        if self.boot.is_none() {
            self.boot = boot(&fs::read_to_string("/proc/stat").ok()?);
        }
        Some(self.boot? as f64 + stat.start as f64 / TICKS_PER_SECOND as f64)
    }
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, which may have spaces and parentheses itself.
        let (_, after_name) = text.rsplit_once(')')?;
        // Counted from 1, as the manual does.
        let field = |number: usize| after_name.split_ascii_whitespace().nth(number - 3)?.parse().ok();
        Some(Stat { threads: field(20)?, start: field(22)?, virtual_bytes: field(23)?, resident_pages: field(24)? })
    }
}

/// When the machine started, from `/proc/stat`.
fn boot(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

pub(super) fn open_fds() -> Option<u64> {
    // Since Linux 6.2 the directory's size is their number.
    let counted = fs::metadata("/proc/self/fd").ok()?.len();
    if counted > 0 { Some(counted) } else { listed_fds() }
}

fn listed_fds() -> Option<u64> {
    // One is that of the directory that is listed.
    let listed = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    listed.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    const STAT: &str = "4242 (engine) S 1 4242 4242 0 -1 4194304 9 0 1 0 250 50 0 0 20 0 17 0 123456 987654321 2048 \
                        18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let want = Stat { threads: 17, start: 123_456, virtual_bytes: 987_654_321, resident_pages: 2_048 };
        for name in ["(engine)", "(my engine)", "(a) S 1 2)", "(((x)", "(1 (2) 3 )", "()", "(line\nfeed)"] {
            assert_eq!(Stat::parse(&STAT.replace("(engine)", name)), Some(want), "{name}");
        }
    }

    #[test]
    fn a_text_that_is_cut_short_or_has_other_fields_says_nothing() {
        for text in ["", "4242", "4242 (engine", "4242 (engine)", &STAT[..80], &STAT.replace("987654321", "-1")] {
            assert_eq!(Stat::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_start_of_the_machine_is_the_line_btime() {
        assert_eq!(boot("cpu  1 2 3\nctxt 5\nbtime 1764000000\nprocesses 7\n"), Some(1_764_000_000));
        assert_eq!(boot("cpu  1 2 3\nbtimes 5\nxbtime 6\n"), None);
        assert_eq!(boot("btime soon\n"), None);
    }

    #[test]
    fn this_process_started_before_now_and_not_long_ago() {
        let mut proc = Proc::default();
        let stat = proc.stat().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let age = now - proc.start_time(&stat).unwrap();
        assert!((-2.0..3_600.0).contains(&age), "{age}");
    }

    #[test]
    fn descriptors_are_counted_and_listed_alike() {
        // Other tests of this program may open files between the two.
        let agrees = || open_fds().unwrap() == listed_fds().unwrap();
        assert!((0..1_000).any(|_| agrees()));
    }
}
