//! Unit tests of the rules, for `promtool test rules`.

use super::alerts::{self, Alert, Case, Expected, Group, Row, slo};
use super::args::Context;
use super::rules::{annotations, labels};
use super::time::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// A file of tests.
#[derive(Debug, Serialize)]
pub(crate) struct TestFile {
    rule_files: Vec<String>,
    evaluation_interval: Time,
    tests: Vec<Test>,
}

#[derive(Debug, Serialize)]
struct Test {
    name: String,
    interval: Time,
    input_series: Vec<Series>,
    alert_rule_test: Vec<AlertTest>,
}

#[derive(Debug, Serialize)]
struct Series {
    series: String,
    values: String,
}

#[derive(Debug, Serialize)]
struct AlertTest {
    eval_time: Time,
    alertname: &'static str,
    exp_alerts: Vec<ExpectedAlert>,
}

#[derive(Debug, Serialize)]
struct ExpectedAlert {
    exp_labels: BTreeMap<String, String>,
    exp_annotations: BTreeMap<&'static str, String>,
}

/// The files by their names, one for each file of alerts.
pub(crate) fn files(cx: &Context) -> Vec<(String, TestFile)> {
    let file = |group: Group| {
        // The windows of promises are long, and so are the tests of them.
        let step = if group == Group::Slo { cx.clock.minutes(slo::STEP_MINUTES) } else { cx.steps(1) };
        let rows = alerts::ALL.iter().filter(|row| row.group == group);
        let alerts = rows.filter_map(|row| Some((row, row.alert(cx)?)));
        let tests: Vec<_> = alerts.flat_map(|(row, alert)| tests(cx, row, &alert, step)).collect();
        (
            group.name().to_owned(),
            TestFile { rule_files: vec![format!("../rules/{}.yml", group.name())], evaluation_interval: step, tests },
        )
    };
    Group::ALL.into_iter().map(file).filter(|(_, file)| !file.tests.is_empty()).collect()
}

fn tests(cx: &Context, row: &Row, alert: &Alert, step: Time) -> Vec<Test> {
    let test = |case: &Case| Test {
        name: format!("{} {}: {}", row.name, case.proof.words(), case.story),
        interval: step,
        input_series: case
            .series
            .iter()
            .map(|(series, values)| Series { series: series.to_string(), values: values.clone() })
            .collect(),
        alert_rule_test: vec![AlertTest {
            eval_time: case.at,
            alertname: row.name,
            exp_alerts: case.expected.iter().map(|expected| expected_alert(cx, row, alert, expected)).collect(),
        }],
    };
    alert.cases.iter().map(test).collect()
}

fn expected_alert(cx: &Context, row: &Row, alert: &Alert, expected: &Expected) -> ExpectedAlert {
    let of_rule = labels(&alert.rules[expected.rule]).into_iter().map(|(name, value)| (name.to_owned(), value));
    let labels: BTreeMap<String, String> = expected.labels.iter().cloned().chain(of_rule).collect();
    let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
    let annotations = annotations(cx, row, alert, label, &alert.value.text(expected.value));
    ExpectedAlert { exp_annotations: annotations, exp_labels: labels }
}
