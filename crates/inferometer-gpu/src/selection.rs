//! Which GPUs are watched.

use crate::probe::Device;
use std::env;

/// Which GPUs a monitor watches.
///
/// ```
/// use inferometer_gpu::Devices;
///
/// let two = Devices::list(["0", "GPU-8f3c1a52"]);
/// let by_cuda = Devices::parse("1,GPU-8f3c1a52-0d1e-4c9b-9c1e-000000000001");
/// # let _ = (two, by_cuda);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices(Choice);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Choice {
    All,
    /// What CUDA would make of it: see [`Devices::parse`].
    Listed(Vec<String>),
}

/// Where programs that start engines say which GPUs these may use, in the order in which they are asked.
const VARIABLES: [&str; 4] =
    ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"];

impl Devices {
    /// All that the driver lists.
    pub fn all() -> Self {
        Devices(Choice::All)
    }

    /// These: by index (`0`; `0:1` for the second MIG instance of the first GPU), or by UUID, of which the beginning is
    /// enough where it names one GPU only.
    pub fn list<S: Into<String>>(devices: impl IntoIterator<Item = S>) -> Self {
        Devices(Choice::Listed(devices.into_iter().map(Into::into).collect()))
    }

    /// By the value of a variable such as `CUDA_VISIBLE_DEVICES`: indices and UUIDs with commas between, or `all`. As
    /// CUDA does it, the first entry that is -1 ends the list; `none`, `void` and nothing at all are no GPU.
    pub fn parse(text: &str) -> Self {
        match text.trim() {
            "all" => Devices::all(),
            "" | "none" | "void" | "NoDevFiles" => Devices(Choice::Listed(Vec::new())),
            list => Devices::list(list.split(',').map(str::trim).take_while(|entry| *entry != "-1")),
        }
    }

    /// Those that this process may use, by the first of `CUDA_VISIBLE_DEVICES`, `HIP_VISIBLE_DEVICES`,
    /// `ROCR_VISIBLE_DEVICES` and `NVIDIA_VISIBLE_DEVICES` that is set; all where none is. This is what a monitor does
    /// unless it is told otherwise.
    ///
    /// An index is one in the driver's list, which is in the order of the bus. CUDA has the same order only with
    /// `CUDA_DEVICE_ORDER=PCI_BUS_ID`, or where all GPUs are alike; a UUID is the same everywhere.
    pub fn visible() -> Self {
        let set = VARIABLES.iter().find_map(|name| env::var(name).ok());
        set.map_or(Devices::all(), |text| Devices::parse(&text))
    }

    pub(crate) fn are_all(&self) -> bool {
        self.0 == Choice::All
    }

    /// Whether a GPU in a list is chosen.
    pub(crate) fn includes(&self, device: &Device, list: &[Device]) -> bool {
        match &self.0 {
            Choice::All => true,
            Choice::Listed(entries) => entries.iter().any(|entry| names(entry, device, list)),
        }
    }

    /// What was asked for and is not in a list.
    pub(crate) fn missing<'a>(&'a self, list: &[Device]) -> Vec<&'a str> {
        match &self.0 {
            Choice::All => Vec::new(),
            Choice::Listed(entries) => {
                let is_missing = |entry: &&String| !list.iter().any(|device| names(entry, device, list));
                entries.iter().filter(is_missing).map(String::as_str).collect()
            }
        }
    }
}

fn names(entry: &str, device: &Device, list: &[Device]) -> bool {
    if entry == device.index || entry == device.uuid {
        return true;
    }
    // The beginning of a UUID, of which there is one only. A number is an index.
    !entry.is_empty()
        && !entry.bytes().all(|b| b.is_ascii_digit())
        && device.uuid.starts_with(entry)
        && list.iter().filter(|other| other.uuid.starts_with(entry)).count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(index: &str, uuid: &str) -> Device {
        Device {
            uuid: uuid.to_owned(),
            index: index.to_owned(),
            name: String::new(),
            pci_bus_id: String::new(),
            parent_uuid: None,
        }
    }

    fn chosen(devices: &Devices) -> Vec<String> {
        let list = [gpu("0", "GPU-aa1"), gpu("0:1", "MIG-aa1"), gpu("1", "GPU-ab2"), gpu("2", "0123456789abcdef")];
        list.iter().filter(|device| devices.includes(device, &list)).map(|device| device.index.clone()).collect()
    }

    #[test]
    fn gpus_are_chosen_by_index_and_uuid_and_the_beginning_of_one() {
        assert_eq!(chosen(&Devices::all()), ["0", "0:1", "1", "2"]);
        assert_eq!(chosen(&Devices::list(["1", "MIG-aa1"])), ["0:1", "1"]);
        assert_eq!(chosen(&Devices::list(["GPU-ab"])), ["1"]);
        assert_eq!(chosen(&Devices::list(["GPU-a"])), [""; 0], "it names two");
        assert_eq!(chosen(&Devices::list(["01"])), [""; 0], "a number is an index");
    }

    #[test]
    fn a_variable_is_read_as_cuda_reads_it() {
        assert_eq!(chosen(&Devices::parse("all")), ["0", "0:1", "1", "2"]);
        assert_eq!(chosen(&Devices::parse(" 2 , GPU-aa1 ")), ["0", "2"]);
        assert_eq!(chosen(&Devices::parse("1,-1,0")), ["1"]);
        for nothing in ["", "none", "void", "NoDevFiles", "-1"] {
            assert_eq!(chosen(&Devices::parse(nothing)), [""; 0], "{nothing:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let list = [gpu("0", "GPU-aa1")];
        assert_eq!(Devices::list(["0", "7", "GPU-zz"]).missing(&list), ["7", "GPU-zz"]);
        assert!(Devices::all().missing(&[]).is_empty());
    }
}
