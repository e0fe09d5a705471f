//! A program under test, and the lines that go to it and come from it. `inferometer::overhead` is the other side.

use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The version of the protocol, and the variable that asks a program to speak it.
const VERSION: &str = "1";
const VARIABLE: &str = "INFEROMETER_CHECK";

/// What a program's lines to the gate begin with.
const MARK: &str = "inferometer:\t";

/// How long a program may take to say that it is there, which it does before it sets anything up.
const HELLO: Duration = Duration::from_secs(30);

/// How long one that has closed its pipes may take to end.
const END: Duration = Duration::from_secs(5);

/// How much of what a program printed is shown when it fails.
const LINES_SHOWN: usize = 20;

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// None once it has been asked to end.
    commands: Option<ChildStdin>,
    answers: Receiver<Vec<String>>,
    log: PathBuf,
    /// How long it may take to set up a loop, or for a block.
    patience: Duration,
    hello: Hello,
}

/// What a program says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Whether it records, or is the baseline.
    pub(crate) records: bool,
    /// Its loops.
    pub(crate) loops: Vec<String>,
}

/// A block of steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    /// So many that are not timed come first, to fill the caches that another process has emptied.
    pub(crate) lead: u64,
    /// So many are timed together.
    pub(crate) steps: u64,
    /// One of so many is timed by itself; of 0, none is.
    pub(crate) group: u64,
    /// By what share the steps are made slower.
    pub(crate) waste: f64,
}

/// Times in nanoseconds. The processor's is unknown on some systems.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spent {
    pub(crate) wall: f64,
    pub(crate) cpu: Option<f64>,
}

/// How long a block took.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) whole: Spent,
    /// The steps that were timed by themselves.
    pub(crate) steps: Vec<Spent>,
}

impl Process {
    /// Starts a program and waits for its greeting. What it prints goes to the file `log`.
    pub(crate) fn start(mut command: Command, log: &Path, patience: Duration) -> Result<Self> {
        let program = command.get_program().to_os_string();
        let output = emptied(log).with_context(|| format!("cannot create {}", log.display()))?;
        command.env(VARIABLE, VERSION).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(output);
        let mut child = command.spawn().with_context(|| format!("cannot run {}", program.display()))?;
        let (Some(commands), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{} has no pipes", program.display());
        };
        let answers = answers(stdout);
        let hello = Hello { records: false, loops: Vec::new() };
        let mut process = Process { child, commands: Some(commands), answers, log: log.to_owned(), patience, hello };
        let words = process.receive(patience.min(HELLO)).with_context(|| {
            format!(
                "{} did not say hello: does its `main` call `inferometer::overhead::run`, and has its target \
                 `harness = false` in Cargo.toml?",
                program.display()
            )
        })?;
        process.hello = parsed_hello(&words)?;
        Ok(process)
    }

    /// What it said when it came.
    pub(crate) fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Sets up a loop. Its program has one of so many turns, and leaves so many bytes of its memory out.
    pub(crate) fn open(&mut self, name: &str, turns: usize, left_out: usize) -> Result<()> {
        let words = self.ask(&format!("open\t{name}\t{turns}\t{left_out}"))?;
        ensure!(words == ["ready"], "the program answered {words:?} when it was asked for the loop `{name}`");
        Ok(())
    }

    /// Runs a block of the loop that is open.
    pub(crate) fn run(&mut self, order: Order) -> Result<Block> {
        let Order { lead, steps, group, waste } = order;
        let words = self.ask(&format!("run\t{lead}\t{steps}\t{group}\t{waste}"))?;
        parsed_block(&words).with_context(|| format!("the program answered {words:?} when it was asked for a block"))
    }

    /// Lets the program come to its own end, which it does when nobody speaks to it.
    pub(crate) fn end(mut self) -> Result<()> {
        // Dropping the pipe is how it notices.
        self.commands = None;
        let Some(status) = self.ended(self.patience)? else {
            bail!("the program has not ended within {}{}", humantime::format_duration(self.patience), self.said())
        };
        ensure!(status.success(), "the program has ended with an error ({status}){}", self.said());
        Ok(())
    }

