//! A peer of a peer-to-peer network: one destination that accepts and dials at the same time.
//!
//! ```text
//! peers              two peers in one process, each dialling the other
//! peers ADDRESS…     one peer, dialling these and accepting from anybody
//! ```

mod common;

use std::io::{BufRead, BufReader, Write};
use std::thread;
use std::time::Duration;

use common::{Outcome, Place, in_full};
use i2p_sam::{SamListener, SamStream, StreamSession};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let place = Place::find()?;
    let addresses: Vec<String> = std::env::args().skip(1).collect();
    if addresses.is_empty() {
        return pair(&place);
    }
    let session = place.stream_session("peer")?;
    let listener = session.listener()?;
    let address = session.destination().b32();
    println!("I am {address}");
    println!(
        "Try: {}cargo run --example peers {address}",
        place.environment()
    );
    // Accept in one thread and dial in others: clones share a session.
    let accepting = thread::spawn(move || accept(&listener, usize::MAX));
    for address in addresses {
        let session = session.clone();
        thread::spawn(move || {
            if let Err(error) = dial(&session, &address) {
                eprintln!("{address}: {}", in_full(&*error));
            }
        });
    }
    accepting.join().map_err(|_| "accepting panicked")?
}

fn pair(place: &Place) -> Outcome {
    let (first, second) = (
        place.stream_session("peer-1")?,
        place.stream_session("peer-2")?,
    );
    let mut work = Vec::new();
    for (me, other) in [(&first, &second), (&second, &first)] {
        let listener = me.listener()?;
        work.push(thread::spawn(move || accept(&listener, 1)));
        let (me, other) = (me.clone(), other.destination().to_base64());
        work.push(thread::spawn(move || dial(&me, &other)));
    }
    for thread in work {
        thread.join().map_err(|_| "a peer panicked")??;
    }
    println!("Each peer has dialled the other, and was dialled by it.");
    Ok(())
}

/// Answers this many greetings, each on its own thread.
fn accept(listener: &SamListener, greetings: usize) -> Outcome {
    let mut answering = Vec::new();
    for stream in listener.incoming().take(greetings) {
        let stream = stream?;
        println!("{} calls", stream.peer_addr());
        answering.push(thread::spawn(move || answer(&stream)));
        answering.retain(|thread| !thread.is_finished() || greetings != usize::MAX);
    }
    for thread in answering {
        thread.join().map_err(|_| "answering panicked")??;
    }
    Ok(())
}

fn answer(stream: &SamStream) -> Outcome {
    let greeting = line(stream)?;
    let mut stream = stream;
    stream.write_all(format!("{greeting} to you\n").as_bytes())?;
    Ok(())
}

fn dial(session: &StreamSession, address: &str) -> Outcome {
    let stream = session.connect(address)?;
    (&stream).write_all(b"hello\n")?;
    println!("{} sent: {}", stream.peer_addr(), line(&stream)?);
    Ok(())
}

fn line(stream: &SamStream) -> Outcome<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.to_owned()),
        None => Err("the peer closed in the middle of a line".into()),
    }
}
