//! Runs the program, and limits each wait.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use i2p_sam::testing::TestBridge;
use i2p_sam::{SamListener, SamStream, StreamSession};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Returns the program with its arguments, and with the test's bridge as its own.
pub(crate) fn sam<S: AsRef<OsStr>>(
    bridge: &TestBridge,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    sam_at(bridge.address(), arguments)
}

pub(crate) fn sam_at<S: AsRef<OsStr>>(
    bridge: SocketAddr,
    arguments: impl IntoIterator<Item = S>,
) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sam"));
    command
        .args(arguments)
        .env("I2P_SAM_ADDRESS", bridge.to_string());
    for variable in [
        "I2P_SAM_UDP_ADDRESS",
        "I2P_SAM_USER",
        "I2P_SAM_PASSWORD",
        "I2P_SAM_OPTIONS",
    ] {
        command.env_remove(variable);
    }
    command
}

/// The outputs and the exit code of a program that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end, without input.
pub(crate) fn run(command: &mut Command) -> Done {
    Running::start(command).finish()
}

/// A program that runs. It is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Self {
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Returns the next line of standard output, without its end.
    pub(crate) fn line(&self) -> String {
        let line = self.stdout.recv_timeout(LIMIT);
        line.unwrap_or_else(|_| {
            panic!(
                "no line; errors: {:?}",
                self.stderr.try_iter().collect::<String>()
            )
        })
        .trim_end()
        .to_owned()
    }

    /// Returns the next line of standard error, without its end.
    pub(crate) fn note(&self) -> String {
        self.stderr
            .recv_timeout(LIMIT)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    /// Writes to standard input, which stays open.
    pub(crate) fn write(&mut self, text: &str) {
        self.child
            .stdin
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(status.success());
    }

    /// Ends the input, and waits for the end of the program.
    pub(crate) fn finish(mut self) -> Done {
        self.end_input();
        // The outputs end with the program, which closes them at its end at the latest.
        let stdout = rest(&self.stdout);
        let stderr = rest(&self.stderr);
        let code = self.child.wait().unwrap().code();
        Done {
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(output: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut reader = BufReader::new(output);
        loop {
            let mut line = Vec::new();
            if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
                return;
            }
            let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
        }
    });
    receiver
}

fn rest(lines: &Receiver<String>) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(LIMIT) {
            Ok(line) => text.push_str(&line),
            Err(mpsc::RecvTimeoutError::Disconnected) => return text,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the program does not end: {text}"),
        }
    }
}

/// A folder that is removed when it is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("sam-cli-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns an address at which nothing listens.
pub(crate) fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// A destination that handles each stream on a thread.
pub(crate) struct Service {
    session: StreamSession,
}

impl Service {
    pub(crate) fn start(bridge: &TestBridge, handle: fn(SamStream)) -> Self {
        let session = bridge.bridge().session().stream().unwrap();
        let listener = session.listener().unwrap();
        thread::spawn(move || serve(&listener, handle));
        Self { session }
    }

    pub(crate) fn address(&self) -> String {
        self.session.destination().b32().to_string()
    }

    /// Adds its name to the address book.
    pub(crate) fn named(self, bridge: &TestBridge, name: &str) -> Self {
        bridge.add_host(&name.parse().unwrap(), self.session.destination());
        self
    }
}

fn serve(listener: &SamListener, handle: fn(SamStream)) {
    for stream in listener.incoming().map_while(Result::ok) {
        thread::spawn(move || handle(stream));
    }
}

/// Replies to a line with the same line in capitals, and closes.
pub(crate) fn shout(stream: SamStream) {
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    (&stream).write_all(line.to_uppercase().as_bytes()).unwrap();
}

/// Replies to a request with what it asked for.
pub(crate) fn http(stream: SamStream) {
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return;
        }
    }
    let reply = match head.split(' ').nth(1).unwrap() {
        "/page" => "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "/cut" => "HTTP/1.0 200 OK\r\nContent-Length: 50\r\n\r\nhello".to_owned(),
        "/nothing" => String::new(),
        "/large" => format!("HTTP/1.0 200 OK\r\n\r\n{}", "x".repeat(1 << 20)),
        "/moved" => "HTTP/1.0 302 Found\r\nLocation: http://new.i2p/\r\n\r\n".to_owned(),
        "/head" => format!("HTTP/1.0 200 OK\r\n\r\n{head}"),
        _ => "HTTP/1.0 404 Not Found\r\nContent-Length: 4\r\n\r\nnone".to_owned(),
    };
    // A client may hang up early.
    let _ = (&stream).write_all(reply.as_bytes());
}
