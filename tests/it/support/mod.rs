//! The test bridge with scripts for whole connections, for replies and timing that no router shows on request.
//!
//! It proves nothing about routers: `tests/routers` does.

#![allow(unreachable_pub, reason = "a private module of four test programs")]

pub mod datagrams;
pub mod ordered;
pub mod primary;
pub mod restless;

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use i2p_sam::testing::{Exchange, Fault, TestBridge};
use i2p_sam::{Error, PrivateKey, ResultCode, SamBridge};

/// Longer than any event in a test takes, and shorter than the patience of its user.
pub const LONG: Duration = Duration::from_secs(20);

/// The name that the library looks up to distinguish i2pd from other routers.
const UNKNOWN_NAME: &str = "nobody.invalid.i2p";

/// A test bridge whose connections are served by a script from their first line, on a thread each.
pub struct ScriptedBridge {
    bridge: TestBridge,
    is_i2pd: Arc<AtomicBool>,
}

impl ScriptedBridge {
    pub fn start(script: impl Fn(&mut Visit<'_, '_>) + Send + Sync + 'static) -> Self {
        let bridge = TestBridge::start().unwrap();
        let is_i2pd = Arc::new(AtomicBool::new(false));
        let acts_as_i2pd = is_i2pd.clone();
        let fault = Fault::script(move |exchange| {
            let mut visit = Visit::of(exchange);
            if acts_as_i2pd.load(Ordering::SeqCst) {
                visit.unknown_name = "INVALID_KEY";
            }
            script(&mut visit);
            match visit.resets {
                true => exchange.reset(),
                false => exchange.close(),
            }
        });
        bridge.inject_each("", fault);
        Self { bridge, is_i2pd }
    }

    /// A bridge that behaves like Java I2P but for these commands, each of which the script handles.
    pub fn java(
        commands: &[&str],
        script: impl Fn(&mut Visit<'_, '_>, &str) + Send + Sync + 'static,
    ) -> Self {
        let bridge = TestBridge::start().unwrap();
        let script = Arc::new(script);
        for command in commands {
            let script = Arc::clone(&script);
            let fault = Fault::script(move |exchange| {
                if exchange.command() == probe() {
                    return exchange.proceed();
                }
                let line = format!("{}\n", exchange.command());
                let mut visit = Visit::of(exchange);
                visit.first = None;
                script(&mut visit, &line);
            });
            bridge.inject_each(command, fault);
        }
        let is_i2pd = Arc::default();
        Self { bridge, is_i2pd }
    }

