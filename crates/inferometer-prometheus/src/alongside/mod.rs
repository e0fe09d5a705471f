//! The metrics of `metrics-exporter-prometheus`, from the same endpoint.
//!
//! What it renders is taken apart into families, and those that do not collide with ours are appended to our body.

mod family;
#[cfg(any(test, feature = "metrics-exporter-protobuf"))]
mod protobuf;
mod text;

use crate::encode::{Names, PastLimit};
use crate::format::Format;
use family::Family;
use inferometer::{Gauge, Registry};
use metrics_exporter_prometheus::PrometheusHandle;
use std::collections::HashSet;
use std::io::{self, Write};

const LEFT_OUT: &str = "inferometer_families_left_out";
const HELP: &str =
    "Families of metrics-exporter-prometheus that are not exposed, since one of the registry has their name.";

/// How many names of families that are left out are logged.
const MOST_LOGGED: usize = 100;

/// The other side, and what is remembered of it.
#[derive(Clone, Debug)]
pub(crate) struct Alongside {
    handle: PrometheusHandle,
    left_out: Option<Gauge>,
    logged: HashSet<String>,
    /// What it has rendered; kept for its memory.
    body: Vec<u8>,
}

impl Alongside {
    /// The formats that both sides render.
    pub(crate) const FORMATS: &'static [Format] = if cfg!(feature = "metrics-exporter-protobuf") {
        &[Format::Text, Format::Text1, Format::Protobuf]
    } else {
        &[Format::Text, Format::Text1]
    };

    pub(crate) fn new(handle: PrometheusHandle, registry: &Registry) -> Self {
        let gauge = registry.describe(LEFT_OUT, None, HELP).and_then(|()| registry.gauge(LEFT_OUT, &[]));
        let left_out = gauge.map_err(|error| log::warn!("families left out are not counted: {error}")).ok();
        Alongside { handle, left_out, logged: HashSet::new(), body: Vec::new() }
    }

    /// Appends the families that are wanted and have none of the names that ours take, as text.
    pub(crate) fn text(
        &mut self,
        names: &Names,
        taken: impl Fn(&str) -> bool,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), PastLimit> {
        let handle = self.handle.clone();
        let render = |body: &mut Limited<'_>| handle.render_to_write(body);
        self.append(render, text::take_family, names, taken, out, limit)
    }

    /// The same as protobuf messages.
    #[cfg(feature = "metrics-exporter-protobuf")]
    pub(crate) fn protobuf(
        &mut self,
        names: &Names,
        taken: impl Fn(&str) -> bool,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), PastLimit> {
        let handle = self.handle.clone();
        let render = |body: &mut Limited<'_>| handle.render_protobuf_to_write(body);
        self.append(render, protobuf::take_family, names, taken, out, limit)
    }

    fn append(
        &mut self,
        render: impl FnOnce(&mut Limited<'_>) -> io::Result<()>,
        take_family: impl for<'b> Fn(&mut &'b [u8]) -> Option<Family<'b>>,
        names: &Names,
        taken: impl Fn(&str) -> bool,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), PastLimit> {
        let Alongside { left_out, logged, body, .. } = self;
        body.clear();
        // It has no other errors than ours.
        render(&mut Limited { body, limit }).map_err(|_| PastLimit)?;
        let mut collisions = 0;
        let mut rest = body.as_slice();
        while let Some(family) = take_family(&mut rest) {
            if family.collides(&taken) {
                collisions += 1;
                if logged.len() < MOST_LOGGED && logged.insert(family.name.to_owned()) {
                    log::warn!(
                        "the family {} of metrics-exporter-prometheus is left out: the registry has its name",
                        family.name
                    );
                }
            } else if names.want(family.name) {
                out.extend_from_slice(family.bytes);
            }
        }
        if let Some(gauge) = left_out {
            gauge.set(collisions);
        }
        body.shrink_to(2 * body.len() + (64 << 10));
        if out.len() > limit { Err(PastLimit) } else { Ok(()) }
    }
}

/// A body that may not become larger than a response.
struct Limited<'a> {
    body: &'a mut Vec<u8>,
    limit: usize,
}

impl Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.limit.saturating_sub(self.body.len()) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
