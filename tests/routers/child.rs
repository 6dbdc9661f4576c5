//! Programs that run in a process of their own: this program starts itself again, and runs one of them.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{self, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::{crowd, embedded, healed, passer_by, soak};

/// The first argument of a child.
const MARK: &str = "--child";

type Work = fn(&[String]) -> io::Result<()>;

const CHILDREN: &[(&str, Work)] = &[
    ("testnet", embedded::run),
    ("healed", healed::run),
    ("echo-server", crowd::serve),
    ("dial-many", crowd::dial),
    ("passer-by", passer_by::run),
    ("http-server", crowd::serve_pages),
    ("soak", soak::run),
];

/// Longer than a child needs from one of its lines to the next: for a router, its tunnels and the longest
/// pause together.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the program of a child, if this process is one.
pub(crate) fn run() -> Option<ExitCode> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [mark, name, args @ ..] = args.as_slice() else {
        return None;
    };
    if mark != MARK {
        return None;
    }
    let (_, work) = CHILDREN.iter().find(|(known, _)| known == name)?;
    match work(args) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{name}: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

/// Returns the command of a child that runs this program, with as many descriptors as the system permits.
/// Its standard input is a pipe. The child ends when the pipe closes, also if this process is killed.
pub(crate) fn command(name: &str) -> io::Result<Command> {
    // The hard limit is often higher than the soft limit, and `std` cannot raise the soft limit.
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"ulimit -S -n "$(ulimit -H -n)"; exec "$0" "$@""#])
        .arg(env::current_exe()?)
        .args([MARK, name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(command)
}

/// A child that exchanges lines with this process. It is killed if it is dropped before its end.
pub(crate) struct Child {
    process: process::Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

impl Child {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut process = command.spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (said, lines) = mpsc::channel();
        thread::spawn(move || {
            // The child must not block on its output, even if no thread receives it any more.
            output.lines().map_while(Result::ok).for_each(|line| {
                let _ = said.send(line);
            });
        });
        Self {
            input: process.stdin.take(),
            process,
            lines,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn next(&self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("the child says nothing"),
            Err(RecvTimeoutError::Disconnected) => panic!("the child has ended"),
        }
    }

    /// Returns the text after these words in the next line that contains them.
    pub(crate) fn hear(&self, words: &str) -> String {
        loop {
            if let Some((_, rest)) = self.next().split_once(words) {
                return rest.to_owned();
            }
        }
    }

    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// Closes its input, waits until it has ended with success, and returns its last line.
    pub(crate) fn finish(mut self) -> String {
        self.input = None;
        let mut last = String::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => last = line,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the child does not end"),
            }
        }
        assert!(self.process.wait().unwrap().success());
        last
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only if the process has ended already, which is the goal.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
