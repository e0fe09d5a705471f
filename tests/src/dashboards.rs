//! Dashboards that others made. They are not copied here: `INFEROMETER_DASHBOARDS` names the folder that has them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::prometheus::{Prometheus, Row};
use crate::wait;

/// How long a query may stay without rows: some scrapes, on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// The folder; `None` if the test has to go without it.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("INFEROMETER_DASHBOARDS").filter(|folder| !folder.is_empty());
    if folder.is_none() {
        // No failure in any case: nobody but the project has them.
        println!("\nskipped test: INFEROMETER_DASHBOARDS does not say where the dashboards are");
    }
    folder.map(PathBuf::from)
}

/// The expressions of a dashboard's panels, each once, with these texts in place of the variables that Grafana fills in.
///
/// # Panics
///
/// If there is no such dashboard.
pub fn expressions(file: &Path, variables: &[(&str, &str)]) -> BTreeSet<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(expression)) = members.get("expr") {
                    found.push(expression.clone());
                }
                members.values().for_each(|member| collect(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            _ => {}
        }
    }
    let text = fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut found = Vec::new();
    collect(&serde_json::from_slice(&text).expect("a dashboard is JSON"), &mut found);
    let filled = |expression: &String| {
        variables.iter().fold(expression.clone(), |expression, (name, text)| expression.replace(name, text))
    };
    found.iter().map(filled).collect()
}

/// The rows of an expression, once there are some that `suffice`.
///
/// # Panics
///
/// If that takes too long.
pub fn rows(prometheus: &Prometheus, expression: &str, suffice: impl Fn(&[Row]) -> bool) -> Vec<Row> {
    wait::until(expression, LIMIT, || {
        let rows = prometheus.query(expression)?;
        if suffice(&rows) { Ok(rows) } else { Err(format!("{rows:?}")) }
    })
}
