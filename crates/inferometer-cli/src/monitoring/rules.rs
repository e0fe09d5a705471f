//! Rules as Prometheus reads them.

use super::alerts::{self, Alert, Group, Row};
use super::args::Context;
use super::recording::{self, RecordingGroup};
use super::time::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// A file of rules.
#[derive(Debug, Serialize)]
pub(crate) struct RuleFile {
    groups: Vec<RuleGroup>,
}

#[derive(Debug, Serialize)]
struct RuleGroup {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Time>,
    rules: Vec<Rule>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Rule {
    Record {
        record: String,
        expr: String,
    },
    Alert {
        alert: &'static str,
        expr: String,
        #[serde(rename = "for")]
        hold: Time,
        labels: BTreeMap<&'static str, String>,
        annotations: BTreeMap<&'static str, String>,
    },
}

impl From<RecordingGroup> for RuleGroup {
    fn from(group: RecordingGroup) -> Self {
        let rules = group.rules.into_iter();
        RuleGroup {
            name: group.name.to_owned(),
            interval: group.interval,
            rules: rules.map(|rule| Rule::Record { record: rule.name, expr: rule.expression.to_string() }).collect(),
        }
    }
}

/// The files by their names. One without a rule, for want of metrics, is not there.
pub(crate) fn files(cx: &Context) -> Vec<(String, RuleFile)> {
    let mut files = vec![("capacity".to_owned(), vec![RuleGroup::from(recording::capacity(cx))])];
    for group in Group::ALL {
        let mut groups = Vec::new();
        if group == Group::Slo {
            groups.extend(recording::ratios(cx).map(RuleGroup::from));
        }
        let rows = alerts::ALL.iter().filter(|row| row.group == group);
        let rules = rows.filter_map(|row| Some(alert_rules(cx, row, &row.alert(cx)?))).flatten().collect();
        groups.push(RuleGroup { name: group.name().to_owned(), interval: None, rules });
        files.push((group.name().to_owned(), groups));
    }
    let files = files.into_iter().map(|(name, mut groups)| {
        groups.retain(|group| !group.rules.is_empty());
        (name, RuleFile { groups })
    });
    files.filter(|(_, file)| !file.groups.is_empty()).collect()
}

fn alert_rules(cx: &Context, row: &Row, alert: &Alert) -> Vec<Rule> {
    let rule = |rule: &alerts::Rule| {
        let labels = labels(rule);
        // A template knows the labels of the expression's rows, and not those that the rule adds.
        let label = |name: &str| labels.get(name).cloned().unwrap_or_else(|| format!("{{{{ $labels.{name} }}}}"));
        Rule::Alert {
            alert: row.name,
            expr: rule.condition.to_string(),
            hold: rule.hold,
            annotations: annotations(cx, row, alert, label, alert.value.template()),
            labels,
        }
    };
    alert.rules.iter().map(rule).collect()
}

/// The labels that a rule gives its alerts.
pub(crate) fn labels(rule: &alerts::Rule) -> BTreeMap<&'static str, String> {
    let severity = ("severity", rule.severity.as_str().to_owned());
    rule.labels.iter().cloned().chain([severity]).collect()
}

/// What is said with an alert, with labels and the value as templates or as they are.
pub(crate) fn annotations(
    cx: &Context,
    row: &Row,
    alert: &Alert,
    label: impl Fn(&str) -> String,
    value: &str,
) -> BTreeMap<&'static str, String> {
    let mut description = String::new();
    let mut rest = alert.description.as_str();
    while let Some((before, name, after)) = placeholder(rest) {
        description += before;
        description += &if name == "value" { value.to_owned() } else { label(name) };
        rest = after;
    }
    description += rest;
    BTreeMap::from([
        ("summary", alert.summary.to_owned()),
        ("description", description),
        ("runbook_url", format!("{}#{}", cx.runbooks, row.anchor())),
    ])
}

/// What stands before the first name in braces, the name, and what stands behind it.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}
