//! Datagrams of 1000 bytes, beside those of a `UdpSocket` alone.

use std::net::UdpSocket;
use std::time::Duration;

use i2p_sam::{DatagramOptions, DatagramSession, DatagramStyle, SamBridge};

use crate::Failure;
use crate::bridge::{Bridge, PAYLOAD, private_key};
use crate::child::{Program, print_spent, wait_for_end};
use crate::table::{self, figure, median, ratio};
use crate::tools::{self, Job};
use crate::usage::Usage;

const RUNS: usize = 5;
const SENT: usize = 200_000;
const RECEIVED: usize = 64_000;

/// The most datagrams under way: a socket's buffer holds them all.
const WINDOW: usize = 32;

pub fn print() -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (program, count, name) in [
        ("datagrams-out", SENT, "sent to one peer"),
        ("datagrams-out-turn", SENT, "sent to two in turn"),
        ("datagrams-in", RECEIVED, "received from one peer"),
        ("datagrams-in-turn", RECEIVED, "received from two in turn"),
    ] {
        let mut figures: [[f64; 3]; 2] = Default::default();
        for (figures, kind) in figures.iter_mut().zip(["std", "i2p-sam"]) {
            *figures = measure(program, kind, count)?;
        }
        let [plain, ours] = figures;
        for (at, what) in [
            (0, "a second"),
            (1, "processor, µs each"),
            (2, "allocations each"),
        ] {
            rows.push(vec![
                format!("{name}: {what}"),
                figure(plain[at]),
                figure(ours[at]),
                ratio(ours[at], plain[at]),
            ]);
        }
    }
    let columns = ["", "UdpSocket", "i2p-sam", "i2p-sam / UdpSocket"];
    table::print("Datagrams of 1000 bytes", &columns, &rows);
    match traced_calls() {
        Ok(rows) => table::print("System calls of a datagram", &columns, &rows),
        Err(error) => println!("\nNo system calls: {error}. They need `strace`."),
    }
    Ok(())
}

fn traced_calls() -> Result<Vec<Vec<String>>, Failure> {
    let mut rows = Vec::new();
    for (program, name) in [
        ("datagrams-out", "sent to one peer"),
        ("datagrams-in", "received from one peer"),
    ] {
        let calls = |kind| tools::calls(Job::Datagrams(program), kind);
        let (plain, ours) = (calls("std")?.remove(0), calls("i2p-sam")?.remove(0));
        let mut row = |call: &str, plain: f64, ours: f64| {
            let figures = [figure(plain), figure(ours), ratio(ours, plain)];
            rows.push([vec![format!("{name}: {call}")], figures.to_vec()].concat());
        };
        row("all", plain.values().sum(), ours.values().sum());
        for (call, count) in &ours {
            let plain = plain.get(call).copied().unwrap_or_default();
            // A call that most datagrams do not need is no cost of a datagram.
            if *count >= 0.05 || plain >= 0.05 {
                row(&format!("`{call}`"), plain, *count);
            }
        }
    }
    Ok(rows)
}

/// Returns datagrams a second, and the processor time in µs and the allocations of each.
fn measure(program: &str, kind: &str, count: usize) -> Result<[f64; 3], Failure> {
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let bridge = Bridge::start()?;
        let (port, udp) = (bridge.tcp.to_string(), bridge.udp.to_string());
        let times = count.to_string();
        let word = format!("{kind}:{udp}");
        let mut child = Program::start(&[program, kind, &port, &times, &word])?;
        let spent = child.numbers()?;
        child.end()?;
        let count = count as f64;
        runs.push([
            count * 1e9 / spent[0],
            spent[1] / 1e3 / count,
            spent[2] / count,
        ]);
    }
    Ok([0, 1, 2].map(|at| median(runs.iter().map(|run| run[at]).collect())))
}

