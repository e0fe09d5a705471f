//! A copy of a program for each of its processes.
//!
//! All processes of a program share the pages that its file has in memory, and have them from when it was written. Which
//! lines of the caches these compete for is an accident of that moment, and lasts: three copies of one program that did
//! the same steps of 55 us differed by up to 1 %, run after run. So each process gets a copy of its own, for which the
//! accident is drawn anew, and what remains of it is noise that a run can see.

use anyhow::{Context, Result};
use object::{Object, ObjectSegment, ReadCache};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// What the names of copies begin with.
const PREFIX: &str = "inferometer-check-";

/// A program that is copied.
#[derive(Debug)]
pub(crate) struct Original {
    path: PathBuf,
    /// So much of the file is copied: debug information stands behind what is loaded, and is thirty times as much.
    length: u64,
}

impl Original {
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let length = loaded(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Original { path: path.to_owned(), length })
    }

    /// A copy beside the program, which may look for other files there. It is removed when this is dropped.
    pub(crate) fn copy(&self) -> Result<TempPath> {
        self.copied().with_context(|| format!("cannot copy {}", self.path.display()))
    }

    fn copied(&self) -> io::Result<TempPath> {
        let original = File::open(&self.path)?;
        let permissions = original.metadata()?.permissions();
        let directory = self.path.parent().unwrap_or(Path::new(""));
        let mut copy = tempfile::Builder::new().prefix(PREFIX).tempfile_in(directory)?;
        io::copy(&mut original.take(self.length), &mut copy)?;
        copy.as_file().set_permissions(permissions)?;
        // Closed: nobody may execute what somebody may still write.
        Ok(copy.into_temp_path())
    }
}

/// How much of a file the system needs to run it: up to the end of its last segment; all of what is no object file.
fn loaded(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let whole = file.seek(io::SeekFrom::End(0))?;
    let cache = ReadCache::new(file);
    let Ok(object) = object::File::parse(&cache) else { return Ok(whole) };
    let ends = object.segments().map(|segment| segment.file_range()).map(|(start, size)| start.saturating_add(size));
    Ok(ends.max().map_or(whole, |end| end.min(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn a_copy_runs_without_what_is_not_loaded() {
        let program = std::env::current_exe().unwrap();
        let original = Original::new(&program).unwrap();
        let copies = [original.copy().unwrap(), original.copy().unwrap()];
        for copy in &copies {
            assert_eq!(copy.parent(), program.parent());
            assert_eq!(fs::metadata(copy).unwrap().len(), original.length);
            let tests = Command::new(copy).arg("--list").output().unwrap();
            assert!(String::from_utf8(tests.stdout).unwrap().contains("a_copy_runs_without"));
        }
        // Where symbols or debug information stand behind what is loaded.
        if cfg!(target_os = "linux") {
            assert!(original.length < fs::metadata(&program).unwrap().len());
        }
        let paths = copies.each_ref().map(|copy| copy.to_path_buf());
        drop(copies);
        assert!(!paths.iter().any(|path| path.exists()));
    }

    #[test]
    fn what_is_no_object_file_is_copied_whole() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        fs::write(&script, "#!/bin/sh\nexit 7\n").unwrap();
        let copy = Original::new(&script).unwrap().copy().unwrap();
        assert_eq!(fs::read(&copy).unwrap(), fs::read(&script).unwrap());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = Original::new(Path::new("/no/such/program")).expect_err("it is not there");
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