    fn ask(&mut self, line: &str) -> Result<Vec<String>> {
        if let Some(commands) = &mut self.commands {
            // In one piece. That a program has gone is found out when its answer is missing.
            let _ = commands.write_all(format!("{line}\n").as_bytes());
        }
        let words = self.receive(self.patience)?;
        if let [error, reason] = words.as_slice()
            && error == "error"
        {
            bail!("the program cannot do what it was asked for: {reason}");
        }
        Ok(words)
    }

    fn receive(&mut self, limit: Duration) -> Result<Vec<String>> {
        match self.answers.recv_timeout(limit) {
            Ok(words) => Ok(words),
            Err(RecvTimeoutError::Timeout) => {
                bail!("no answer within {}{}", humantime::format_duration(limit), self.said())
            }
            Err(RecvTimeoutError::Disconnected) => match self.ended(self.patience.min(END))? {
                Some(status) => bail!("the program has ended ({status}){}", self.said()),
                None => bail!("the program has closed its standard output{}", self.said()),
            },
        }
    }

    /// How it ended, if it does within this time.
    fn ended(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            let status = self.child.try_wait().context("cannot tell whether the program has ended")?;
            if status.is_some() || begun.elapsed() >= limit {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The end of what it printed.
    fn said(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let shown = lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n  ");
        if shown.is_empty() { String::new() } else { format!("; it printed:\n  {shown}") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has no state that anybody needs. What fails here has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without what was in it. Several programs print to it, so each writes at its end, wherever that is by then.
fn emptied(log: &Path) -> io::Result<File> {
    let file = File::options().create(true).append(true).open(log)?;
    file.set_len(0)?;
    Ok(file)
}

/// A thread that reads, because reading from a pipe has no time limit.
fn answers(stdout: ChildStdout) -> Receiver<Vec<String>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stdout);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            if let Some(words) = text.trim_end_matches(['\r', '\n']).strip_prefix(MARK)
                && sender.send(words.split('\t').map(str::to_owned).collect()).is_err()
            {
                return;
            }
            line.clear();
        }
    });
    receiver
}

fn parsed_hello(words: &[String]) -> Result<Hello> {
    let [hello, version, recording, loops @ ..] = words else { bail!("the program said {words:?} for a greeting") };
    ensure!(hello == "hello", "the program said {words:?} for a greeting");
    ensure!(
        version == VERSION,
        "the program's inferometer speaks version {version} of the protocol, and this is {VERSION}: install the \
         inferometer-cli of the same release"
    );
    ensure!(!loops.is_empty(), "the program has no loop");
    Ok(Hello { records: recording == "on", loops: loops.to_vec() })
}

fn parsed_block(words: &[String]) -> Option<Block> {
    let [done, wall, cpu, steps] = words else { return None };
    let steps = if steps.is_empty() {
        Vec::new()
    } else {
        steps
            .split(',')
            .map(|step| step.split_once(':').and_then(|(wall, cpu)| spent(wall, cpu)))
            .collect::<Option<_>>()?
    };
    (done == "done").then_some(Block { whole: spent(wall, cpu)?, steps })
}

