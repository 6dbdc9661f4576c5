//! One stream that carries as many bytes as it can.

use std::io::{Read, Write};

use crate::Failure;
use crate::bridge::Bridge;
use crate::child::{Program, print_spent, wait_for_end};
use crate::client::Client;
use crate::runs::Runs;
use crate::table::{self, COMPARED};
use crate::usage::Usage;

const MEBIBYTES: usize = 256;
const CHUNK: usize = 64 * 1024;

pub fn print() -> Result<(), Failure> {
    let runs = Runs::of(run)?;
    let rows = [
        runs.row("MiB a second", 0),
        runs.row("sender: processor, ms", 1),
        runs.row("receiver: processor, ms", 2),
    ];
    table::print(
        &format!("{MEBIBYTES} MiB through one stream"),
        &COMPARED,
        &rows,
    );
    Ok(())
}

fn run(kind: &str) -> Result<[f64; 3], Failure> {
    let bridge = Bridge::start()?;
    let (port, size) = (bridge.tcp.to_string(), MEBIBYTES.to_string());
    let mut receiver = Program::start(&["receive", kind, &port, &size])?;
    let peer = receiver.line()?;
    let mut sender = Program::start(&["send", kind, &port, &size, &peer])?;
    let (sent, received) = (sender.numbers()?, receiver.numbers()?);
    sender.end()?;
    receiver.end()?;
    let seconds = received[0] / 1e9;
    Ok([MEBIBYTES as f64 / seconds, sent[1] / 1e6, received[1] / 1e6])
}

/// The program that receives.
pub fn receive<C: Client>(port: u16, mebibytes: usize) -> Result<(), Failure> {
    let mut client = C::open(port, "compare-receive")?;
    client.listen()?;
    println!("{}", client.destination()?);
    let mut stream = client.accept()?;
    let mut chunk = vec![0; CHUNK];
    let mut left = mebibytes << 20;
    let mut start = None;
    while left > 0 {
        match stream.read(&mut chunk)? {
            0 => return Err("the stream ended too soon".into()),
            len => left -= len,
        }
        if start.is_none() {
            start = Some(Usage::now()?);
        }
    }
    print_spent(start.ok_or("no bytes")?.spent()?);
    wait_for_end()
}

/// The program that sends.
pub fn send<C: Client>(port: u16, mebibytes: usize, peer: &str) -> Result<(), Failure> {
    let mut client = C::open(port, "compare-send")?;
    let mut stream = client.connect(&C::peer(peer)?)?;
    let chunk = vec![7; CHUNK];
    let start = Usage::now()?;
    for _ in 0..(mebibytes << 20) / CHUNK {
        stream.write_all(&chunk)?;
    }
    print_spent(start.spent()?);
    wait_for_end()
}
