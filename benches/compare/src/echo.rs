//! A stream is dialled and accepted, and a word goes back and forth.

use std::collections::BTreeMap;

use crate::Failure;
use crate::bridge::Bridge;
use crate::child::Program;
use crate::client::KINDS;
use crate::runs::Runs;
use crate::table::{self, COMPARED, compared};
use crate::tools::{self, Calls, Job};

const ROUNDS: usize = 1000;

pub fn print() -> Result<(), Failure> {
    let mut rows = costs()?;
    let calls = traced_calls();
    if let Ok([dialling, accepting]) = &calls {
        rows.insert(3, compared("dialler: system calls", totals(dialling)));
        rows.insert(4, compared("acceptor: system calls", totals(accepting)));
    }
    let heading = "A stream: connect, accept, echo of 32 bytes, close";
    table::print(heading, &COMPARED, &rows);
    match calls {
        Ok([dialling, accepting]) => {
            print_calls("System calls of a stream, dialler", &dialling);
            print_calls("System calls of a stream, acceptor", &accepting);
        }
        Err(error) => println!("\nNo system calls: {error}. They need `strace`."),
    }
    Ok(())
}

/// Returns the rows of the costs, except system calls.
fn costs() -> Result<Vec<Vec<String>>, Failure> {
    let runs = Runs::of(run)?;
    Ok(vec![
        runs.row("wall, µs", 0),
        runs.row("dialler: processor, µs", 1),
        runs.row("acceptor: processor, µs", 3),
        runs.row("dialler: allocations", 2),
        runs.row("acceptor: allocations", 4),
    ])
}

/// Returns the wall time, and the processor time and the allocations of either side, for a stream.
fn run(kind: &str) -> Result<[f64; 5], Failure> {
    let bridge = Bridge::start()?;
    let (mut acceptor, mut dialler) = start(&bridge, kind)?;
    let rounds = ROUNDS as f64;
    let (near, far) = (dialler.numbers()?, acceptor.numbers()?);
    dialler.end()?;
    acceptor.end()?;
    let micros = rounds * 1000.0;
    Ok([
        near[0] / micros,
        near[1] / micros,
        near[2] / rounds,
        far[1] / micros,
        far[2] / rounds,
    ])
}

fn start(bridge: &Bridge, kind: &str) -> Result<(Program, Program), Failure> {
    let (port, rounds) = (bridge.tcp.to_string(), ROUNDS.to_string());
    let mut acceptor = Program::start(&["accept", kind, &port, &rounds])?;
    let peer = acceptor.line()?;
    let dialler = Program::start(&["dial", kind, &port, &rounds, &peer])?;
    Ok((acceptor, dialler))
}

/// Returns the system calls of the dialler and the acceptor, for each kind of client.
fn traced_calls() -> Result<[[Calls; 3]; 2], Failure> {
    let mut sides: [[Calls; 3]; 2] = Default::default();
    for (at, kind) in KINDS.iter().enumerate() {
        let calls = tools::calls(Job::STREAMS, kind)?;
        for (side, calls) in sides.iter_mut().zip(calls) {
            side[at] = calls;
        }
    }
    Ok(sides)
}

fn totals(kinds: &[Calls; 3]) -> [f64; 3] {
    kinds.each_ref().map(|calls| calls.values().sum())
}

fn print_calls(heading: &str, kinds: &[Calls; 3]) {
    let names: BTreeMap<&String, ()> = kinds
        .iter()
        .flat_map(|calls| calls.keys())
        .map(|name| (name, ()))
        .collect();
    let mut rows = Vec::new();
    for name in names.keys() {
        let counts = kinds
            .each_ref()
            .map(|calls| calls.get(*name).copied().unwrap_or_default());
        // A call that most streams do not need is no cost of a stream.
        if counts.iter().any(|count| *count >= 0.05) {
            let mut row = vec![format!("`{name}`")];
            row.extend(counts.map(table::figure));
            rows.push(row);
        }
    }
    table::print(heading, &["", "std", "yosemite", "i2p-sam"], &rows);
}
