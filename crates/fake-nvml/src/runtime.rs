//! What the exported functions have in common: the script, who has initialised the library, and what handles stand for.

use crate::layout::{Device, code};
use crate::library::{REGISTRATIONS, SCRIPT};
use crate::script::{Gpu, Number, Script};
use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, c_uint};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often a function that hangs looks whether it still does.
const LOOK: Duration = Duration::from_millis(5);

static RUNTIME: LazyLock<Mutex<Runtime>> = LazyLock::new(|| {
    Mutex::new(Runtime {
        loaded: Instant::now(),
        initialised: 0,
        generation: 0,
        uuids: Vec::new(),
        asked: BTreeMap::new(),
    })
});

struct Runtime {
    loaded: Instant,
    /// How often, less how often it was shut down.
    initialised: u32,
    /// Of the script when it was first initialised.
    generation: u64,
    /// Those that have a handle, which is their place here and one.
    uuids: Vec<String>,
    /// How often a value that changes with each call was asked for.
    asked: BTreeMap<String, usize>,
}

fn runtime() -> MutexGuard<'static, Runtime> {
    RUNTIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The script as it is now.
pub(crate) fn script() -> Script {
    let text = fs::read(directory().join(SCRIPT)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Where this library is.
fn directory() -> PathBuf {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
        let mut info = libc::Dl_info {
            dli_fname: std::ptr::null(),
            dli_fbase: std::ptr::null_mut(),
            dli_sname: std::ptr::null(),
            dli_saddr: std::ptr::null_mut(),
        };
        let inside: fn() -> PathBuf = directory;
        // SAFETY: validity: any address may be asked for, and the pointer is to a whole structure. Aliasing: the
        // structure is this function's own.
        let found = unsafe { libc::dladdr(inside as *const libc::c_void, &mut info) };
        if found == 0 || info.dli_fname.is_null() {
            return PathBuf::new();
        }
        // SAFETY: validity: the loader's name of a library that is loaded ends in a zero. Aliasing: nobody changes it.
        let name = unsafe { CStr::from_ptr(info.dli_fname) };
        let path = Path::new(OsStr::from_bytes(name.to_bytes()));
        path.parent().map(Path::to_owned).unwrap_or_default()
    });
    DIRECTORY.clone()
}

/// Does what the script says of a function, and then what the function does.
pub(crate) fn call(function: &str, run: impl FnOnce(&Script) -> Result<(), c_uint>) -> c_uint {
    let mut script = script();
    while script.hangs.contains(function) {
        std::thread::sleep(LOOK);
        script = self::script();
    }
    if let Some(&delay) = script.delays_ms.get(function) {
        std::thread::sleep(Duration::from_millis(delay));
    }
    if let Some(&code) = script.returns.get(function) {
        return code;
    }
    match run(&script) {
        Ok(()) => code::SUCCESS,
        Err(code) => code,
    }
}

/// The same for a function that needs the library to be initialised.
pub(crate) fn call_open(function: &str, run: impl FnOnce(&Script) -> Result<(), c_uint>) -> c_uint {
    call(function, |script| {
        let runtime = runtime();
        let is_open = runtime.initialised > 0 && runtime.generation == script.generation;
        drop(runtime);
        if is_open { run(script) } else { Err(code::UNINITIALIZED) }
    })
}

/// The same for a function of a GPU.
pub(crate) fn call_gpu(
    function: &str,
    device: Device,
    run: impl FnOnce(&Script, &Gpu) -> Result<(), c_uint>,
) -> c_uint {
    call_open(function, |script| {
        let gpu = gpu(script, device)?;
        if gpu.lost {
            return Err(code::GPU_IS_LOST);
        }
        match gpu.returns.get(function) {
            Some(&code) => Err(code),
            None => run(script, gpu),
        }
    })
}

pub(crate) fn initialise(script: &Script) {
    let mut runtime = runtime();
    if runtime.initialised == 0 {
        runtime.generation = script.generation;
    }
    runtime.initialised += 1;
}

/// Notes that a GPU was registered for events.
pub(crate) fn registered() {
    let path = directory().join(REGISTRATIONS);
    if let Ok(mut file) = fs::OpenOptions::new().create(true).append(true).open(path) {
        // Whoever waits for it then waits in vain, and says so.
        let _ = file.write_all(b".");
    }
}

pub(crate) fn shut_down() -> Result<(), c_uint> {
    let mut runtime = runtime();
    runtime.initialised = runtime.initialised.checked_sub(1).ok_or(code::UNINITIALIZED)?;
    Ok(())
}

/// The handle of a GPU, which stays the same.
pub(crate) fn handle(uuid: &str) -> Device {
    let mut runtime = runtime();
    let place = runtime.uuids.iter().position(|other| other == uuid).unwrap_or_else(|| {
        runtime.uuids.push(uuid.to_owned());
        runtime.uuids.len() - 1
    });
    std::ptr::without_provenance_mut(place + 1)
}

/// What a handle stands for.
pub(crate) fn gpu(script: &Script, device: Device) -> Result<&Gpu, c_uint> {
    let place = device.addr().checked_sub(1).ok_or(code::INVALID_ARGUMENT)?;
    let uuid = runtime().uuids.get(place).cloned().ok_or(code::INVALID_ARGUMENT)?;
    let mut all = script.gpus.iter().flat_map(|gpu| std::iter::once(gpu).chain(gpu.mig.iter().flatten()));
    all.find(|gpu| gpu.uuid == uuid).ok_or(code::GPU_IS_LOST)
}

/// What a GPU has.
pub(crate) fn value(gpu: &Gpu, name: &str) -> Result<u64, c_uint> {
    match gpu.values.get(name) {
        None => Err(code::NOT_SUPPORTED),
        Some(Number::Constant(value)) => Ok(*value),
        Some(Number::Series(values)) => {
            let mut runtime = runtime();
            let asked = runtime.asked.entry(format!("{} {name}", gpu.uuid)).or_default();
            let place = (*asked).min(values.len().saturating_sub(1));
            *asked += 1;
            values.get(place).copied().ok_or(code::NOT_SUPPORTED)
        }
        Some(Number::Ramp { from, per_second }) => {
            let grown = runtime().loaded.elapsed().as_secs_f64() * *per_second as f64;
            Ok(from.saturating_add(grown as u64))
        }
    }
}
