//! Measures what `docs/overhead.md` shows. See [`proof`].
//!
//! `overhead [--short] [--check] [--write PAGE] [NAME...]`: a name chooses a section, see [`proof::ALL`]. `--write` puts
//! the sections into the page, `--check` fails when something does not hold.

use inferometer_benches::proof::{self, Length, Page};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (mut length, mut check, mut page, mut chosen) = (Length::Full, false, None, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--short" => length = Length::Short,
            "--check" => check = true,
            "--write" => page = arguments.next(),
            name => chosen.push(name.to_owned()),
        }
    }
    if let Some(unknown) = chosen.iter().find(|name| !proof::ALL.iter().any(|proof| proof.name == **name)) {
        eprintln!("there is no section `{unknown}`");
        return ExitCode::from(2);
    }
    let mut page = match page.map(Page::open).transpose() {
        Ok(page) => page,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let mut failures = Vec::new();
    for proof in proof::ALL.iter().filter(|proof| chosen.is_empty() || chosen.iter().any(|name| name == proof.name)) {
        eprintln!("measuring {} ...", proof.name);
        let measured = proof.measure(length);
        println!("{}", measured.section.text);
        if let Some(page) = &mut page
            && let Err(error) = page.replace(proof.name, &measured)
        {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
        failures.extend(measured.section.failures.iter().map(|failure| format!("{}: {failure}", proof.name)));
    }
    failures.iter().for_each(|failure| eprintln!("DOES NOT HOLD {failure}"));
    if check && !failures.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
