//! A server at several routers under one address: it answers PING with PONG, and prints through
//! which router each stream came.
//!
//! ```text
//! multihomed [KEYFILE]
//! ```
//!
//! It uses all bridges in `I2P_SAM_ADDRESS`, separated by commas. If no bridge answers, it starts
//! two private networks, shows that it is at both, and remains at one when the other ends.

mod common;

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{Outcome, Place, in_full};
use i2p_sam::{
    HealingEvent, HealingOptions, HealingSession, PrivateKey, SamBridge, SamListener, SamStream,
    SessionBuilder, SignatureType,
};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let key_file = std::env::args().nth(1);
    match Place::at_router()? {
        Some(place) => serve(&place, key_file.as_deref()),
        None => show_on_two_networks(key_file.as_deref()),
    }
}

fn serve(place: &Place, key_file: Option<&str>) -> Outcome {
    let options =
        HealingOptions::new().on_event(|bridge, event| eprintln!("{}: {event}", bridge.address()));
    let builder = with_key(place.session("multihomed"), &place.bridge, key_file)?;
    let session = builder.multihomed_with(&options)?;
    let listener = session.listener()?;
    let address = session.destination().b32();
    tell(&session);
    println!("Try: cargo run --example ping_pong client {address}");
    answer_all(&listener);
    Err("all replicas are gone".into())
}

fn show_on_two_networks(key_file: Option<&str>) -> Outcome {
    let (first, second) = (Place::embedded()?, Place::embedded()?);
    let bridge = SamBridge::builder().address(first.bridge.address());
    let bridge = bridge.fallback(&second.bridge).build()?;
    let (sender, events) = mpsc::channel();
    let options = HealingOptions::new().on_event(move |bridge, event| {
        let _ = sender.send((bridge.address(), event.clone()));
    });
    let builder = with_key(first.session_at(&bridge, "multihomed"), &bridge, key_file)?;
    let session = builder.multihomed_with(&options)?;
    let up = |event: &HealingEvent| matches!(event, HealingEvent::Restored { .. });
    for _ in session.replicas() {
        println!("There is a replica at {}", await_replica(&events, up)?);
    }
    let listener = session.listener()?;
    tell(&session);
    let serving = thread::spawn(move || answer_all(&listener));

    ping(&first, &session)?;
    ping(&second, &session)?;
    println!("Ending the network of the first replica");
    drop(first);
    let lost = |event: &HealingEvent| matches!(event, HealingEvent::Lost { .. });
    println!("The replica at {} is lost", await_replica(&events, lost)?);
    ping(&second, &session)?;

    session.close();
    serving.join().map_err(|_| "the server panicked")?;
    Ok(())
}

fn with_key(
    builder: SessionBuilder,
    bridge: &SamBridge,
    key_file: Option<&str>,
) -> Outcome<SessionBuilder> {
    let Some(path) = key_file else {
        return Ok(builder);
    };
    let make = || bridge.generate(SignatureType::Ed25519);
    let key = PrivateKey::load_or_generate::<i2p_sam::Error>(path, make)?;
    Ok(builder.key(&key))
}

fn tell(session: &HealingSession) {
    println!("The server is {}", session.destination().b32());
    for replica in session.replicas() {
        let state = match replica.session() {
            Some(_) => "there",
            None => "being made",
        };
        println!("  at {}: {state}", replica.bridge().address());
    }
}

/// Waits for such an event, and returns the address of its bridge.
fn await_replica(
    events: &mpsc::Receiver<(String, HealingEvent)>,
    is_it: impl Fn(&HealingEvent) -> bool,
) -> Outcome<String> {
    loop {
        let (replica, event) = events.recv_timeout(PATIENCE)?;
        if is_it(&event) {
            return Ok(replica);
        }
    }
}

/// Runs one thread for each connection, whichever replica it came through.
fn answer_all(listener: &SamListener) {
    for stream in listener.incoming() {
        match stream {
            Ok(stream) => drop(thread::spawn(move || {
                let replica = stream.bridge().address();
                match answer(&stream) {
                    Ok(()) => println!("PING came through {replica}"),
                    Err(error) => eprintln!("{}: {}", stream.peer_addr(), in_full(&*error)),
                }
            })),
            Err(error) if error.is_session_lost() => break,
            Err(error) => eprintln!("accept: {}", in_full(&error)),
        }
    }
}

fn answer(mut stream: &SamStream) -> Outcome {
    expect(stream, b"PING")?;
    stream.write_all(b"PONG")?;
    Ok(())
}

fn ping(place: &Place, session: &HealingSession) -> Outcome {
    let client = place.stream_session("client")?;
    let mut stream = &client.connect(session.destination())?;
    stream.write_all(b"PING")?;
    expect(stream, b"PONG")?;
    println!("PONG to a client of {}", place.bridge.address());
    Ok(())
}

fn expect(mut stream: &SamStream, expected: &[u8; 4]) -> Outcome {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut word = [0; 4];
    stream.read_exact(&mut word)?;
    match word == *expected {
        true => Ok(()),
        false => Err("the peer sent something else".into()),
    }
}
