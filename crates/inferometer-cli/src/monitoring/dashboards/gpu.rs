//! GPUs.

use super::{Line, Sheet, Slot, Unit, WINDOW, line, section, slot};
use crate::monitoring::args::Context;
use crate::monitoring::naming::Probe;
use crate::monitoring::promql::{max_by, rate, sum_by};
use inferometer_gpu::Metric;

pub(super) fn sheet(cx: &Context) -> Sheet {
    let gpu = cx.naming.gpu_label();
    let legend = |more: &str| format!("{{{{instance}}}} {{{{{gpu}}}}}{more}");
    let by = |label: &str| legend(&format!(" {{{{{label}}}}}"));
    let gauge = |title, unit, description, metric: Metric, legend: String| -> Slot {
        slot(title, unit, description, || Some(vec![line(cx.chosen(metric)?, legend)]))
    };
    let growth = |title, unit, description, metric: Metric, legend: String| -> Slot {
        slot(title, unit, description, || Some(vec![line(rate(&cx.chosen(metric)?, WINDOW), legend)]))
    };
    let named =
        |name: &str, metric: Metric| -> Option<Line> { Some(line(cx.chosen(metric)?, legend(&format!(" {name}")))) };
    let load = section(
        "Load",
        [
            gauge(
                "Utilisation",
                Unit::Share,
                "Time in which a kernel was resident, however little of the GPU it used.",
                Metric::Utilization,
                legend(""),
            ),
            slot("Activity", Unit::Share, "How much of the GPU worked (Hopper and later).", || {
                ["multiprocessors", "tensor cores", "memory"]
                    .into_iter()
                    .zip([Metric::SmActive, Metric::TensorActive, Metric::DramActive])
                    .map(|(name, metric)| named(name, metric))
                    .collect()
            }),
            gauge("Occupancy", Unit::Share, "Resident warps, of those that could be.", Metric::SmOccupancy, legend("")),
            slot("Memory", Unit::Bytes, "In use, and in all.", || {
                Some(vec![named("used", Metric::MemoryUsed)?, named("total", Metric::MemoryTotal)?])
            }),
            growth("PCIe", Unit::BytesPerSecond, "By direction.", Metric::PcieBytes, by("direction")),
            growth(
                "NVLink",
                Unit::BytesPerSecond,
                "By direction, over all links.",
                Metric::NvlinkBytes,
                by("direction"),
            ),
        ],
    );
    let health = section(
        "Health",
        [
            slot("Power", Unit::Watts, "Drawn, and what may be.", || {
                Some(vec![named("drawn", Metric::Power)?, named("limit", Metric::PowerLimit)?])
            }),
            gauge("Temperature", Unit::Celsius, "By sensor.", Metric::Temperature, by("sensor")),
            gauge("Clocks", Unit::Hertz, "By what they drive.", Metric::Clock, by("clock")),
            growth("Held down", Unit::Share, "Share of time, by reason.", Metric::ThrottleTime, by("reason")),
            slot("Memory errors", Unit::Count, "Since the driver was loaded.", || {
                let errors = cx.chosen(Metric::EccErrors)?.is("scope", "volatile");
                Some(vec![line(errors, by("type"))])
            }),
            gauge("Replaced rows", Unit::Count, "Of memory, by state.", Metric::RowRemap, by("state")),
        ],
    );
    let probe = section(
        "Probe",
        [
            slot("Answers", Unit::Count, "1 where the driver answers for all GPUs.", || {
                Some(vec![line(max_by(&["instance"], &cx.chosen(Probe::Up)?.into()), "{{instance}}")])
            }),
            slot("Age of what is known", Unit::Seconds, "Since a GPU last answered.", || {
                Some(vec![line(cx.chosen(Probe::Age)?, legend(""))])
            }),
            slot("Time of a call", Unit::Seconds, "The mean, by call.", || {
                let part = |probe| Some(sum_by(&["instance", "call"], &rate(&cx.chosen(probe)?, WINDOW)));
                let mean = part(Probe::CallSeconds)?.over(&part(Probe::Calls)?);
                Some(vec![line(mean, "{{instance}} {{call}}")])
            }),
        ],
    );
    Sheet { name: "gpu", title: "Inference: GPUs", sections: vec![load, health, probe] }
}
