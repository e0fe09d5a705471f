//! Grafana dashboards.

mod capacity;
mod gpu;
mod grafana;
mod own;
mod scheduler;
mod serving;

pub(crate) use grafana::Dashboard;

use super::args::Context;
use super::naming::{JOB, MODEL, Source};
use super::promql::{Expr, Selector, quantile};
use grafana::{
    DataSource, Defaults, FieldConfig, Graph, Panel as GrafanaPanel, Place, Range, Row, Target, Templating, Variable,
};
use inferometer_serving::Metric;

/// A dashboard as it is put together.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// What its file and its address are called after.
    pub(crate) name: &'static str,
    title: &'static str,
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    title: &'static str,
    slots: Vec<Slot>,
}

/// A panel, or the place of one for which the profile has no metrics.
#[derive(Debug)]
struct Slot {
    title: &'static str,
    panel: Option<Panel>,
}

#[derive(Debug)]
struct Panel {
    description: &'static str,
    unit: Unit,
    lines: Vec<Line>,
}

/// An expression and what its rows are called.
#[derive(Debug)]
struct Line {
    expression: Expr,
    legend: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    PerSecond,
    Share,
    Count,
    Bytes,
    BytesPerSecond,
    Watts,
    Celsius,
    Hertz,
}

impl Unit {
    /// As Grafana calls it.
    fn id(self) -> &'static str {
        match self {
            Unit::Seconds => "s",
            Unit::PerSecond => "cps",
            Unit::Share => "percentunit",
            Unit::Count => "short",
            Unit::Bytes => "bytes",
            Unit::BytesPerSecond => "Bps",
            Unit::Watts => "watt",
            Unit::Celsius => "celsius",
            Unit::Hertz => "hertz",
        }
    }
}

/// The window of rates. Grafana makes it four scrapes long, or as long as the distance of two points.
const WINDOW: &str = "$__rate_interval";

/// All of them.
pub(crate) fn sheets(cx: &Context) -> Vec<Sheet> {
    let mut sheets =
        vec![serving::sheet(cx), scheduler::sheet(cx), capacity::sheet(cx), gpu::sheet(cx), own::sheet(cx)];
    sheets.retain(|sheet| sheet.sections.iter().flat_map(|section| &section.slots).any(|slot| slot.panel.is_some()));
    sheets
}

/// The panels of all dashboards that the profile has no metrics for, by dashboard and title.
pub(crate) fn missing(cx: &Context) -> Vec<(&'static str, &'static str)> {
    let sheets =
        [serving::sheet(cx), scheduler::sheet(cx), capacity::sheet(cx), gpu::sheet(cx), own::sheet(cx)].into_iter();
    let slots = sheets.flat_map(|sheet| {
        let slots = sheet.sections.into_iter().flat_map(|section| section.slots);
        slots.map(move |slot| (sheet.name, slot))
    });
    slots.filter(|(_, slot)| slot.panel.is_none()).map(|(sheet, slot)| (sheet, slot.title)).collect()
}

fn section(title: &'static str, slots: impl IntoIterator<Item = Slot>) -> Section {
    Section { title, slots: slots.into_iter().collect() }
}

/// A panel with what `lines` gives, unless the profile lacks it.
fn slot(title: &'static str, unit: Unit, description: &'static str, lines: impl FnOnce() -> Option<Vec<Line>>) -> Slot {
    Slot { title, panel: lines().map(|lines| Panel { description, unit, lines }) }
}

fn line(expression: impl Into<Expr>, legend: impl Into<String>) -> Line {
    Line { expression: expression.into(), legend: legend.into() }
}

impl Context {
    /// The series of a family that a dashboard's variables have chosen.
    fn chosen(&self, source: impl Into<Source>) -> Option<Selector> {
        let source = source.into();
        let series = self.naming.series(source)?.matches("instance", "$instance");
        Some(match source {
            Source::Serving(_) => series.matches(MODEL, "$model"),
            _ => series,
        })
    }

