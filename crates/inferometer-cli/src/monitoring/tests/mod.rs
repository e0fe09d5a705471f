//! What holds of all that is written.

mod names;
mod scale;

use super::alerts::{self, Proof};
use super::args::{Args, Context};
use super::files::{self, File};
use super::left_out;
use clap::Parser;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn parse(words: &str) -> (Args, Context) {
    let words = ["monitoring", "--out", "x"].into_iter().chain(words.split_whitespace());
    let args = Command::parse_from(words).args;
    let cx = Context::new(&args).expect("what can be done");
    (args, cx)
}

fn rendered(words: &str) -> Vec<File> {
    let (args, cx) = parse(words);
    files::all(&args, &cx).expect("files")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_alert_is_shown_to_fire_to_be_quiet_and_to_survive_a_restart() {
    for profile in ["canonical", "basic", "vllm"] {
        let (_, cx) = parse(&format!("--profile {profile}"));
        for row in alerts::ALL {
            let Some(alert) = row.alert(&cx) else { continue };
            let shown: BTreeSet<Proof> = alert.cases.iter().map(|case| case.proof).collect();
            assert_eq!(shown, [Proof::Fires, Proof::Quiet, Proof::Restart].into(), "{} ({profile})", row.name);
            for case in &alert.cases {
                let fires = !case.expected.is_empty();
                match case.proof {
                    Proof::Fires => assert!(fires, "{}: {}", row.name, case.story),
                    Proof::Quiet => assert!(!fires, "{}: {}", row.name, case.story),
                    Proof::Restart => {}
                }
            }
        }
    }
}

#[test]
fn every_alert_is_there_under_the_canonical_names_and_its_name_is_its_own() {
    let (_, cx) = parse("");
    assert_eq!(left_out(&cx), Vec::<String>::new());
    let names: BTreeSet<_> = alerts::ALL.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), alerts::ALL.len());
}

#[test]
fn every_alert_has_a_section_in_the_runbooks_and_every_section_an_alert() {
    let runbooks = page("docs/runbooks.md");
    let sections: Vec<_> = runbooks.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let names: Vec<_> = alerts::ALL.iter().map(|row| row.name).collect();
    assert_eq!(sections, names, "in this order");
    let links = rendered("").into_iter().filter(|file| file.path.starts_with("rules/"));
    for file in links {
        for link in file.content.split("docs/runbooks.md#").skip(1) {
            let anchor = link.split(['"', '\n']).next().unwrap_or_default();
            assert!(sections.iter().any(|section| section.to_lowercase() == anchor), "{}: {anchor}", file.path);
        }
    }
}

#[test]
fn what_each_profile_lacks_is_written_down() {
    let guide = page("docs/monitoring.md");
    for name in ["basic", "vllm"] {
        let (_, cx) = parse(&format!("--profile {name}"));
        let missing = alerts::ALL.iter().filter(|row| row.alert(&cx).is_none()).map(|row| row.name);
        let missing: Vec<_> = missing.map(|name| format!("`{name}`")).collect();
        let row = format!("| `{name}` | {} |", missing.join(", "));
        assert!(guide.contains(&row), "docs/monitoring.md lacks:\n{row}");
    }
}

#[test]
fn the_example_is_up_to_date() {
    let folder = root().join("examples/monitoring");
    let files = rendered("--target 127.0.0.1:9464");
    for file in &files {
        let written = fs::read_to_string(folder.join(&file.path)).unwrap_or_default();
        assert!(
            written == file.content,
            "examples/monitoring/{} is old: cargo run -p inferometer-cli -- monitoring --target 127.0.0.1:9464 --out \
             examples/monitoring",
            file.path
        );
    }
    let mut there = Vec::new();
    list(&folder, &folder, &mut there);
    let known: BTreeSet<_> = files.iter().map(|file| file.path.as_str()).chain(["README.md"]).collect();
    assert_eq!(there.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
}

fn list(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(root, &path, found);
        } else {
            let path = path.strip_prefix(root).expect("it is in there");
            found.push(path.to_string_lossy().replace('\\', "/"));
        }
    }
}
