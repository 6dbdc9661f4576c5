//! An HTTP server that knows only TCP, [tiny_http](https://docs.rs/tiny_http), behind a forwarding.
//!
//! ```text
//! http_behind_forward              the server, and a client
//! http_behind_forward KEYFILE      the server alone, until Ctrl-C; with its key file it keeps its address
//! ```
//!
//! `forward_to` makes the router connect to the server's port for each peer that dials. The first line of each
//! connection would be the peer's destination, which an HTTP server cannot read, so it is switched off: the server
//! does not know its clients. A program that needs to know them accepts streams (`httparse_server`), or uses a
//! `ServerTunnel`, whose connections need no open port for the router.

#[path = "../../../common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::{Outcome, Place};
use i2p_sam::{ForwardOptions, PrivateKey, SignatureType};
use tiny_http::{Response, Server};

const PATIENCE: Duration = Duration::from_secs(60);
const PAGE: &str = "Hello from a server that knows only TCP.";

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let place = Place::find()?;
    match std::env::args().nth(1) {
        Some(path) => serve(&place, &path),
        None => both(&place),
    }
}

fn both(place: &Place) -> Outcome {
    let (http, port) = http()?;
    let session = place.stream_session("http-behind-forward")?;
    let _forwarding = session.forward_to(port, &anonymous())?;
    let serving = thread::spawn(move || http.recv().map(answer));

    let client = place.stream_session("http-client")?;
    let mut stream = client.connect(session.destination())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: a.i2p\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").ok_or("no head")?;
    println!("{}: {body}", head.lines().next().unwrap_or_default());
    serving.join().map_err(|_| "the server panicked")???;
    match body == PAGE {
        true => Ok(()),
        false => Err("the page is another".into()),
    }
}

/// Serves until Ctrl-C, or until the router ends the session.
fn serve(place: &Place, path: &str) -> Outcome {
    let (http, port) = http()?;
    let make = || place.bridge.generate(SignatureType::Ed25519);
    let key = PrivateKey::load_or_generate::<i2p_sam::Error>(path, make)?;
    let session = place.session("http-behind-forward").key(&key).stream()?;
    let forwarding = session.forward_to(port, &anonymous())?;
    let address = session.destination().b32();
    println!(
        "Try: {}cargo run --example eepget http://{address}/",
        place.environment()
    );
    let server = Arc::clone(&http);
    // It ends with the process.
    thread::spawn(move || {
        for request in server.incoming_requests() {
            if let Err(error) = answer(request) {
                eprintln!("A client hung up: {error}");
            }
        }
    });
    let stop = session.clone();
    ctrlc::set_handler(move || stop.close())?;
    match forwarding.wait(None) {
        Some(reason) if session.loss().is_none() => Err(reason.into()),
        _ => {
            println!("The session ended");
            Ok(())
        }
    }
}

/// Starts the server at a local port, and returns the port.
fn http() -> Outcome<(Arc<Server>, u16)> {
    let http = Server::http("127.0.0.1:0")?;
    let address = http.server_addr().to_ip().ok_or("no address")?;
    Ok((Arc::new(http), address.port()))
}

/// Leaves out the line with the client's destination.
fn anonymous() -> ForwardOptions {
    ForwardOptions::new().silent(true)
}

fn answer(request: tiny_http::Request) -> std::io::Result<()> {
    request.respond(Response::from_string(PAGE))
}
