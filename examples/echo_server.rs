//! Sends back everything that it receives, until the peer closes or its time expires.
//!
//! ```text
//! echo_server
//! ```
//! Ctrl-C stops it: it accepts no more streams, lets the open ones finish, and prints how many it
//! served.

pub(crate) mod common;

use std::io::{Read, Write};

use common::{Outcome, Place};
use i2p_sam::SamStream;
use i2p_sam::server::Server;

fn main() -> std::process::ExitCode {
    common::exit_code(start())
}

fn start() -> Outcome {
    let server = common::server();
    run(&Place::find()?, &server, || common::stop_on_ctrl_c(&server))
}

/// Serves until it is stopped. It calls `ready` when it begins to accept.
pub(crate) fn run(place: &Place, server: &Server, ready: impl FnOnce() -> Outcome) -> Outcome {
    let session = place.healing_session("echo-server", place.session("echo-server"))?;
    let listener = session.listener()?;
    let address = session.destination().b32();
    ready()?;
    println!("Serving {address}");
    println!(
        "Try: {}cargo run --example echo_client {address}",
        place.environment()
    );
    let outcome = server.serve(listener, echo);
    session.close();
    println!("{}", server.stats());
    Ok(outcome?)
}

/// Echoes one stream. The library has already read the bridge's first line, `<destination>
/// FROM_PORT=… TO_PORT=…`: it is `peer_addr`, and the stream begins after it, at the peer's first
/// byte.
fn echo(mut stream: SamStream) -> Outcome {
    println!("{} calls", stream.peer_addr());
    let mut piece = [0; 4096];
    let mut echoed = 0;
    loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            break;
        }
        stream.write_all(&piece[..read])?;
        echoed += read;
    }
    println!("{}: {echoed} bytes echoed", stream.peer_addr());
    Ok(())
}
