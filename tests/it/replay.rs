//! The exchanges recorded from real bridges, replayed against a bridge that imitates them.
//!
//! `transcripts/*.sam` contain the recordings, in scenarios that start at `== title`, each of which
//! is replayed on a bridge of its own. The head of each file explains the notation. In addition:
//! - A connection opens at its first `>`, and at the next one after `# eof` or `# close`. It first
//!   sends `HELLO VERSION MIN=3.1 MAX=3.3` and compares the reply with the file's `greeting`, unless
//!   the line is a HELLO itself or the scenario begins with `without greeting`.
//! - A step of several connections has a range of names: `a0..69> text`. If the next line has the same
//!   range, both steps run for one connection after the other.
//! - `# eof` includes a reset, which the system sends if the bridge had not read everything.
//! - `# silence` waits for 80 ms. In a scenario with a `clock` it waits for nothing, since `~` has.
//! - `{priv A}` and its forms are keys of the client, made by the test. `{priv? A}` and `{dest? A}`
//!   are made by the bridge, and have the name from then on. `{num? A}` keeps digits as `{num A}`.
//! - `host name {dest A}`: the address book contains the host. `router lost`: the router behind the
//!   bridge stops. `sessions take 3s`: the router takes that long to create one.
//! - A datagram that arrives must come from the bridge's own UDP port.
//!
//! Everything is compared byte by byte: the words, their order, the quotes, the newline at the end,
//! and what follows. At the end of a scenario no bytes may be left over.

#![allow(unreachable_pub, reason = "private modules of a test program")]

mod routers;
mod script;
mod socket;
mod stage;
mod text;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use i2p_sam::Destination;

use self::script::Script;
use self::stage::Stage;

/// Most of the time a scenario waits.
const THREADS: usize = 16;

/// The time to wait for a reply.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A bridge to replay to, and the router behind it.
pub trait Bridge {
    fn tcp(&self) -> SocketAddr;
    fn udp(&self) -> SocketAddr;
    /// Stops the router behind the bridge, which continues.
    fn lose_router(&self);
    /// Returns the number of connections that the bridge has not closed.
    fn open_connections(&self) -> usize;
    /// Adds a host to the router's address book.
    fn add_host(&self, host: &str, destination: &Destination);
}

/// The properties of a bridge that a scenario needs.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The router's clock is this many times faster.
    pub clock: u32,
    /// The time, by the router's clock, that it takes to create a session.
    pub session_delay: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clock: 1,
            session_delay: Duration::ZERO,
        }
    }
}

/// A step at which the bridge differs from the recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub line: usize,
    pub expected: String,
    pub found: String,
}

/// Replays every scenario, each on a bridge that `start` returns. Returns a line for each difference:
/// `file:line expected …, got …`.
pub fn replay<B: Bridge>(
    file: &str,
    source: &str,
    patience: Duration,
    start: impl Fn(&Setup) -> B + Sync,
) -> Vec<String> {
    let script = Script::parse(source).unwrap_or_else(|error| panic!("{file}:{error}"));
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS.min(script.scenarios.len()) {
            scope.spawn(|| {
                while let Some(scenario) = script.scenarios.get(next.fetch_add(1, Ordering::SeqCst))
                {
                    let bridge = start(&scenario.setup);
                    let stage = Stage::new(&bridge, scenario, &script.greeting, patience);
                    // The lock is not held while a scenario runs.
                    let differences = stage.run();
                    found.lock().unwrap().extend(differences);
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap();
    found.sort_by_key(|difference| difference.line);
    let show = |difference: &Difference| {
        let Difference {
            line,
            expected,
            found,
        } = difference;
        format!("{file}:{line} expected {expected}, got {found}")
    };
    found.iter().map(show).collect()
}

/// Compares the differences found with the known ones, each of which has a reason.
pub fn assert_known(found: &[String], known: &[(&str, &str)]) {
    // A difference may go on: more lines may have come, at the same place of the recording.
    let place = |line: &str| line.split(' ').next().map(str::to_owned);
    let is_known = |line: &&String| known.iter().any(|(known, _)| place(line) == place(known));
    let new: Vec<_> = found.iter().filter(|line| !is_known(line)).collect();
    let gone: Vec<_> = known
        .iter()
        .filter(|(known, _)| !found.iter().any(|line| line.starts_with(known)))
        .collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "differences that are not known: {new:#?}\nknown differences that are gone: {gone:#?}"
    );
}

#[cfg(test)]
mod tests;
