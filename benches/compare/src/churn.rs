//! The same process before and after ten thousand dials, lookups and sessions.

use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{I2pAddr, SamBridge};

use crate::Failure;
use crate::bridge::Bridge;
use crate::child::{Program, wait_for_end};
use crate::client::Client;
use crate::table;
use crate::usage::{Footprint, Usage, allow_many_files};

const COUNT: usize = 10_000;

/// Repetitions before anything is counted.
const FIRST: usize = 100;

/// The longest time for which the last threads may run on.
const SETTLING: Duration = Duration::from_secs(5);

pub fn print() -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (what, name) in [
        ("dials", "dials"),
        ("lookups", "lookups"),
        ("sessions", "sessions opened and closed"),
        ("listeners", "sessions with a listener, opened and closed"),
    ] {
        let bridge = Bridge::start()?;
        let (port, count) = (bridge.tcp.to_string(), COUNT.to_string());
        let mut peer = Program::start(&["discard", "std", &port, &(FIRST + COUNT).to_string()])?;
        let word = format!("{what}:{}", peer.line()?);
        let mut child = Program::start(&["churn", "i2p-sam", &port, &count, &word])?;
        let mut row = vec![format!("{COUNT} {name}")];
        row.extend(child.line()?.split(';').map(str::to_owned));
        rows.push(row);
        child.end()?;
        drop(peer);
    }
    let columns = [
        "",
        "µs each",
        "resident KiB before → after",
        "heap KiB",
        "descriptors",
        "threads",
    ];
    table::print("i2p-sam before and after", &columns, &rows);
    Ok(())
}

/// The program that accepts streams and closes each when its peer has.
pub fn discard<C: Client>(port: u16, count: usize) -> Result<(), Failure> {
    let mut client = C::open(port, "compare-discard")?;
    client.listen()?;
    println!("{}", client.destination()?);
    for _ in 0..count {
        drop(client.accept()?);
    }
    wait_for_end()
}

/// Returns the size of the process once the threads of the last session have ended.
fn settled(before: Footprint) -> Result<Footprint, Failure> {
    let deadline = Instant::now() + SETTLING;
    loop {
        let now = Footprint::now()?;
        if now.threads <= before.threads || Instant::now() > deadline {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// The program that repeats one action.
pub fn churn(port: u16, count: usize, word: &str) -> Result<(), Failure> {
    allow_many_files()?;
    let (what, peer) = word.split_once(':').ok_or("no peer")?;
    let bridge = SamBridge::new(&format!("127.0.0.1:{port}"))?;
    let session = bridge.session().stream()?;
    let peer: I2pAddr = peer.parse()?;
    let name: I2pAddr = "stats.i2p".parse()?;
    let act = || -> Result<(), Failure> {
        match what {
            "dials" => drop(session.connect(&peer)?),
            "lookups" => drop(bridge.lookup(&name)?),
            "sessions" => drop(bridge.session().stream()?),
            _ => drop(bridge.session().stream()?.listener()?),
        }
        Ok(())
    };
    for _ in 0..FIRST {
        act()?;
    }
    // The session above has a thread of its own.
    let before = settled(Footprint {
        threads: 2,
        ..Footprint::now()?
    })?;
    let start = Usage::now()?;
    for _ in 0..count {
        act()?;
    }
    let (spent, after) = (start.spent()?, settled(before)?);
    println!(
        "{};{} → {};{} → {};{} → {};{} → {}",
        spent.wall.as_micros() / count as u128,
        before.rss,
        after.rss,
        before.heap / 1024,
        after.heap / 1024,
        before.files,
        after.files,
        before.threads,
        after.threads,
    );
    wait_for_end()
}
