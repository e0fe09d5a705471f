//! AMD's GPUs, by what the kernel's driver has in `sysfs`.

mod card;
mod file;

use crate::call::Call;
use crate::error::{ProbeError, Reason};
use crate::probe::{Device, Driver, Probe, Session};
use crate::reading::Readings;
use card::Card;
use std::fs;
use std::path::PathBuf;

/// Reads what `amdgpu` has in `/sys/class/drm`: small files, without a library and without privileges.
///
/// Files that are not there are values that the GPU does not have. Reading `pcie_bw` takes the kernel a second, so it is
/// never read.
#[derive(Debug)]
pub struct AmdProbe {
    root: PathBuf,
}

impl Default for AmdProbe {
    fn default() -> Self {
        AmdProbe { root: PathBuf::from("/sys") }
    }
}

impl AmdProbe {
    /// Of this machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// With what is mounted at `/sys` elsewhere, as in a container that has the host's.
    pub fn with_sysfs(root: impl Into<PathBuf>) -> Self {
        AmdProbe { root: root.into() }
    }

    /// The cards, in the order of the bus.
    fn cards(&self) -> Result<Vec<Card>, ProbeError> {
        let drm = self.root.join("class/drm");
        let entries = fs::read_dir(&drm)
            .map_err(|error| ProbeError::new(Reason::NotFound, format!("no AMD GPU: {}: {error}", drm.display())))?;
        let mut cards: Vec<Card> = entries.filter_map(|entry| Card::at(&entry.ok()?.path())).collect();
        if cards.is_empty() {
            return Err(ProbeError::new(Reason::NotFound, format!("no AMD GPU in {}", drm.display())));
        }
        cards.sort_by(|a, b| a.pci_bus_id.cmp(&b.pci_bus_id));
        Ok(cards)
    }
}

impl Probe for AmdProbe {
    fn open(&mut self) -> Result<Box<dyn Session + '_>, ProbeError> {
        self.cards()?;
        Ok(Box::new(AmdSession { probe: self, cards: Vec::new() }))
    }
}

#[derive(Debug)]
struct AmdSession<'p> {
    probe: &'p AmdProbe,
    cards: Vec<Card>,
}

/// What can be asked.
const CALLS: [Call; 8] = [
    Call::Utilization,
    Call::Memory,
    Call::Power,
    Call::PowerLimit,
    Call::Energy,
    Call::Temperature,
    Call::Clocks,
    Call::Ecc,
];

impl Session for AmdSession<'_> {
    fn driver(&self) -> Driver {
        // Only AMD's own builds of the driver have a version.
        let version = fs::read_to_string(self.probe.root.join("module/amdgpu/version")).unwrap_or_default();
        Driver { name: "amd", version: version.trim().to_owned(), cuda_version: String::new() }
    }

    fn capabilities(&self) -> &[Call] {
        &CALLS
    }

    fn devices(&mut self) -> Result<Vec<Result<Device, ProbeError>>, ProbeError> {
        self.cards = self.probe.cards()?;
        let described = self.cards.iter().enumerate().map(|(index, card)| Device {
            uuid: card.uuid.clone(),
            index: index.to_string(),
            name: card.name.clone(),
            pci_bus_id: card.pci_bus_id.clone(),
            parent_uuid: None,
        });
        Ok(described.map(Ok).collect())
    }

    fn read(&mut self, device: usize, call: Call, readings: &mut Readings) -> Result<(), ProbeError> {
        match self.cards.get(device) {
            Some(card) => card.read(call, readings),
            None => Err(ProbeError::new(Reason::NotFound, "there is no such GPU")),
        }
    }
}
