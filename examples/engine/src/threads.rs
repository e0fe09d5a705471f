//! How many threads compute, and on what.

/// The environment variables by which rayon and candle are told, and the only way to tell candle.
const RAYON: &str = "RAYON_NUM_THREADS";
const CANDLE: &str = "CANDLE_NUM_THREADS";

/// Makes the scheduler spread sequences over `threads` threads (`None`: as many as there are cores), and keeps candle
/// from spreading a single operation over several.
///
/// candle's own threads wait for each other at the end of every operation, thousands of times a step, and spin while
/// they wait: with another program on one of the cores a step takes ten times as long. One thread a sequence needs no
/// waiting. An environment that sets `CANDLE_NUM_THREADS` has the last word.
///
/// # Safety
///
/// No other thread may read or write the environment meanwhile; so call it first in `main`. Once candle or rayon has
/// computed anything, it has no effect.
pub unsafe fn configure(threads: Option<usize>) {
    if let Some(threads) = threads {
        // SAFETY: the caller promises that nobody else uses the environment.
        unsafe { std::env::set_var(RAYON, threads.to_string()) };
    }
    if std::env::var_os(CANDLE).is_none() {
        // SAFETY: as above.
        unsafe { std::env::set_var(CANDLE, "1") };
    }
}

/// The threads that sequences are spread over.
pub fn count() -> usize {
    rayon::current_num_threads()
}
