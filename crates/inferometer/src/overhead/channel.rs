//! The two ends of the pipes to the gate.

use std::io::{self, BufRead, BufReader, Write};

/// Set by the gate, to the version of the protocol that it speaks.
const VARIABLE: &str = "INFEROMETER_CHECK";

/// What every line to the gate begins with. What else the program has printed before it came here, the gate skips.
const MARK: &str = "inferometer:";

/// Lines to the gate and from it.
pub(super) struct Channel {
    commands: Box<dyn BufRead>,
    answers: Box<dyn Write>,
}

/// If the gate has started this process, the channel to it.
pub(super) fn to_the_gate() -> Option<Channel> {
    std::env::var_os(VARIABLE)?;
    let (commands, answers) = ends().ok()?;
    let mut channel = Channel { commands, answers };
    // Whatever was printed before may have left a line open.
    channel.answers.write_all(b"\n").ok()?;
    Some(channel)
}

impl Channel {
    /// The next command, without its end of line; none if the gate has gone.
    pub(super) fn receive(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.commands.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => {
                line.truncate(line.trim_end_matches(['\r', '\n']).len());
                Some(line)
            }
        }
    }

    /// Sends a line.
    pub(super) fn send(&mut self, words: &str) -> io::Result<()> {
        // In one piece, so that nothing can come between.
        self.answers.write_all(format!("{MARK}\t{words}\n").as_bytes())?;
        self.answers.flush()
    }
}

type Ends = (Box<dyn BufRead>, Box<dyn Write>);

/// Standard input and output, which the program loses: what it prints from now on goes to standard error, and what it
/// reads is empty. A model's library that reports its progress does not disturb the protocol then.
#[cfg(unix)]
fn ends() -> io::Result<Ends> {
    use std::fs::File;
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

    fn replace(target: BorrowedFd<'_>, by: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: validity: both descriptors are open. Aliasing: the standard streams are shared by nature; whoever
        // writes to one meanwhile writes to the old file or to the new one.
        let failed = unsafe { libc::dup2(by.as_raw_fd(), target.as_raw_fd()) } < 0;
        if failed { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    io::stdout().flush()?;
    let commands = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let answers = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    replace(io::stdin().as_fd(), File::open("/dev/null")?.as_fd())?;
    replace(io::stdout().as_fd(), io::stderr().as_fd())?;
    Ok((Box::new(BufReader::new(commands)), Box::new(answers)))
}

/// Elsewhere the streams stay as they are, and the gate relies on the mark.
#[cfg(not(unix))]
fn ends() -> io::Result<Ends> {
    Ok((Box::new(BufReader::new(io::stdin())), Box::new(io::stdout())))
}
