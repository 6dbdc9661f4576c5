//! PING and PONG between two destinations.
//!
//! ```text
//! ping_pong                   server and client in one process
//! ping_pong server            the server alone; it prints its address
//! ping_pong client ADDRESS    the client alone
//! ```

mod common;

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{Outcome, Place, in_full};
use i2p_sam::{SamListener, SamStream, StreamSession};

const PING: &[u8; 4] = b"PING";
const PONG: &[u8; 4] = b"PONG";

/// The longest wait for a silent peer.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => both(&Place::find()?),
        ["server"] => server(&Place::find()?),
        ["client", address] => client(&Place::find()?, address),
        _ => Err("usage: ping_pong [server | client ADDRESS]".into()),
    }
}

fn both(place: &Place) -> Outcome {
    let session = place.stream_session("ping-pong-server")?;
    let listener = session.listener()?;
    println!("The server is {}", session.destination().b32());
    let serving = thread::spawn(move || serve(&listener));

    client(place, &session.destination().to_base64())?;

    session.close();
    serving.join().map_err(|_| "the server panicked")?;
    Ok(())
}

fn server(place: &Place) -> Outcome {
    let session = place.stream_session("ping-pong-server")?;
    let listener = session.listener()?;
    let address = session.destination().b32();
    println!("The server is {address}");
    println!(
        "Try: {}cargo run --example ping_pong client {address}",
        place.environment()
    );
    serve(&listener);
    Err("the session ended".into())
}

/// Runs one thread for each connection. The stream begins at the peer's first byte: the library has
/// read the bridge's line before it, which names the peer; it is `peer`.
fn serve(listener: &SamListener) {
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) if error.is_session_lost() => break,
            Err(error) => {
                eprintln!("accept: {}", in_full(&error));
                continue;
            }
        };
        thread::spawn(move || {
            let peer = stream.peer_addr().to_string();
            match answer(stream) {
                Ok(()) => println!("PING from {peer}, answered"),
                Err(error) => eprintln!("{peer}: {}", in_full(&*error)),
            }
        });
    }
}

fn answer(mut stream: SamStream) -> Outcome {
    stream.set_read_timeout(Some(PATIENCE))?;
    // The bytes that a peer writes in one piece may arrive in several.
    let mut word = [0; PING.len()];
    stream.read_exact(&mut word)?;
    if word != *PING {
        return Err("it did not send PING".into());
    }
    stream.write_all(PONG)?;
    Ok(())
}

fn client(place: &Place, address: &str) -> Outcome {
    let session: StreamSession = place.stream_session("ping-pong-client")?;
    println!("The client is {}", session.destination().b32());
    let start = Instant::now();
    let mut stream = session.connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(PING)?;
    let mut word = [0; PONG.len()];
    stream.read_exact(&mut word)?;
    if word != *PONG {
        return Err("the server did not send PONG".into());
    }
    println!(
        "PONG from {} after {:?}",
        stream.peer_addr(),
        start.elapsed()
    );
    // The server closes after its reply.
    stream.finish(PATIENCE)?;
    Ok(())
}