    /// A bridge that greets, creates sessions and accepts ACCEPT as routers do. `other` handles any
    /// other command, and a session or accept after its reply.
    pub fn router(other: impl Fn(&mut Visit<'_, '_>, Stage<'_>) + Send + Sync + 'static) -> Self {
        Self::start(move |visit| {
            visit.greet();
            let Some(line) = visit.line() else { return };
            if line.starts_with("SESSION CREATE") {
                visit.make_session(&line);
                other(visit, Stage::Session);
            } else if line.starts_with("STREAM ACCEPT") {
                visit.say("STREAM STATUS RESULT=OK\n");
                other(visit, Stage::Accept);
            } else {
                other(visit, Stage::Command(&line));
            }
        })
    }

    /// A bridge that greets and answers any first command with this line.
    pub fn answering(reply: impl Into<String>) -> Self {
        let reply = reply.into();
        Self::start(move |visit| {
            visit.greet();
            if visit.line().is_some() {
                visit.say(&reply);
            }
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.bridge.address()
    }

    /// Makes it answer the lookup of an unknown name as i2pd does, from now on.
    pub fn answer_as_i2pd(&self) {
        self.is_i2pd.store(true, Ordering::SeqCst);
    }

    pub fn bridge(&self) -> SamBridge {
        self.bridge.bridge()
    }

    /// Returns every line that has arrived, over all connections, but for those by which the library
    /// distinguishes i2pd from other routers.
    pub fn received(&self) -> Vec<String> {
        let mut lines = self.bridge.commands();
        lines.retain(|line| *line != probe());
        lines.iter_mut().for_each(|line| line.push('\n'));
        lines
    }

    /// Returns the number of open connections.
    pub fn open_connections(&self) -> usize {
        self.bridge.open_connections()
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.bridge.connections()
    }
}

/// The state of a client.
pub enum Stage<'a> {
    /// Its session exists; this is the control socket.
    Session,
    /// Its accept is pending.
    Accept,
    /// It sent this command.
    Command(&'a str),
}

/// One connection, from the bridge's side.
pub struct Visit<'v, 'e> {
    /// Counted from 0.
    pub number: usize,
    /// The result of looking up a name that does not exist: `INVALID_KEY` on i2pd.
    pub unknown_name: &'static str,
    /// The first line, until it is read.
    first: Option<String>,
    resets: bool,
    exchange: &'v Exchange<'e>,
}

impl<'v, 'e> Visit<'v, 'e> {
    fn of(exchange: &'v Exchange<'e>) -> Self {
        Self {
            number: exchange.connection(),
            unknown_name: "KEY_NOT_FOUND",
            first: Some(exchange.command().to_owned()),
            resets: false,
            exchange,
        }
    }

    /// Returns the next line, or `None` at the end.
    ///
    /// It answers the lookup by which the library distinguishes i2pd from other routers.
    pub fn line(&mut self) -> Option<String> {
        loop {
            let line = self.first.take().or_else(|| self.exchange.read_line())?;
            if line != probe() {
                return Some(line + "\n");
            }
            let result = self.unknown_name;
            self.say(&format!(
                "NAMING REPLY RESULT={result} NAME={UNKNOWN_NAME}\n"
            ));
        }
    }

    pub fn say(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    /// A client that has closed its connection is no fault of the script.
    pub fn write(&mut self, bytes: &[u8]) {
        self.exchange.send(bytes);
    }

    /// Writes, and returns whether that succeeded.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.exchange.send(bytes)
    }

    pub fn read_exact(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.exchange.stream().read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads until the client closes.
    pub fn rest(&mut self) -> Vec<u8> {
        self.exchange.read_to_end()
    }

    pub fn greet(&mut self) {
        self.line();
        self.say("HELLO REPLY RESULT=OK VERSION=3.3\n");
    }

    /// Answers SESSION CREATE with its key, or with one of its own.
    pub fn make_session(&mut self, line: &str) {
        let named = field(line, "DESTINATION").unwrap();
        let key = match named {
            "TRANSIENT" => key(self.number as u8).expose_base64(),
            key => key.to_owned(),
        };
        self.say(&format!("SESSION STATUS RESULT=OK DESTINATION={key}\n"));
    }

    /// Greets, creates the session, and waits for its end.
    pub fn serve_session(&mut self) {
        self.greet();
        if let Some(line) = self.line() {
            self.make_session(&line);
            self.until_quit();
        }
    }

    /// Waits until the client closes, and answers QUIT as Java I2P does.
    pub fn until_quit(&mut self) {
        while let Some(line) = self.line() {
            if line == "QUIT\n" {
                self.say("QUIT STATUS RESULT=OK MESSAGE=bye\n");
                return;
            }
        }
    }

    pub fn hang_up(&self) {
        let _ = self.exchange.stream().shutdown(Shutdown::Both);
    }

    /// Writes each byte separately, with a pause before it.
    pub fn drip(&mut self, bytes: &[u8], every: Duration) {
        for byte in bytes {
            pause(every);
            if !self.try_write(&[*byte]) {
                return;
            }
        }
    }

    /// Echoes until the client closes.
    pub fn echo(&mut self) {
        let mut bytes = [0; 1024];
        while let read @ 1.. = self.exchange.read(&mut bytes) {
            self.write(&bytes[..read]);
        }
    }

    /// Resets the connection when the script returns, after more bytes than were read have arrived.
    pub fn reset(&mut self) {
        if self.first.take().is_none() {
            let _ = self.exchange.stream().peek(&mut [0]);
        }
        let socket = socket2::SockRef::from(self.exchange.stream());
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        self.resets = true;
    }

    /// Returns another handle to the socket, for use by another connection.
    pub fn socket(&self) -> TcpStream {
        self.exchange.stream().try_clone().unwrap()
    }
}

/// Returns the lookup by which the library distinguishes i2pd from other routers.
fn probe() -> String {
    format!("NAMING LOOKUP NAME={UNKNOWN_NAME}")
}

/// Returns the value of a pair in a command.
pub fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace()
        .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

/// Returns the result of a refusal, and its explanation.
pub fn refused(error: Error) -> (ResultCode, String) {
    match error {
        Error::Refused(refusal) => {
            let explanation = refusal.explanation().unwrap_or_default().to_owned();
            (refusal.code().clone(), explanation)
        }
        error => panic!("{error}"),
    }
}

/// Returns a private key of the usual kind, Ed25519, that nobody uses.
pub fn key(seed: u8) -> PrivateKey {
    let byte = |n: usize| (n as u8).wrapping_mul(31) ^ seed.wrapping_mul(7) ^ (n >> 3) as u8;
    let mut bytes: Vec<u8> = (0..384).map(byte).collect();
    bytes.extend([5, 0, 4, 0, 7, 0, 0]);
    bytes.extend((1000..1256).map(byte));
    bytes.extend((2000..2032).map(|n| byte(n) | 1));
    PrivateKey::from_bytes(&bytes).unwrap()
}

/// Runs a call on its own thread; its outcome arrives over the channel.
pub fn in_background<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> mpsc::Receiver<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let _ = sender.send(call());
    });
    receiver
}

/// Waits for the outcome of a background call.
pub fn outcome<T>(receiver: &mpsc::Receiver<T>) -> T {
    receiver.recv_timeout(LONG).expect("a call hangs")
}

/// A point of a script that signals the test.
pub fn milestone() -> (Signal, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    (Signal(Arc::new(Mutex::new(sender))), receiver)
}

/// Signals that the point is reached; can be used from any connection.
#[derive(Clone)]
pub struct Signal(Arc<Mutex<mpsc::Sender<()>>>);

impl Signal {
    pub fn reached(&self) {
        let _ = self.0.lock().unwrap().send(());
    }
}

/// Waits for this time, in tests about time.
pub fn pause(time: Duration) {
    let (_hold, clock) = mpsc::channel::<()>();
    let _ = clock.recv_timeout(time);
}

/// Waits by polling for a condition without an event.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let (_hold, clock) = mpsc::channel::<()>();
    let mut looks = 0;
    while !holds() {
        looks += 1;
        assert!(looks < 4000, "it never came to this: {what}");
        let _ = clock.recv_timeout(Duration::from_millis(5));
    }
}
