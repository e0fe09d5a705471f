//! Xid errors, which NVML hands to whoever waits for them.

use super::error::{self, in_call};
use crate::error::{ProbeError, Reason};
use crate::events::{EventSink, EventSource};
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use std::sync::Arc;

/// How long NVML blocks before the thread looks whether it is still wanted.
const WAIT_MS: u32 = 200;

/// What NVML gives where it does not know the number.
const UNKNOWN_XID: u64 = 999;

pub(super) struct NvmlEvents {
    nvml: Arc<Nvml>,
    uuids: Vec<String>,
}

impl NvmlEvents {
    pub(super) fn new(nvml: Arc<Nvml>, uuids: Vec<String>) -> Self {
        NvmlEvents { nvml, uuids }
    }
}

impl EventSource for NvmlEvents {
    fn run(&mut self, sink: &EventSink<'_>) -> Result<(), ProbeError> {
        let mut set = self.nvml.create_event_set().map_err(in_call("no set of events"))?;
        let mut registered = Vec::new();
        for uuid in &self.uuids {
            let Ok(device) = self.nvml.device_by_uuid(uuid.clone()) else { continue };
            if !device.supported_event_types().is_ok_and(|types| types.contains(EventTypes::CRITICAL_XID_ERROR)) {
                continue;
            }
            set = device
                .register_events(EventTypes::CRITICAL_XID_ERROR, set)
                .map_err(|error| error::of(&error.error, "events cannot be registered"))?;
            registered.push((handle(&device), uuid));
        }
        if registered.is_empty() {
            return Err(ProbeError::new(Reason::Unsupported, "no GPU has events"));
        }
        while !sink.is_closed() {
            let event = match set.wait(WAIT_MS) {
                Ok(event) => event,
                Err(NvmlError::Timeout) => continue,
                Err(error) => return Err(error::of(&error, "waiting for events")),
            };
            let xid = match event.event_data {
                Some(XidError::Value(xid)) => xid,
                Some(XidError::Unknown) => UNKNOWN_XID,
                None => continue,
            };
            let of = handle(&event.device);
            // Asking a GPU that has just fallen off the bus for its UUID may fail, so the handles are compared.
            if let Some((_, uuid)) = registered.iter().find(|(handle, _)| *handle == of) {
                sink.xid(uuid, xid);
            }
        }
        Ok(())
    }
}

/// A handle's address, to compare it by.
fn handle(device: &Device<'_>) -> usize {
    // SAFETY: validity and aliasing: the pointer is never followed.
    let handle = unsafe { device.handle() };
    handle as usize
}
