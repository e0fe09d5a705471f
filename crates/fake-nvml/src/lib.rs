//! An NVML library without a GPU behind it.
//!
//! The dynamic library exports those functions of NVML that `inferometer-gpu` calls. What they give is in a script, a JSON
//! file `script.json` beside the library, which is read again at each call: so a test can change its mind. What a GPU has no
//! value for is not supported; return codes, hangs, delays, lost GPUs and Xid events are in the script as well. Symbols
//! are missing from a copy that was made [without](FakeLibrary::without) them.
//!
//! ```no_run
//! use fake_nvml::{FakeLibrary, Gpu, Script};
//!
//! let mut script = Script::with([Gpu::h100("GPU-1")]);
//! let library = FakeLibrary::new(&script); // load library.path()
//! script.hangs.insert("nvmlDeviceGetUtilizationRates".to_owned());
//! library.say(&script); // hangs from now on, until it says otherwise
//! ```

mod exports;
mod layout;
mod library;
mod runtime;
mod script;

pub use library::FakeLibrary;
pub use script::{Gpu, Number, Script};
