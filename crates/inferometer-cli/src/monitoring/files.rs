//! The files that are written, by their places in the folder.

use super::args::{Args, Context};
use super::{alertmanager, alerts, dashboards, prometheus, rules, stack, unit_tests};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::path::Path;
use std::{fs, io};

/// A file and what is in it.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) content: String,
}

/// What an alert compares, without the comparison.
#[derive(Debug, Serialize)]
struct Asked {
    alert: &'static str,
    expression: String,
}

/// All of them.
pub(crate) fn all(args: &Args, cx: &Context) -> Result<Vec<File>> {
    let mut files = vec![
        yaml("prometheus.yml", &prometheus::config(args, cx))?,
        yaml("alertmanager.yml", &alertmanager::config(args, cx))?,
        yaml("compose.yml", &stack::compose(args))?,
        yaml("grafana/provisioning/datasources/inferometer.yml", &stack::data_sources(args, cx))?,
        yaml("grafana/provisioning/dashboards/inferometer.yml", &stack::dashboard_providers())?,
        json("expressions.json", &asked(cx))?,
        File { path: START.to_owned(), content: stack::start_script(args) },
    ];
    for (name, rules) in rules::files(cx) {
        files.push(yaml(&format!("rules/{name}.yml"), &rules)?);
    }
    for (name, tests) in unit_tests::files(cx) {
        files.push(yaml(&format!("tests/{name}.yml"), &tests)?);
    }
    for sheet in dashboards::sheets(cx) {
        files.push(json(&format!("grafana/dashboards/{}.json", sheet.name), &sheet.dashboard(cx))?);
    }
    Ok(files)
}

const START: &str = "start.sh";

fn asked(cx: &Context) -> Vec<Asked> {
    let alerts = alerts::ALL.iter().filter_map(|row| Some((row, row.alert(cx)?)));
    let operands = alerts.flat_map(|(row, alert)| {
        let operands = alert.rules.into_iter().flat_map(|rule| rule.condition.operands().to_vec());
        operands.map(|operand| Asked { alert: row.name, expression: operand.to_string() })
    });
    operands.collect()
}

fn yaml(path: &str, value: &impl Serialize) -> Result<File> {
    let text = serde_saphyr::to_string(value).with_context(|| format!("cannot write {path}"))?;
    let content = format!(
        "# Written by `inferometer monitoring`. What is changed here is lost when it is written again.\n{text}"
    );
    Ok(File { path: path.to_owned(), content })
}

fn json(path: &str, value: &impl Serialize) -> Result<File> {
    let content = serde_json::to_string_pretty(value).with_context(|| format!("cannot write {path}"))? + "\n";
    Ok(File { path: path.to_owned(), content })
}

impl File {
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(&self.path);
        let write = || -> io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, &self.content)?;
            #[cfg(unix)]
            if self.path == START {
                use std::os::unix::fs::PermissionsExt;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            }
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}
