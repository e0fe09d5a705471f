//! What of a GPU was active between two looks: GPM, which Hopper and later have.

use super::device::Mig;
use super::error::{in_call, of};
use crate::error::{ProbeError, Reason};
use crate::metric::Metric;
use crate::reading::Readings;
use nvml_wrapper::enums::gpm::GpmMetricId;
use nvml_wrapper::gpm::gpm_metrics_get;
use nvml_wrapper::{Device, GpmSample, Nvml};

/// All of them are percentages.
const METRICS: [(GpmMetricId, Metric); 5] = [
    (GpmMetricId::GraphicsUtil, Metric::GraphicsEngineActive),
    (GpmMetricId::SmUtil, Metric::SmActive),
    (GpmMetricId::SmOccupancy, Metric::SmOccupancy),
    (GpmMetricId::AnyTensorUtil, Metric::TensorActive),
    (GpmMetricId::DramBwUtil, Metric::DramActive),
];

/// The sample before, which the next one is compared with.
#[derive(Debug, Default)]
pub(super) struct Activity<'n> {
    supported: Option<bool>,
    before: Option<GpmSample<'n>>,
}

impl<'n> Activity<'n> {
    pub(super) fn read(
        &mut self,
        nvml: &'n Nvml,
        device: &Device<'n>,
        mig: Option<&Mig<'n>>,
        readings: &mut Readings,
    ) -> Result<(), ProbeError> {
        let gpu = mig.map_or(device, |mig| &mig.parent);
        let supported = match self.supported {
            Some(supported) => supported,
            None => *self.supported.insert(gpu.gpm_support().map_err(in_call("GPM"))?),
        };
        if !supported {
            return Err(ProbeError::new(Reason::Unsupported, "the GPU has no GPM"));
        }
        let sample = match mig.map(|mig| mig.gpu_instance) {
            None => gpu.gpm_sample(),
            Some(Some(instance)) => gpu.gpm_mig_sample(instance),
            Some(None) => {
                return Err(ProbeError::new(Reason::Unsupported, "the number of the MIG instance is unknown"));
            }
        };
        let sample = sample.map_err(in_call("a GPM sample"))?;
        // The first one has nothing to be compared with.
        let Some(before) = self.before.take() else {
            self.before = Some(sample);
            return Ok(());
        };
        let got = gpm_metrics_get(nvml, &before, &sample, &METRICS.map(|(id, _)| id));
        self.before = Some(sample);
        for ((_, metric), result) in METRICS.into_iter().zip(got.map_err(in_call("GPM metrics"))?) {
            match result {
                // The counters behind it are not read at one moment, so it may come out a little above all.
                Ok(result) if (100.0..101.0).contains(&result.value) => readings.gauge(metric, &[], 1.0),
                Ok(result) => readings.gauge(metric, &[], result.value / 100.0),
                Err(error) => readings.failed(of(&error, "a GPM metric")),
            }
        }
        readings.end()
    }
}
