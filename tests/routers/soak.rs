//! A program that runs for a long time, in a process of its own, so that its memory and descriptors can be
//! read: a stream per second, a datagram per second, and a session that no peer dials until the end.
//!
//! It prints a line each minute, one for each stream that is lost, and one of counts at its end.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{
    DatagramSession, DatagramStyle, SamBridge, SamListener, SamStream, SessionBuilder,
    StreamSession,
};

/// A stream that takes longer to be dialled or answered counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time for the last datagrams to arrive.
const LAST: Duration = Duration::from_secs(5);

/// Longest wait until threads and descriptors are gone.
const SETTLING: Duration = Duration::from_secs(60);

/// Calls before the counting begins.
const CALLS: usize = 20;

/// Attempts to reach a session that was created a moment ago.
const ATTEMPTS: usize = 20;

/// Memory and descriptors of a process. Each is 0 if the system has no `/proc`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) kilobytes: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Self {
        let folder = format!("/proc/{process}");
        let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
        let count = |what| fs::read_dir(format!("{folder}/{what}")).map_or(0, Iterator::count);
        Self {
            kilobytes: kilobytes.unwrap_or(0),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }
}

/// The counts of one kind of traffic.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    sent: u64,
    arrived: u64,
}

/// The program of the process. Arguments: the bridge's address, its address for datagrams, the number of
/// seconds, then options of the sessions.
pub(crate) fn run(args: &[String]) -> io::Result<()> {
    let [address, udp, seconds, options @ ..] = args else {
        return Err(io::Error::other("soak ADDRESS UDP SECONDS [NAME=VALUE…]"));
    };
    let length = Duration::from_secs(seconds.parse().map_err(io::Error::other)?);
    let bridge = SamBridge::builder().address(address).udp_address(udp);
    let mut builder = bridge.build()?.session();
    for option in options {
        let (name, value) = option.split_once('=').ok_or(io::ErrorKind::InvalidInput)?;
        builder = builder.option(name, value);
    }
    soak(&Sessions::create(&builder)?, length)
}

/// All sessions of the program.
struct Sessions {
    server: StreamSession,
    client: StreamSession,
    idle: StreamSession,
    near: DatagramSession,
    far: DatagramSession,
}

impl Sessions {
    /// Creates the sessions at the same time, because each takes 20 s on some routers.
    fn create(builder: &SessionBuilder) -> io::Result<Self> {
        let stream = || builder.clone().stream();
        let datagram = || builder.clone().datagram(DatagramStyle::Datagram);
        thread::scope(|scope| {
            let streams = [(); 3].map(|()| scope.spawn(stream));
            let datagrams = [(); 2].map(|()| scope.spawn(datagram));
            let [server, client, idle] = streams.map(|thread| thread.join().expect("no panic"));
            let [near, far] = datagrams.map(|thread| thread.join().expect("no panic"));
            Ok(Self {
                server: server?,
                client: client?,
                idle: idle?,
                near: near?,
                far: far?,
            })
        })
    }
}

fn soak(sessions: &Sessions, length: Duration) -> io::Result<()> {
    let Sessions { server, client, .. } = sessions;
    for session in [server, &sessions.idle] {
        let listener = session.listener()?;
        thread::spawn(move || serve(&listener));
    }
    // After the first calls the library keeps more accepts pending: their sockets are counted with the
    // others.
    for _ in 0..CALLS {
        reach(client, server)?;
    }
    introduce(&sessions.near, &sessions.far)?;
    let before = steady();
    println!("start {before:?}");
    let start = Instant::now();
    let (streams, datagrams) = thread::scope(|scope| {
        let datagrams = scope.spawn(|| datagrams(&sessions.near, &sessions.far, start, length));
        let streams = streams(client, server, start, length);
        (streams, datagrams.join().expect("no panic"))
    });
    let after = settled(before);
    let idle = Instant::now();
    call(client, &sessions.idle, u64::MAX)?;
    println!("idle session answered in {:?}", idle.elapsed());
    println!(
        "result {} {} {} {} {} {} {} {} {} {}",
        streams.sent,
        streams.arrived,
        datagrams.sent,
        datagrams.arrived,
        before.kilobytes,
        after.kilobytes,
        before.descriptors,
        after.descriptors,
        before.threads,
        after.threads
    );
    Ok(())
}

