//! What starts it all: a compose file, Grafana's provisioning, and a script for installed packages.

use super::args::{Args, Context};
use super::time::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// Containers.
#[derive(Debug, Serialize)]
pub(crate) struct Compose {
    services: BTreeMap<&'static str, Service>,
    volumes: BTreeMap<&'static str, BTreeMap<(), ()>>,
}

#[derive(Debug, Serialize)]
struct Service {
    image: &'static str,
    /// The addresses in prometheus.yml are then those of the host, with containers and without.
    network_mode: &'static str,
    restart: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    command: Vec<String>,
    volumes: Vec<&'static str>,
}

impl Service {
    fn new(image: &'static str, command: Vec<String>, volumes: Vec<&'static str>) -> Self {
        Service { image, network_mode: "host", restart: "unless-stopped", command, volumes }
    }
}

/// Prometheus, Alertmanager and Grafana.
pub(crate) fn compose(args: &Args) -> Compose {
    let listen = |address: &str| format!("--web.listen-address={address}");
    let prometheus = Service::new(
        "prom/prometheus:v2.55.1",
        vec![
            "--config.file=/etc/prometheus/prometheus.yml".to_owned(),
            "--storage.tsdb.path=/prometheus".to_owned(),
            listen(&args.prometheus),
        ],
        vec![
            "./prometheus.yml:/etc/prometheus/prometheus.yml:ro",
            "./rules:/etc/prometheus/rules:ro",
            "./targets:/etc/prometheus/targets:ro",
            "prometheus:/prometheus",
        ],
    );
    let alertmanager = Service::new(
        "prom/alertmanager:v0.27.0",
        vec![
            "--config.file=/etc/alertmanager/alertmanager.yml".to_owned(),
            "--storage.path=/alertmanager".to_owned(),
            "--cluster.listen-address=".to_owned(),
            listen(&args.alertmanager),
        ],
        vec!["./alertmanager.yml:/etc/alertmanager/alertmanager.yml:ro", "alertmanager:/alertmanager"],
    );
    let grafana = Service::new(
        "grafana/grafana:11.6.0",
        Vec::new(),
        vec![
            "./grafana/provisioning:/etc/grafana/provisioning:ro",
            "./grafana/dashboards:/var/lib/grafana/dashboards:ro",
            "grafana:/var/lib/grafana",
        ],
    );
    Compose {
        services: BTreeMap::from([("alertmanager", alertmanager), ("grafana", grafana), ("prometheus", prometheus)]),
        volumes: ["alertmanager", "grafana", "prometheus"].map(|name| (name, BTreeMap::new())).into(),
    }
}

/// Where Grafana finds Prometheus.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataSources {
    api_version: u32,
    datasources: Vec<DataSource>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DataSource {
    name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    access: &'static str,
    url: String,
    is_default: bool,
    json_data: DataSourceSettings,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DataSourceSettings {
    /// From one scrape to the next: what the window of rates is made of.
    time_interval: Time,
}

/// The data source.
pub(crate) fn data_sources(args: &Args, cx: &Context) -> DataSources {
    DataSources {
        api_version: 1,
        datasources: vec![DataSource {
            name: "Prometheus",
            kind: "prometheus",
            access: "proxy",
            url: format!("http://{}", args.prometheus),
            is_default: true,
            json_data: DataSourceSettings { time_interval: cx.clock.time(cx.interval) },
        }],
    }
}

/// Where Grafana finds the dashboards.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DashboardProviders {
    api_version: u32,
    providers: Vec<DashboardProvider>,
}

#[derive(Debug, Serialize)]
struct DashboardProvider {
    name: &'static str,
    folder: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    options: DashboardFolder,
}

#[derive(Debug, Serialize)]
struct DashboardFolder {
    path: &'static str,
}

/// The folder of dashboards.
pub(crate) fn dashboard_providers() -> DashboardProviders {
    DashboardProviders {
        api_version: 1,
        providers: vec![DashboardProvider {
            name: "inferometer",
            folder: "Inference",
            kind: "file",
            options: DashboardFolder { path: "/var/lib/grafana/dashboards" },
        }],
    }
}

/// A script that starts Prometheus and Alertmanager as they are installed.
pub(crate) fn start_script(args: &Args) -> String {
    // Addresses have no characters that a shell sees anything in.
    include_str!("start.sh").replace("@PROMETHEUS@", &args.prometheus).replace("@ALERTMANAGER@", &args.alertmanager)
}
