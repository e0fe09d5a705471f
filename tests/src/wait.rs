//! Waiting for what another process does: asked for again and again, up to a limit.

use std::time::{Duration, Instant};

/// Between one question and the next.
const PAUSE: Duration = Duration::from_millis(50);

/// Asks until there is an answer.
///
/// # Panics
///
/// If there is none within the limit; the message says what was waited for and what the last answer was.
pub fn until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(last) => {
                assert!(started.elapsed() < limit, "waited {limit:?} for {what}; last: {last}");
            }
        }
        std::thread::sleep(PAUSE);
    }
}
