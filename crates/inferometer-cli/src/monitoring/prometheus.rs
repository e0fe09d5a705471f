//! prometheus.yml: what is scraped, and how.

use super::args::{Args, Context};
use super::naming::JOB;
use super::time::Time;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct Config {
    global: Global,
    rule_files: Vec<&'static str>,
    alerting: Alerting,
    scrape_configs: Vec<Scrape>,
}

#[derive(Debug, Serialize)]
struct Global {
    scrape_interval: Time,
    scrape_timeout: Time,
    evaluation_interval: Time,
}

#[derive(Debug, Serialize)]
struct Alerting {
    alertmanagers: Vec<Alertmanagers>,
}

#[derive(Debug, Serialize)]
struct Alertmanagers {
    static_configs: Vec<Targets>,
}

#[derive(Debug, Serialize)]
struct Targets {
    targets: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Scrape {
    job_name: &'static str,
    metrics_path: String,
    static_configs: Vec<Targets>,
    file_sd_configs: Vec<FileDiscovery>,
    relabel_configs: Vec<Relabel>,
}

#[derive(Debug, Serialize)]
struct FileDiscovery {
    files: Vec<&'static str>,
    refresh_interval: Time,
}

#[derive(Debug, Serialize)]
struct Relabel {
    source_labels: Vec<&'static str>,
    regex: &'static str,
    target_label: &'static str,
}

/// The configuration.
pub(crate) fn config(args: &Args, cx: &Context) -> Config {
    let interval = cx.clock.time(cx.interval);
    Config {
        global: Global {
            scrape_interval: interval,
            scrape_timeout: cx.scrape_timeout(),
            evaluation_interval: interval,
        },
        rule_files: vec!["rules/*.yml"],
        alerting: Alerting {
            alertmanagers: vec![Alertmanagers {
                static_configs: vec![Targets { targets: vec![args.alertmanager.clone()] }],
            }],
        },
        scrape_configs: vec![Scrape {
            job_name: JOB,
            metrics_path: args.metrics_path.clone(),
            static_configs: vec![Targets { targets: args.targets.clone() }],
            file_sd_configs: vec![FileDiscovery {
                files: vec!["targets/*.yml"],
                refresh_interval: cx.clock.minutes(1),
            }],
            // A label of its own for the host. In `instance` the port stays: without it two servers on a host would be
            // one, and their series a mixture.
            relabel_configs: vec![Relabel {
                source_labels: vec!["__address__"],
                regex: r"(.*?)(:\d+)?",
                target_label: "host",
            }],
        }],
    }
}
