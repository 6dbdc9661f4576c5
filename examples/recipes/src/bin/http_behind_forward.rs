//! An HTTP server that knows only TCP, [tiny_http](https://docs.rs/tiny_http), behind a forwarding.
//!
//! ```text
//! http_behind_forward
//! ```
//!
//! `forward_to` makes the router connect to the server's port for each peer that dials. The first line of each
//! connection would be the peer's destination, which an HTTP server cannot read, so it is switched off: the server
//! does not know its clients. A program that needs to know them accepts streams (`http_server`), or uses a
//! `ServerTunnel`, whose connections need no open port for the router.

#[path = "../../../common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::time::Duration;

use common::{Outcome, Place};
use i2p_sam::ForwardOptions;
use tiny_http::{Response, Server};

const PATIENCE: Duration = Duration::from_secs(60);
const PAGE: &str = "Hello from a server that knows only TCP.";

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let place = Place::find()?;
    let http = Server::http("127.0.0.1:0")?;
    let address = http.server_addr().to_ip().ok_or("no address")?;
    let session = place.stream_session("http-behind-forward")?;
    let options = ForwardOptions::new().silent(true);
    let _forwarding = session.forward_to(address.port(), &options)?;
    let serving = std::thread::spawn(move || http.recv().map(answer));

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

fn answer(request: tiny_http::Request) -> std::io::Result<()> {
    request.respond(Response::from_string(PAGE))
}