    /// A median and two high quantiles.
    fn quantiles(&self, metric: Metric) -> Option<Vec<Line>> {
        let histogram = self.chosen(metric)?;
        let of =
            |(q, name): (f64, &str)| line(quantile(q, &[MODEL], &histogram, WINDOW), format!("{name} {{{{{MODEL}}}}}"));
        Some([(0.5, "p50"), (0.95, "p95"), (0.99, "p99")].into_iter().map(of).collect())
    }
}

const SOURCE: DataSource = DataSource { kind: "prometheus", uid: "${datasource}" };

impl Sheet {
    pub(crate) fn dashboard(&self, cx: &Context) -> Dashboard {
        const COLUMNS: u32 = 3;
        const WIDTH: u32 = 24 / COLUMNS;
        const HEIGHT: u32 = 8;
        let mut panels = Vec::new();
        let (mut y, mut id) = (0, 0);
        let mut next_id = || {
            id += 1;
            id
        };
        for section in &self.sections {
            let there = section.slots.iter().filter_map(|slot| Some((slot.title, slot.panel.as_ref()?)));
            let there: Vec<_> = there.collect();
            if there.is_empty() {
                continue;
            }
            panels.push(GrafanaPanel::Row(Row {
                id: next_id(),
                kind: "row",
                title: section.title,
                collapsed: false,
                grid_pos: Place { x: 0, y, w: 24, h: 1 },
                panels: [],
            }));
            y += 1;
            for row in there.chunks(COLUMNS as usize) {
                for (&(title, panel), column) in row.iter().zip(0..) {
                    let place = Place { x: column * WIDTH, y, w: WIDTH, h: HEIGHT };
                    panels.push(GrafanaPanel::Graph(Box::new(panel.graph(next_id(), title, place))));
                }
                y += HEIGHT;
            }
        }
        Dashboard {
            uid: format!("inferometer-{}", self.name),
            title: self.title.to_owned(),
            tags: vec!["inferometer"],
            schema_version: 39,
            editable: true,
            graph_tooltip: 1,
            refresh: cx.clock.time(cx.interval),
            time: Range { from: "now-1h", to: "now" },
            templating: Templating { list: variables(cx) },
            panels,
        }
    }
}

impl Panel {
    fn graph(&self, id: u32, title: &'static str, grid_pos: Place) -> Graph {
        let target = |(line, place): (&Line, u8)| Target {
            ref_id: char::from(b'A' + place).to_string(),
            datasource: SOURCE,
            expr: line.expression.to_string(),
            legend_format: line.legend.clone(),
        };
        let max = (self.unit == Unit::Share).then_some(1.0);
        Graph {
            id,
            kind: "timeseries",
            title,
            description: self.description,
            datasource: SOURCE,
            grid_pos,
            field_config: FieldConfig { defaults: Defaults { unit: self.unit.id(), min: 0.0, max }, overrides: [] },
            targets: self.lines.iter().zip(0..).map(target).collect(),
        }
    }
}

fn variables(cx: &Context) -> Vec<Variable> {
    let query = |name, label, query| Variable {
        name,
        label,
        kind: "query",
        query,
        datasource: Some(SOURCE),
        refresh: Some(2),
        include_all: Some(true),
        all_value: Some(".*"),
        multi: Some(true),
    };
    let up = Selector::new("up").is("job", JOB);
    let requests = cx.naming.series(Metric::Requests);
    let models = requests.map(|requests| query("model", "Model", format!("label_values({requests}, {MODEL})")));
    let source = Variable {
        name: "datasource",
        label: "Data source",
        kind: "datasource",
        query: "prometheus".to_owned(),
        datasource: None,
        refresh: None,
        include_all: None,
        all_value: None,
        multi: None,
    };
    let instances = query("instance", "Instance", format!("label_values({up}, instance)"));
    [source].into_iter().chain(models).chain([instances]).collect()
}