/// Returns the usage when it is the same as two seconds before, or after a minute.
fn steady() -> Usage {
    let start = Instant::now();
    let mut last = Usage::of(std::process::id());
    loop {
        thread::park_timeout(Duration::from_secs(2));
        let now = Usage::of(std::process::id());
        let same = now.descriptors == last.descriptors && now.threads == last.threads;
        if same || start.elapsed() > SETTLING {
            return now;
        }
        last = now;
    }
}

/// Returns the usage when it is no more than before, or after a minute.
fn settled(before: Usage) -> Usage {
    let start = Instant::now();
    loop {
        let now = Usage::of(std::process::id());
        let few = now.descriptors <= before.descriptors && now.threads <= before.threads;
        if few || start.elapsed() > SETTLING {
            return now;
        }
        thread::park_timeout(Duration::from_millis(200));
    }
}

/// Echoes a word on each stream until the session ends.
fn serve(listener: &SamListener) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        // The other side of this stream counts its result.
        thread::spawn(move || echo(stream));
    }
}

fn echo(mut stream: SamStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut word = [0; 8];
    stream.read_exact(&mut word)?;
    stream.write_all(&word)?;
    // The dialler has read the reply when it hangs up.
    stream.read(&mut word).map(drop)
}

/// Sends a word over a stream of its own, and reads it back.
fn call(client: &StreamSession, server: &StreamSession, word: u64) -> io::Result<()> {
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

fn reach(client: &StreamSession, server: &StreamSession) -> io::Result<()> {
    let answered = (0..ATTEMPTS).any(|_| call(client, server, 0).is_ok());
    answered
        .then_some(())
        .ok_or_else(|| io::Error::other("no stream is answered"))
}

/// The first datagrams only make a router look up the receiver.
fn introduce(near: &DatagramSession, far: &DatagramSession) -> io::Result<()> {
    far.set_read_timeout(Some(Duration::from_secs(2)))?;
    for _ in 0..ATTEMPTS {
        near.send_to(&u64::MAX.to_be_bytes(), far.destination())?;
        if far.recv_from(&mut [0; 8]).is_ok() {
            return Ok(());
        }
    }
    Err(io::Error::other("no datagram arrives"))
}

/// Waits until this many seconds after the start, and returns true if that is within the length.
fn next_second(number: u64, start: Instant, length: Duration) -> bool {
    let due = Duration::from_secs(number);
    while let Some(left) = due.checked_sub(start.elapsed()) {
        thread::park_timeout(left);
    }
    // A late second begins at once, but not after the requested length.
    due.max(start.elapsed()) < length
}

fn streams(
    client: &StreamSession,
    server: &StreamSession,
    start: Instant,
    length: Duration,
) -> Count {
    let mut count = Count::default();
    let mut longest = Duration::ZERO;
    while next_second(count.sent, start, length) {
        let dialled = Instant::now();
        let outcome = call(client, server, count.sent);
        longest = longest.max(dialled.elapsed());
        count.sent += 1;
        match outcome {
            Ok(()) => count.arrived += 1,
            Err(error) => println!("lost the stream of second {}: {error}", count.sent - 1),
        }
        if count.sent % 60 == 0 {
            let usage = Usage::of(std::process::id());
            println!(
                "minute {}: {} of {} streams, longest {longest:.1?}, {usage:?}",
                count.sent / 60,
                count.arrived,
                count.sent
            );
        }
    }
    count
}

fn datagrams(
    near: &DatagramSession,
    far: &DatagramSession,
    start: Instant,
    length: Duration,
) -> Count {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(far, &over));
        let mut sent = 0u64;
        while next_second(sent, start, length) {
            if let Err(error) = near.send_to(&sent.to_be_bytes(), far.destination()) {
                println!("could not send datagram {sent}: {error}");
            }
            sent += 1;
        }
        thread::park_timeout(LAST);
        over.store(true, Ordering::Relaxed);
        let numbers = receiver.join().expect("no panic");
        for number in (0..sent).filter(|number| !numbers.contains(number)) {
            println!("lost datagram {number}");
        }
        let arrived = numbers.iter().filter(|number| **number < sent).count() as u64;
        Count { sent, arrived }
    })
}

fn receive(far: &DatagramSession, over: &AtomicBool) -> HashSet<u64> {
    let mut numbers = HashSet::new();
    let mut word = [0; 8];
    while !over.load(Ordering::Relaxed) {
        if let Ok((8, _)) = far.recv_from(&mut word) {
            numbers.insert(u64::from_be_bytes(word));
        }
    }
    numbers
}
