//! The command line of the programs that measure a page.

use super::{Length, Page, Proof};
use std::process::ExitCode;

/// Does what the arguments say with these sections: `[--short] [--check] [--write PAGE] [NAME...]`. A name chooses a
/// section. `--write` puts the sections into the page, `--check` fails when something does not hold.
pub fn command_line(all: &[Proof], mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let (mut length, mut check, mut page, mut chosen) = (Length::Full, false, None, Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--short" => length = Length::Short,
            "--check" => check = true,
            "--write" => page = arguments.next(),
            name => chosen.push(name.to_owned()),
        }
    }
    if let Some(unknown) = chosen.iter().find(|name| !all.iter().any(|proof| proof.name == **name)) {
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
    for proof in all.iter().filter(|proof| chosen.is_empty() || chosen.iter().any(|name| name == proof.name)) {
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
