//! A program whose sessions heal, in a process of its own, so that its threads and descriptors can be
//! counted: one listener, one dialler, and four threads that dial without a pause the whole time.
//!
//! It prints a line for each event, and reads a line for each request.

use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{HealingEvent, HealingOptions, HealingSession, SamBridge, SamListener, SamStream};

/// The first pause of the sessions; the parent derives the expected times from it.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(2);

const DIALLERS: usize = 4;

/// Number of calls that must succeed before the router is killed again.
const CALLS: u64 = 20;

/// Longest wait for a dial, which may be lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest wait until threads and descriptors are gone.
const SETTLING: Duration = Duration::from_secs(60);

/// The number of looks, a second apart, at the threads and descriptors before the first kill.
const LOOKS: usize = 5;

/// The program of the process. Arguments: the bridge's address, then options of the session.
pub(crate) fn run(args: &[String]) -> io::Result<()> {
    let [address, options @ ..] = args else {
        return Err(io::Error::other("healed ADDRESS [NAME=VALUE…]"));
    };
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let mut builder = SamBridge::new(&address.to_string())?
        .session()
        .linger(Duration::ZERO);
    for option in options {
        let (name, value) = option.split_once('=').ok_or(io::ErrorKind::InvalidInput)?;
        builder = builder.option(name, value);
    }
    let (server, client) = thread::scope(|scope| {
        let server = scope.spawn(|| builder.clone().healing_with(&pauses().on_event(tell)));
        let client = builder.clone().healing_with(&pauses());
        (server.join().expect("it makes a session"), client)
    });
    let (server, client) = (server?, client?);
    let listener = server.listener()?;
    thread::spawn(move || serve(&listener));
    // At i2pd the first calls create the sockets kept ready for the next ones: they are counted with the
    // others.
    for _ in 0..CALLS {
        serves(&client, &server)?;
    }
    drive(&server, &client)
}

fn pauses() -> HealingOptions {
    HealingOptions::new()
        .initial_backoff(FIRST_PAUSE)
        .max_backoff(LONGEST_PAUSE)
}

fn tell(_: &SamBridge, event: &HealingEvent) {
    match event {
        HealingEvent::Lost { .. } => say("lost"),
        HealingEvent::Connecting { away, .. } => say(&format!("trying {}", away.as_millis())),
        HealingEvent::Restored { attempts, away, .. } => {
            say(&format!("back {attempts} {}", away.as_millis()));
        }
        HealingEvent::GaveUp { error, .. } => say(&format!("ended {error}")),
        _ => {}
    }
}

/// Prints one line. The reader may be gone.
fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

/// Answers all callers with the one listener, until its end.
fn serve(listener: &SamListener) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        thread::spawn(move || echo(stream));
    }
}

fn echo(mut stream: SamStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut word = [0; 8];
    stream.read_exact(&mut word)?;
    stream.write_all(&word)
}

/// Sends a word, and reads it back.
fn call(client: &HealingSession, server: &HealingSession, word: u64) -> io::Result<()> {
    let mut stream = client.connect_timeout(server.destination(), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&word.to_be_bytes())?;
    let mut echo = [0; 8];
    stream.read_exact(&mut echo)?;
    match u64::from_be_bytes(echo) == word {
        true => Ok(()),
        false => Err(io::Error::other("another word came back")),
    }
}

/// Calls until a call succeeds.
fn serves(client: &HealingSession, server: &HealingSession) -> io::Result<()> {
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        match call(client, server, 0) {
            Err(error) if Instant::now() >= end => return Err(error),
            Err(_) => thread::yield_now(),
            Ok(()) => return Ok(()),
        }
    }
}

/// Replies to `serve?` with `serves` when a call has succeeded, and with `busy` when those in progress have
/// succeeded too; replies to `end` with the counts.
fn drive(server: &HealingSession, client: &HealingSession) -> io::Result<()> {
    // An accept that is being sent again has no socket for a moment, so a single look may find too few.
    let mut before = (0, 0);
    for _ in 0..LOOKS {
        let (threads, descriptors) = settled(|counts, last| counts == last);
        before = (before.0.max(threads), before.1.max(descriptors));
    }
    let load = Load::start(server, client);
    say("ready");
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "serve?" => {
                serves(client, server)?;
                say("serves");
                load.await_calls(CALLS);
                say("busy");
            }
            "end" => break,
            other => return Err(io::Error::other(format!("{other}?"))),
        }
    }
    let (answered, failed) = load.end();
    let after = settled(|(threads, descriptors), _| threads <= before.0 && descriptors <= before.1);
    say(&format!(
        "counts {} {} {} {} {answered} {failed}",
        before.0, before.1, after.0, after.1
    ));
    server.close();
    client.close();
    Ok(())
}

/// Returns the threads and descriptors when `enough` accepts them, or when the time is over.
fn settled(mut enough: impl FnMut((usize, usize), (usize, usize)) -> bool) -> (usize, usize) {
    let count = |what| fs::read_dir(what).map_or(0, Iterator::count);
    let counts = || (count("/proc/self/task"), count("/proc/self/fd"));
    let end = Instant::now() + SETTLING;
    let mut last = counts();
    loop {
        thread::park_timeout(Duration::from_secs(1));
        let now = counts();
        if enough(now, last) || Instant::now() >= end {
            return now;
        }
        last = now;
    }
}

/// Threads that each dial one call after the other.
struct Load {
    over: Arc<AtomicBool>,
    counters: Arc<[AtomicU64; 2]>,
    threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

impl Load {
    fn start(server: &HealingSession, client: &HealingSession) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let counters = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let dialler = |number: usize| {
            let (server, client) = (server.clone(), client.clone());
            let (over, counters) = (Arc::clone(&over), Arc::clone(&counters));
            thread::spawn(move || {
                for word in number as u64.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let failed = call(&client, &server, word).is_err();
                    counters[usize::from(failed)].fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let threads = Mutex::new((0..DIALLERS).map(dialler).collect());
        Self {
            over,
            counters,
            threads,
        }
    }

    /// Waits until this many more calls have succeeded.
    fn await_calls(&self, more: u64) {
        let [answered, _] = &*self.counters;
        let enough = answered.load(Ordering::Relaxed) + more;
        let end = Instant::now() + SETTLING;
        while answered.load(Ordering::Relaxed) < enough && Instant::now() < end {
            thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Returns the numbers of calls that succeeded and that failed.
    fn end(self) -> (u64, u64) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.into_inner().unwrap_or_default() {
            let _ = thread.join();
        }
        let count = |which: usize| self.counters[which].load(Ordering::Relaxed);
        (count(0), count(1))
    }
}
