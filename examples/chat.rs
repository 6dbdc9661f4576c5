//! A chat: everybody reads what anybody writes, under the first letters of the writer's address.
//!
//! ```text
//! chat                    a server and three clients in one process, for a look at it
//! chat server             the server alone; it prints its address
//! chat client ADDRESS     a client; it sends each line of its input
//! ```
//!
//! Ctrl-C stops the server: it accepts no more clients, and ends when the open ones have left or after 5 s.

mod common;

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use common::{Outcome, Place};
use i2p_sam::server::{Server, ServerOptions};
use i2p_sam::{I2pAddr, SamStream, StreamSession};

/// The longest line; the rest of it is a line of its own.
const LONGEST_LINE: u64 = 1000;
/// A client that falls this far behind is put out, so that it does not hold up the others.
const SLOWEST_WRITE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => all(&Place::find()?),
        ["server"] => {
            let place = Place::find()?;
            let session = place.stream_session("chat-server")?;
            let server = server();
            common::stop_on_ctrl_c(&server)?;
            let address = session.destination().b32();
            println!("The chat is at {address}");
            println!(
                "Try: {}cargo run --example chat client {address}",
                place.environment()
            );
            serve(&server, &session)
        }
        ["client", address] => {
            let session = Place::find()?.stream_session("chat-client")?;
            client(session.connect(address)?)
        }
        _ => Err("usage: chat [server | client ADDRESS]".into()),
    }
}

fn server() -> Server {
    let options = ServerOptions::new()
        .max_connections(100)
        .grace(Duration::from_secs(5));
    // A chat has no end of its own.
    Server::new(&options.connection_timeout(None))
}

/// The clients, by the number of their arrival.
#[derive(Default)]
struct Room(Mutex<(u64, BTreeMap<u64, SamStream>)>);

impl Room {
    fn enter(&self, stream: &SamStream) -> io::Result<u64> {
        let mut room = self.lock();
        room.0 += 1;
        let number = room.0;
        room.1.insert(number, stream.try_clone()?);
        Ok(number)
    }

    fn leave(&self, number: u64) {
        self.lock().1.remove(&number);
    }

    /// Sends a line to all, and puts out those that do not take it.
    fn send(&self, line: &str) {
        let mut room = self.lock();
        room.1.retain(|_, client| {
            let sent = client.write_all(line.as_bytes());
            if sent.is_err() {
                let _ = client.shutdown(std::net::Shutdown::Both);
            }
            sent.is_ok()
        });
    }

    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, SamStream>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until the server is stopped.
fn serve(server: &Server, session: &StreamSession) -> Outcome {
    let room = Arc::new(Room::default());
    let handler = move |stream: SamStream| -> io::Result<()> {
        let number = room.enter(&stream)?;
        let outcome = relay(&room, &stream);
        room.leave(number);
        outcome
    };
    server.serve(session.listener()?, handler)?;
    println!("{}", server.stats());
    Ok(())
}

/// Sends each line of a client to all, until it leaves.
fn relay(room: &Room, stream: &SamStream) -> io::Result<()> {
    stream.set_write_timeout(Some(SLOWEST_WRITE))?;
    let name = name(stream.peer_addr());
    room.send(&format!("* {name} comes\n"));
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    let outcome = loop {
        line.clear();
        match lines
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
        {
            Ok(0) => break Ok(()),
            Ok(_) => room.send(&format!("{name}: {}\n", printable(&line))),
            // It closed without reading everything.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    room.send(&format!("* {name} leaves\n"));
    outcome
}

/// Returns the first letters of an address: enough to tell a few people apart, not to prove who they are.
fn name(peer: &I2pAddr) -> String {
    let b32 = peer.b32().map(|b32| b32.to_string());
    b32.map_or_else(|| "nobody".into(), |b32| b32.chars().take(6).collect())
}

/// A client must not be able to control the terminals of the others.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end()
        .chars()
        .filter(|char| !char.is_control())
        .collect()
}

/// Sends each line of the input, and prints what arrives, until either side ends.
fn client(stream: SamStream) -> Outcome {
    let sender = stream.try_clone()?;
    // A thread that reads the input cannot be woken: it ends with the process.
    thread::spawn(move || {
        if let Err(error) = send_input(&sender) {
            eprintln!("Error: {}", common::in_full(&error));
        }
        // The end of the input is the end of the visit.
        let _ = sender.shutdown(std::net::Shutdown::Both);
    });
    io::copy(&mut &stream, &mut io::stdout())?;
    Ok(())
}

fn send_input(mut sender: &SamStream) -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        sender.write_all(format!("{}\n", line?).as_bytes())?;
    }
    Ok(())
}

/// Three clients that each send a line and read those of all.
fn all(place: &Place) -> Outcome {
    let session = place.stream_session("chat-server")?;
    let server = server();
    let (serving, host) = (server.clone(), session.clone());
    let serving = thread::spawn(move || serve(&serving, &host));
    let visitors = (0..3).map(|_| {
        let stream = place
            .stream_session("chat-client")?
            .connect(session.destination())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    });
    let mut visitors = visitors.collect::<Outcome<Vec<_>>>()?;
    // Each knows that it is in the room when it reads of its own arrival.
    for visitor in &mut visitors {
        let own = name(visitor.get_ref().local_addr());
        await_line(visitor, &format!("* {own} comes\n"))?;
    }
    for number in 0..visitors.len() {
        let own = name(visitors[number].get_ref().local_addr());
        visitors[number].get_mut().write_all(b"hello\n")?;
        let line = format!("{own}: hello\n");
        for visitor in &mut visitors {
            await_line(visitor, &line)?;
        }
        print!("all three read: {line}");
    }
    server.stop();
    drop(visitors);
    serving.join().map_err(|_| "the server panicked")?
}

fn await_line(visitor: &mut BufReader<SamStream>, expected: &str) -> Outcome {
    let mut line = String::new();
    while line != expected {
        line.clear();
        if visitor.read_line(&mut line)? == 0 {
            return Err(format!("the chat ended before {expected:?}").into());
        }
    }
    Ok(())
}