fn spent(wall: &str, cpu: &str) -> Option<Spent> {
    let nanos = |text: &str| text.parse::<u64>().ok().map(|nanos| nanos as f64);
    let cpu = if cpu == "-" { None } else { Some(nanos(cpu)?) };
    Some(Spent { wall: nanos(wall)?, cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split('\t').map(str::to_owned).collect()
    }

    #[test]
    fn a_greeting_names_the_loops() {
        let hello = parsed_hello(&words("hello\t1\toff\tone\tthe other")).expect("a greeting");
        assert_eq!(hello, Hello { records: false, loops: vec!["one".to_owned(), "the other".to_owned()] });
        let other = parsed_hello(&words("hello\t9\ton\tone")).expect_err("another version");
        assert!(other.to_string().contains("version 9"), "{other}");
        for nonsense in ["hello", "hallo\t1\ton\tone", "hello\t1\ton"] {
            assert!(parsed_hello(&words(nonsense)).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_block_has_two_times_and_those_of_its_steps() {
        let spent = |wall, cpu| Spent { wall, cpu };
        let block = parsed_block(&words("done\t900\t800\t10:9,11:10")).expect("a block");
        assert_eq!(block.whole, spent(900.0, Some(800.0)));
        assert_eq!(block.steps, [spent(10.0, Some(9.0)), spent(11.0, Some(10.0))]);
        let block = parsed_block(&words("done\t900\t-\t")).expect("a block");
        assert_eq!(block, Block { whole: spent(900.0, None), steps: Vec::new() });
        for nonsense in ["done", "done\t1", "done\t1\t1\t1", "done\t1\t1\t1:", "done\tx\t1\t", "ready\t1\t1\t"] {
            assert_eq!(parsed_block(&words(nonsense)), None, "{nonsense}");
        }
    }

    /// Programs under test that are shell scripts.
    #[cfg(unix)]
    struct Scripts(tempfile::TempDir);

    #[cfg(unix)]
    impl Scripts {
        fn new() -> Self {
            Scripts(tempfile::tempdir().expect("a directory"))
        }

        fn start(&self, text: &str) -> Result<Process> {
            let mut command = Command::new("sh");
            command.args(["-c", text]);
            Process::start(command, &self.0.path().join("log"), Duration::from_millis(300))
        }

        /// One that greets first.
        fn greeted(&self, text: &str) -> Process {
            let greeting = r"printf 'inferometer:\thello\t1\ton\tone\n'; read line";
            self.start(&format!("{greeting}; {text}")).expect("it greets")
        }
    }

    #[cfg(unix)]
    fn explained<T>(result: Result<T>, parts: &[&str]) {
        let message = format!("{:#}", result.err().expect("an error"));
        for part in parts {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_program_that_does_not_greet_is_explained() {
        let scripts = Scripts::new();
        let ends = scripts.start("echo running 0 tests; echo a complaint >&2; exit 3");
        explained(ends, &["harness = false", "exit status: 3", "a complaint"]);
        explained(scripts.start("sleep 60"), &["harness = false", "no answer within 300ms"]);
        explained(scripts.start("exec sleep 60 >&-"), &["harness = false", "closed its standard output"]);
        explained(scripts.start(r"printf 'inferometer:\thello\t9\ton\tone\n'; sleep 60"), &["version 9"]);
    }

    #[test]
    #[cfg(unix)]
    fn a_program_that_dies_or_hangs_in_between_is_an_error() {
        let scripts = Scripts::new();
        let mut dies = scripts.greeted("echo out of memory >&2; kill -9 $$");
        explained(dies.open("one", 1, 0), &["signal: 9", "out of memory"]);
        let mut hangs = scripts.greeted("sleep 60");
        explained(hangs.open("one", 1, 0), &["no answer within 300ms"]);
        let mut refuses = scripts.greeted(r"printf 'inferometer:\terror\tno such loop\n'; sleep 60");
        explained(refuses.open("one", 1, 0), &["cannot do", "no such loop"]);
        let mut babbles = scripts.greeted(r"printf 'inferometer:\tready\n'; read line; printf 'inferometer:\tdone\n'");
        babbles.open("one", 1, 0).expect("it is ready");
        let order = Order { lead: 0, steps: 1, group: 0, waste: 0.0 };
        explained(babbles.run(order), &[r#"answered ["done"]"#]);
    }

    #[test]
    #[cfg(unix)]
    fn programs_that_print_at_once_do_not_overwrite_each_other() {
        let scripts = Scripts::new();
        let mut first = scripts.greeted(
            r"echo the weights are loaded >&2; printf 'inferometer:\tready\n'; read line; echo out of memory >&2",
        );
        let order = Order { lead: 0, steps: 1, group: 0, waste: 0.0 };
        first.open("one", 1, 0).expect("it is ready");
        let mut second = scripts.greeted(r"echo hello >&2; printf 'inferometer:\tready\n'; read line; exit 3");
        second.open("one", 1, 0).expect("it is ready");
        explained(first.run(order), &["it printed:\n  hello\n  out of memory"]);
        explained(second.run(order), &["exit status: 3", "hello\n  out of memory"]);
    }

    #[test]
    #[cfg(unix)]
    fn a_program_ends_when_it_is_not_spoken_to() {
        let scripts = Scripts::new();
        scripts.greeted("exit 0").end().expect("it ends");
        explained(scripts.greeted("exit 4").end(), &["exit status: 4"]);
        explained(scripts.greeted("sleep 60").end(), &["not ended within 300ms"]);
    }
}
