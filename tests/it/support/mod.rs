//! A scripted bridge, for faults and timing that no router shows on request.
//!
//! It proves nothing about routers: `tests/routers` does.

#![allow(unreachable_pub, reason = "a private module of four test programs")]

pub mod datagrams;
pub mod ordered;
pub mod primary;
pub mod restless;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use i2p_sam::{Error, PrivateKey, ResultCode, SamBridge};

/// Longer than any event in a test takes, and shorter than the patience of its user.
pub const LONG: Duration = Duration::from_secs(20);

/// The name that the library looks up to distinguish i2pd from other routers.
const UNKNOWN_NAME: &str = "nobody.invalid.i2p";

/// A bridge on a free port of loopback. The script serves every connection, on a thread.
pub struct ScriptedBridge {
    address: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
    open: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    is_i2pd: Arc<AtomicBool>,
}

impl ScriptedBridge {
    pub fn start(script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let bridge = Self {
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            open: Arc::default(),
            opened: Arc::default(),
            ended: Arc::default(),
            is_i2pd: Arc::default(),
        };
        let is_i2pd = bridge.is_i2pd.clone();
        let (received, open) = (bridge.received.clone(), bridge.open.clone());
        let (opened, ended) = (bridge.opened.clone(), bridge.ended.clone());
        let script = Arc::new(script);
        thread::spawn(move || {
            for socket in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let mut visit = Visit {
                    number: opened.fetch_add(1, Ordering::SeqCst),
                    unknown_name: match is_i2pd.load(Ordering::SeqCst) {
                        true => "INVALID_KEY",
                        false => "KEY_NOT_FOUND",
                    },
                    socket: BufReader::new(socket.unwrap()),
                    received: received.clone(),
                };
                let (script, open) = (script.clone(), open.clone());
                open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    script(&mut visit);
                    drop(visit);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        bridge
    }

    /// A bridge that greets, creates sessions and accepts ACCEPT as routers do. `other` handles any
    /// other command, and a session or accept after its reply.
    pub fn router(other: impl Fn(&mut Visit, Stage<'_>) + Send + Sync + 'static) -> Self {
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
        self.address
    }

    /// Makes it answer the lookup of an unknown name as i2pd does, from now on.
    pub fn answer_as_i2pd(&self) {
        self.is_i2pd.store(true, Ordering::SeqCst);
    }

    pub fn bridge(&self) -> SamBridge {
        SamBridge::new(&self.address.to_string()).unwrap()
    }

    /// Returns every line that has arrived, over all connections, in the order of their newlines.
    pub fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    /// Returns the number of open connections.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Returns the number of connections so far.
    pub fn connections(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }
}

impl Drop for ScriptedBridge {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
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
pub struct Visit {
    /// Counted from 0.
    pub number: usize,
    /// The result of looking up a name that does not exist: `INVALID_KEY` on i2pd.
    pub unknown_name: &'static str,
    socket: BufReader<TcpStream>,
    received: Arc<Mutex<Vec<String>>>,
}

impl Visit {
    /// Wraps a connection that a test accepted itself.
    pub fn of(socket: TcpStream) -> Self {
        Self {
            number: 0,
            unknown_name: "KEY_NOT_FOUND",
            socket: BufReader::new(socket),
            received: Arc::default(),
        }
    }

    /// Returns the next line, or `None` at the end.
    ///
    /// It answers the lookup by which the library distinguishes i2pd from other routers.
    pub fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            let read = self.socket.read_line(&mut line).unwrap_or(0);
            if read == 0 {
                return None;
            }
            if line == format!("NAMING LOOKUP NAME={UNKNOWN_NAME}\n") {
                let result = self.unknown_name;
                self.say(&format!(
                    "NAMING REPLY RESULT={result} NAME={UNKNOWN_NAME}\n"
                ));
                continue;
            }
            self.received.lock().unwrap().push(line.clone());
            return Some(line);
        }
    }

    pub fn say(&mut self, text: &str) {
        self.write(text.as_bytes());
    }

    /// A client that has closed its connection is no fault of the script.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.socket.get_mut().write_all(bytes);
    }

    /// Writes, and returns whether that succeeded.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.socket.get_mut().write_all(bytes).is_ok()
    }

    pub fn read_exact(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.socket.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Reads until the client closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = self.socket.read_to_end(&mut bytes);
        bytes
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

    pub fn set_nodelay(&self) {
        self.socket.get_ref().set_nodelay(true).unwrap();
    }

    pub fn hang_up(&self) {
        let _ = self.socket.get_ref().shutdown(Shutdown::Both);
    }

    /// Writes each byte separately, with a pause before it.
    pub fn drip(&mut self, bytes: &[u8], every: Duration) {
        self.set_nodelay();
        for byte in bytes {
            pause(every);
            if !self.try_write(&[*byte]) {
                return;
            }
        }
    }

    /// Echoes until the client closes.
    pub fn echo(&mut self) {
        self.set_nodelay();
        let mut bytes = [0; 1024];
        while let Ok(read @ 1..) = self.socket.read(&mut bytes) {
            self.write(&bytes[..read]);
        }
    }

    /// Waits until bytes have arrived, and leaves them unread: returning then resets the
    /// connection.
    pub fn wait_for_bytes(&self) {
        let _ = self.socket.get_ref().peek(&mut [0]);
    }

    /// Returns another handle to the socket, for use by another connection.
    pub fn socket(&self) -> TcpStream {
        self.socket.get_ref().try_clone().unwrap()
    }
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
