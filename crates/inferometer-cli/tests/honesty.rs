//! Whether the gate is right about loops whose overhead is known, at a narrow budget.
//!
//! This is the short form. `INFEROMETER_HONESTY_RUNS=200 cargo test --release -p inferometer-cli --test honesty --
//! --nocapture` runs 200 gates with the overhead at the budget, where one of twenty may pass, half as many with twice the
//! budget, none of which may, and a tenth beside other programs. It takes about an hour and a half, and a machine that
//! does nothing else. `INFEROMETER_HONESTY_TIME` is the time of one gate.

mod support;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use support::{FAIL, FAILED_TO_RUN, INCONCLUSIVE, INVALID, PASS, synthetic};

fn setting(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn runs() -> usize {
    setting("INFEROMETER_HONESTY_RUNS", "10").parse().expect("INFEROMETER_HONESTY_RUNS is a number")
}

/// How many gates ended with each code.
fn gates(runs: usize, overhead: f64) -> [usize; 5] {
    let options = format!("--time {} --budget 1%", setting("INFEROMETER_HONESTY_TIME", "4s"));
    let mut ended = [0; 5];
    for _ in 0..runs {
        let (code, stdout, stderr) = synthetic(&options, &format!("--overhead {overhead}"));
        let code = usize::try_from(code).expect("a small number");
        assert!(code < 5 && code as i32 != FAILED_TO_RUN, "{stdout}{stderr}");
        ended[code] += 1;
    }
    let of = |code: i32| ended[code as usize];
    println!(
        "overhead {:.1} %: {} PASS, {} FAIL, {} INVALID, {} INCONCLUSIVE",
        100.0 * overhead,
        of(PASS),
        of(FAIL),
        of(INVALID),
        of(INCONCLUSIVE)
    );
    ended
}

/// Wilson's interval of 95 % for a share of which so many of `all` were seen.
fn interval(seen: usize, all: usize) -> (f64, f64) {
    let (seen, all, z) = (seen as f64, all as f64, 1.96_f64);
    let middle = (seen + z * z / 2.0) / (all + z * z);
    let width = z * (seen * (all - seen) / all + z * z / 4.0).sqrt() / (all + z * z);
    (middle - width, middle + width)
}

#[test]
fn the_gate_is_honest() {
    let runs = runs();

    let passed = gates(runs, 0.01)[PASS as usize];
    let (least, most) = interval(passed, runs);
    println!("at the budget, {passed} of {runs} pass: between {:.1} and {:.1} %", 100.0 * least, 100.0 * most);
    assert!(least <= 0.05, "{passed} of {runs} pass with an overhead at the budget");

    let twice = (runs / 2).max(5);
    let passed = gates(twice, 0.02)[PASS as usize];
    assert_eq!(passed, 0, "of {twice} with twice the budget");

    // Without overhead, nothing may be proved against it. That a gate may say so is the control of all this.
    let ended = gates(twice, 0.0);
    assert_eq!(ended[FAIL as usize], 0, "of {twice} without overhead");

    let beside = (runs / 10).max(2);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        println!("beside other programs:");
        let (none, much) = (gates(beside, 0.0), gates(beside, 0.05));
        stop.store(true, Relaxed);
        assert_eq!(none[FAIL as usize], 0, "without overhead");
        assert_eq!(much[PASS as usize], 0, "with five times the budget");
    });
}
