//! Copies of the library, each with a script of its own.

use crate::script::Script;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A copy of the library. It goes when this is dropped; whoever has loaded it by then keeps it.
#[derive(Debug)]
pub struct FakeLibrary {
    directory: TempDir,
}

/// The name that NVML has on Linux.
const NAME: &str = "libnvidia-ml.so.1";

/// What the library reads.
pub(crate) const SCRIPT: &str = "script.json";

/// What the library writes a byte to for each GPU that is registered for events.
pub(crate) const REGISTRATIONS: &str = "registrations";

impl FakeLibrary {
    /// With all symbols.
    ///
    /// # Panics
    /// If it was not built, or cannot be copied.
    pub fn new(script: &Script) -> Self {
        Self::without(script, &[])
    }

    /// As that of an older driver is: without these symbols.
    ///
    /// # Panics
    /// If it was not built, cannot be copied, or has no such symbol.
    pub fn without(script: &Script, symbols: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let built = built();
        let mut library = fs::read(&built).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
        for symbol in symbols {
            hide(&mut library, symbol);
        }
        fs::write(directory.path().join(NAME), library).expect("a temporary file can be written");
        let library = FakeLibrary { directory };
        library.say(script);
        library
    }

    /// The file to load.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join(NAME)
    }

    /// The directory that it is in, for `LD_LIBRARY_PATH`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// How many GPUs were registered for events so far.
    pub fn registrations(&self) -> u64 {
        fs::metadata(self.directory.path().join(REGISTRATIONS)).map_or(0, |file| file.len())
    }

    /// Gives it another script.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn say(&self, script: &Script) {
        let text = serde_json::to_vec_pretty(script).expect("a script is JSON");
        // In one step, so that nobody reads half of it.
        let (new, place) = (self.directory.path().join("new"), self.directory.path().join(SCRIPT));
        fs::write(&new, text).expect("a temporary file can be written");
        fs::rename(&new, &place).expect("a temporary file can be renamed");
    }
}

/// Where cargo has put it: beside the test program, or beside the programs that it is for.
fn built() -> PathBuf {
    let program = env::current_exe().expect("a program knows where it is");
    let name = format!("{}fake_nvml{}", env::consts::DLL_PREFIX, env::consts::DLL_SUFFIX);
    let directory = program.parent().unwrap_or(Path::new("."));
    let places = [directory.join(&name), directory.join("deps").join(&name), directory.join("../deps").join(&name)];
    let found = places.iter().find(|place| place.is_file());
    found.unwrap_or_else(|| panic!("{name} is not in {}: was it built?", directory.display())).clone()
}

/// Renames a symbol, to one of the same length, wherever the file has its name. Who looks it up finds nothing: the table by
/// which names are found is by the old name's hash.
fn hide(library: &mut [u8], symbol: &str) {
    let name = [b"\0", symbol.as_bytes(), b"\0"].concat();
    let places: Vec<usize> =
        library.windows(name.len()).enumerate().filter(|(_, at)| *at == name).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "the library has no symbol {symbol}");
    for place in places {
        library[place + 1] = b'x';
    }
}