fn session(port: u16, udp: u16) -> Result<DatagramSession, Failure> {
    let bridge = SamBridge::builder()
        .address(format!("127.0.0.1:{port}"))
        .udp_address(format!("127.0.0.1:{udp}"))
        .build()?;
    Ok(bridge.session().datagram(DatagramStyle::Datagram)?)
}

/// Reads `KIND:PORT`, and returns true for i2p-sam.
fn kind_and_port(word: &str) -> Result<(bool, u16), Failure> {
    let (kind, udp) = word.split_once(':').ok_or("no port")?;
    Ok((kind == "i2p-sam", udp.parse()?))
}

fn plain(udp: u16) -> Result<UdpSocket, Failure> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", udp))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(socket)
}

/// The program that sends, to one peer or to several in turn. The bridge drops what it receives.
pub fn send(port: u16, count: usize, word: &str, peers: u32) -> Result<(), Failure> {
    let (is_ours, udp) = kind_and_port(word)?;
    let payload = [7; PAYLOAD];
    let peers = (0..peers).map(|number| private_key(number).destination().clone());
    if is_ours {
        let (session, options) = (session(port, udp)?, DatagramOptions::new().to_port(1));
        let peers: Vec<_> = peers.collect();
        let mut turns = peers.iter().cycle();
        let send = || -> Result<(), Failure> {
            let peer = turns.next().ok_or("no peer")?;
            session.send_to_with(&payload, peer, &options)?;
            Ok(())
        };
        measure_calls(count, send)?;
    } else {
        let socket = plain(udp)?;
        let packets: Vec<_> = peers
            .map(|peer| {
                let mut packet = format!("3.3 compare {peer} TO_PORT=1\n").into_bytes();
                packet.extend(payload);
                packet
            })
            .collect();
        let mut turns = packets.iter().cycle();
        let send = || -> Result<(), Failure> {
            socket.send(turns.next().ok_or("no packet")?)?;
            Ok(())
        };
        measure_calls(count, send)?;
    }
    wait_for_end()
}

fn measure_calls(
    count: usize,
    mut call: impl FnMut() -> Result<(), Failure>,
) -> Result<(), Failure> {
    for _ in 0..1000 {
        call()?;
    }
    let start = Usage::now()?;
    for _ in 0..count {
        call()?;
    }
    print_spent(start.spent()?);
    Ok(())
}

/// The program that receives, a window of datagrams after the other.
pub fn receive(port: u16, count: usize, word: &str, verb: &str) -> Result<(), Failure> {
    let (is_ours, udp) = kind_and_port(word)?;
    let request = plain(udp)?;
    let mut buffer = vec![0; 65_536];
    if is_ours {
        let session = session(port, udp)?;
        session.set_read_timeout(Some(Duration::from_secs(5)))?;
        let to = session.udp_addr()?.to_string();
        receive_windows(count, &request, &[verb, &to], || {
            let (len, sender) = session.recv_from(&mut buffer)?;
            Ok(len == PAYLOAD && sender.from_port() == Some(1))
        })?;
    } else {
        let to = request.local_addr()?.to_string();
        receive_windows(count, &request, &[verb, &to], || {
            let len = request.recv(&mut buffer)?;
            Ok(len > PAYLOAD)
        })?;
    }
    wait_for_end()
}

fn receive_windows(
    count: usize,
    request: &UdpSocket,
    [verb, to]: &[&str; 2],
    mut receive: impl FnMut() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let request_text = format!("{verb} {WINDOW} {to}");
    let mut window = || -> Result<(), Failure> {
        request.send(request_text.as_bytes())?;
        for _ in 0..WINDOW {
            if !receive()? {
                return Err("a datagram was changed".into());
            }
        }
        Ok(())
    };
    for _ in 0..20 {
        window()?;
    }
    let start = Usage::now()?;
    for _ in 0..count / WINDOW {
        window()?;
    }
    print_spent(start.spent()?);
    Ok(())
}
