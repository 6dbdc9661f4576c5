//! An HTTP/1.1 server without a TCP port: requests are parsed by [httparse](https://docs.rs/httparse).
//!
//! ```text
//! httparse_server              a server, and a client that sends three requests at once
//! httparse_server KEYFILE      the server alone, until Ctrl-C; with its key file it keeps its address
//! ```
//!
//! No other program of the machine can connect to it, and each request has the destination of its client, which a
//! server behind a forwarding does not know. Connections are kept.

#[path = "../../../common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::time::Duration;

use common::{Outcome, Place};
use i2p_sam::server::Server;
use i2p_sam::{PrivateKey, SamStream, SignatureType, StreamSession};

/// The longest request line and headers.
const LONGEST_HEAD: usize = 8 * 1024;
const MOST_HEADERS: usize = 32;
/// The longest wait for a request, or for the next one.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let place = Place::find()?;
    let Some(path) = std::env::args().nth(1) else {
        return both(&place);
    };
    let make = || place.bridge.generate(SignatureType::Ed25519);
    let key = PrivateKey::load_or_generate::<i2p_sam::Error>(path, make)?;
    let builder = place.session("httparse-server").key(&key);
    let session = place.healing_session("httparse-server", builder)?;
    let server = common::server();
    common::stop_on_ctrl_c(&server)?;
    let address = session.destination().b32();
    println!("Serving http://{address}/");
    println!(
        "Try: {}cargo run --example eepget http://{address}/",
        place.environment()
    );
    let outcome = server.serve(session.listener()?, serve);
    session.close();
    println!("{}", server.stats());
    Ok(outcome?)
}

fn both(place: &Place) -> Outcome {
    let session = place.stream_session("httparse-server")?;
    let listener = session.listener()?;
    let server: Server = common::server();
    let handle = server.clone();
    let serving = std::thread::spawn(move || server.serve(listener, serve));
    let client = place.stream_session("http-client")?;
    let replies = ask(&client, &session)?;
    handle.stop();
    serving.join().map_err(|_| "the server panicked")??;
    let hello = format!("Hello, {}.", client.destination().b32());
    let expected = ["200 OK", "404 Not Found", "405 Method Not Allowed"];
    for (reply, status) in replies.split("HTTP/1.1 ").skip(1).zip(expected) {
        println!("{}", reply.replace("\r\n", " | "));
        if !reply.starts_with(status) {
            return Err(format!("the reply is not {status}").into());
        }
    }
    match replies.contains(&hello) && replies.matches("HTTP/1.1 ").count() == expected.len() {
        true => Ok(()),
        false => Err("the page does not greet the client".into()),
    }
}

/// Sends three requests in one piece, and returns the replies.
fn ask(client: &StreamSession, server: &StreamSession) -> Outcome<String> {
    let mut stream = client.connect(server.destination())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let site = server.destination().b32();
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: {site}\r\n\r\n");
    let last = format!("POST / HTTP/1.1\r\nHost: {site}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all([get("/"), get("/nothing"), last].concat().as_bytes())?;
    let mut replies = String::new();
    // The server closes after the last one.
    stream.read_to_string(&mut replies)?;
    Ok(replies)
}

/// Replies to the requests of one connection, until the client closes or asks for the end.
fn serve(stream: SamStream) -> Outcome {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut received = Vec::new();
    loop {
        let Some((consumed, reply)) = respond(&received, &stream)? else {
            if !receive(&stream, &mut received)? {
                return Ok(());
            }
            continue;
        };
        received.drain(..consumed);
        // Head and body in one piece: Java I2P holds a first small write back for a while.
        (&stream).write_all(reply.text().as_bytes())?;
        if reply.is_last {
            return Ok(());
        }
    }
}

/// Waits for more of a request; false if the client has closed.
fn receive(mut stream: &SamStream, received: &mut Vec<u8>) -> Outcome<bool> {
    if received.len() > LONGEST_HEAD {
        return Err("the head has no end".into());
    }
    let mut piece = [0; 4096];
    let read = stream.read(&mut piece)?;
    received.extend_from_slice(&piece[..read]);
    match read {
        0 if !received.is_empty() => Err("the client closed in the middle of a request".into()),
        0 => Ok(false),
        _ => Ok(true),
    }
}

struct Reply {
    status: &'static str,
    body: String,
    is_last: bool,
}

impl Reply {
    fn text(&self) -> String {
        let (status, body) = (self.status, &self.body);
        let connection = if self.is_last { "close" } else { "keep-alive" };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
            body.len()
        )
    }
}

/// Returns the length of the first request and the reply to it; `None` if its head has not arrived in full.
fn respond(received: &[u8], stream: &SamStream) -> Outcome<Option<(usize, Reply)>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(consumed) = request.parse(received)? else {
        return Ok(None);
    };
    let (status, body) = match (request.method, request.path) {
        (Some("GET"), Some("/")) => ("200 OK", greeting(stream)),
        (Some("GET"), _) => ("404 Not Found", "no such page\n".into()),
        _ => ("405 Method Not Allowed", "GET only\n".into()),
    };
    // HTTP/1.0 keeps no connection. No body is read, so nothing after one is a request.
    let is_last = request.version == Some(0) || request.headers.iter().any(ends_connection);
    let reply = Reply {
        status,
        body,
        is_last,
    };
    Ok(Some((consumed, reply)))
}

/// Returns true if no request follows: the client says so, or a body follows.
fn ends_connection(header: &httparse::Header<'_>) -> bool {
    match header.name.to_ascii_lowercase().as_str() {
        "connection" => header.value.eq_ignore_ascii_case(b"close"),
        "content-length" | "transfer-encoding" => true,
        _ => false,
    }
}

fn greeting(stream: &SamStream) -> String {
    match stream.peer_b32() {
        Some(client) => format!("Hello, {client}.\n"),
        None => "Hello.\n".into(),
    }
}
