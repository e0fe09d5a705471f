//! A loop whose overhead is known, to find out whether `inferometer check` finds it:
//!
//! ```text
//! inferometer check -p inferometer-cli --example synthetic -- --overhead 0.05
//! ```
//!
//! A step follows a chain of multiplications and look-ups in the first cache, which takes some 20 us and is in proportion
//! to its length. Compiled as it is, the chain is longer by the share that `--overhead` says. `--scatter` makes each
//! process slower by a share of its own, up to this one: a machine that nothing can be told of. `--pause` is how many
//! seconds setting up takes.

use std::time::Duration;

const LINKS: f64 = 6_000.0;
const PLACES: usize = 1 << 11;

fn main() {
    let overhead = if cfg!(inferometer_off) { 0.0 } else { option("--overhead") };
    let (scatter, pause) = (option("--scatter"), option("--pause"));
    inferometer::overhead::run("synthetic", move || {
        std::thread::sleep(Duration::from_secs_f64(pause));
        // The process's number is as good as drawn.
        let slower = scatter * f64::from(std::process::id().wrapping_mul(0x9E37_79B9)) / f64::from(u32::MAX);
        let links = (LINKS * (1.0 + overhead) * (1.0 + slower)).round() as u64;
        let table: Vec<u64> = (0..PLACES as u64).map(|place| place.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let mut state = 1_u64;
        move || {
            for _ in 0..links {
                let place = state >> (u64::BITS - PLACES.ilog2());
                state = state.wrapping_mul(0xD128_3DDB_5A8C_2F4D).wrapping_add(table[place as usize] | 1);
            }
            state
        }
    });
}

/// The number after an option, or 0.
fn option(name: &str) -> f64 {
    let mut args = std::env::args().skip_while(|arg| arg != name).skip(1);
    args.next().map_or(0.0, |value| value.parse().expect("a number follows the option"))
}
