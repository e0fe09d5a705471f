//! Whatever stands in a `web.yml`, it is a configuration or an error that says what is wrong.
#![no_main]

use inferometer_prometheus::WebConfig;
use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::{fs, process};

/// In memory where there is such a file system.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let directory = if memory.is_dir() { memory } else { std::env::temp_dir() };
    directory.join(format!("inferometer-fuzz-{}.yml", process::id()))
});

fuzz_target!(|text: &[u8]| {
    fs::write(&*FILE, text).unwrap();
    match WebConfig::from_file(&*FILE) {
        Ok(config) => assert!(!format!("{config:?}").is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    let _ = fs::remove_file(&*FILE);
});
