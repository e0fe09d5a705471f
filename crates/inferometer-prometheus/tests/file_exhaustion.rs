//! A process that has run out of files. Alone in its binary: it runs itself again with a limit on open files.

#![cfg(target_os = "linux")]

use inferometer::Registry;
use inferometer_prometheus::Exporter;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

const CHILD: &str = "INFEROMETER_TEST_CHILD";
const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn a_server_out_of_files_waits_without_taking_the_processor_and_recovers() {
    if std::env::var_os(CHILD).is_some() {
        return run_out_of_files();
    }
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

fn run_out_of_files() {
    let registry = Registry::new();
    let server = Exporter::builder().registry(registry).build().unwrap().serve("127.0.0.1:0").unwrap();
    let open_before = open_files();
    assert!(scrape(TcpStream::connect(server.local_addr()).unwrap()).starts_with("HTTP/1.1 200"));
    // The server closes its end a moment later; a file that it gives up below would be one too many.
    let deadline = Instant::now() + Duration::from_secs(20);
    while open_files() > open_before {
        assert!(Instant::now() < deadline, "the first connection is still open");
        std::thread::yield_now();
    }

    let mut stat = File::open("/proc/self/stat").unwrap();
    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(files.len() > 20);
    // The client's; there is none left for the server.
    drop(files.pop());
    let mut waiting = TcpStream::connect(server.local_addr()).unwrap();
    assert!(File::open("/dev/null").is_err());
    waiting.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    waiting.write_all(SCRAPE).unwrap();
    let before = processor_ticks(&mut stat);
    assert!(waiting.read(&mut [0; 1]).is_err(), "it was accepted all the same");
    let ticks = processor_ticks(&mut stat) - before;
    // Of about 40 that a loop without waiting takes.
    assert!(ticks < 15, "{ticks} ticks of the processor");

    drop(files);
    waiting.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn scrape(mut socket: TcpStream) -> String {
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(SCRAPE).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// The processor time that this process has used, in hundredths of a second, from the open `/proc/self/stat`.
fn processor_ticks(stat: &mut File) -> u64 {
    let mut text = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut text).unwrap();
    // The fields after the name, which is in parentheses; user and system time are the 14th and 15th of all.
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
