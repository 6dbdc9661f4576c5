//! The size of a process with many streams or sessions.

use crate::Failure;
use crate::bridge::Bridge;
use crate::child::{Program, wait_for_end};
use crate::client::{Client, KINDS};
use crate::table::{self, COMPARED, compared, figure};
use crate::usage::{Footprint, allow_many_files};

const STREAMS: usize = 1000;
const SESSIONS: usize = 100;

/// Streams that are there before anything is counted.
const FIRST: usize = 20;

pub fn print() -> Result<(), Failure> {
    let mut streams = [[0.0; 4]; 3];
    for (kind, figures) in KINDS.iter().zip(&mut streams) {
        *figures = hold_streams(kind)?;
    }
    let row = |name: &str, at: usize| compared(name, streams.map(|figures| figures[at]));
    let rows = [
        row("resident memory, bytes", 0),
        row("heap, bytes", 1),
        row("descriptors", 3),
        row("threads", 2),
    ];
    let heading = format!("An idle accepted stream, of {STREAMS}");
    table::print(&heading, &COMPARED, &rows);

    let bridge = Bridge::start()?;
    let (port, count) = (bridge.tcp.to_string(), SESSIONS.to_string());
    let mut child = Program::start(&["sessions", "i2p-sam", &port, &count])?;
    let (session, listener) = (child.numbers()?, child.numbers()?);
    child.end()?;
    let names = [
        "resident memory, bytes",
        "heap, bytes",
        "threads",
        "descriptors",
    ];
    let rows: Vec<_> = (names.iter().zip(session.iter().zip(&listener)))
        .map(|(name, (session, listener))| {
            vec![(*name).to_owned(), figure(*session), figure(*listener)]
        })
        .collect();
    let heading = format!("A stream session of i2p-sam, of {SESSIONS}, and its listener");
    table::print(&heading, &["", "session", "listener"], &rows);
    Ok(())
}

/// Returns what a stream adds to the acceptor: memory, heap, threads, descriptors.
fn hold_streams(kind: &str) -> Result<[f64; 4], Failure> {
    let bridge = Bridge::start()?;
    let (port, count) = (bridge.tcp.to_string(), STREAMS.to_string());
    let mut acceptor = Program::start(&["hold-accepted", kind, &port, &count])?;
    let peer = acceptor.line()?;
    let mut dialler = Program::start(&["hold-dialled", "std", &port, &count, &peer])?;
    let added = acceptor.numbers()?;
    dialler.line()?;
    acceptor.end()?;
    dialler.end()?;
    added
        .try_into()
        .map_err(|_| "four figures are needed".into())
}

/// The program that accepts streams and keeps them.
pub fn hold_accepted<C: Client>(port: u16, count: usize) -> Result<(), Failure> {
    allow_many_files()?;
    let mut client = C::open(port, "compare-hold-accepted")?;
    client.listen()?;
    println!("{}", client.destination()?);
    let mut streams = Vec::with_capacity(FIRST + count);
    for _ in 0..FIRST {
        streams.push(client.accept()?);
    }
    let before = Footprint::now()?;
    for _ in 0..count {
        streams.push(client.accept()?);
    }
    print_added(before, Footprint::now()?, count);
    wait_for_end()
}

/// The program that dials streams and keeps them.
pub fn hold_dialled<C: Client>(port: u16, count: usize, peer: &str) -> Result<(), Failure> {
    allow_many_files()?;
    let mut client = C::open(port, "compare-hold-dialled")?;
    let peer = C::peer(peer)?;
    let mut streams = Vec::with_capacity(FIRST + count);
    for _ in 0..FIRST + count {
        streams.push(client.connect(&peer)?);
    }
    println!("{}", streams.len());
    wait_for_end()
}

/// The program that opens many sessions, and then a listener for each.
pub fn sessions<C: Client>(port: u16, count: usize) -> Result<(), Failure> {
    allow_many_files()?;
    let open = |number: usize| C::open(port, &format!("compare-{number}"));
    let _first = open(0)?;
    let mut sessions = Vec::with_capacity(count);
    let before = Footprint::now()?;
    for number in 1..=count {
        sessions.push(open(number)?);
    }
    let between = Footprint::now()?;
    for session in &mut sessions {
        session.listen()?;
    }
    let after = Footprint::now()?;
    print_added(before, between, count);
    print_added(between, after, count);
    wait_for_end()
}

fn print_added(before: Footprint, after: Footprint, count: usize) {
    let each = |after: i64, before: i64| (after - before) as f64 / count as f64;
    println!(
        "{} {} {} {}",
        each(after.rss, before.rss) * 1024.0,
        each(after.heap, before.heap),
        each(after.threads, before.threads),
        each(after.files, before.files),
    );
}
