//! An eepsite: a small HTTP server on its own destination, with a thread for each connection.
//!
//! ```text
//! http_server [KEYFILE]
//! ```
//!
//! `/` is a page, `/bytes/N` a body of N bytes. With a key file the site keeps its address; the
//! file is created if it does not exist. After a restart of the router the site is there again.
//!
//! Ctrl-C stops it: it accepts no more streams, lets the open ones finish, and prints how many it
//! served.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

use common::{Outcome, Place};
use i2p_sam::{PrivateKey, SamStream, SignatureType};

/// The longest request line and headers that are read.
const LONGEST_HEAD: u64 = 8 * 1024;
/// The largest body; it is generated piece by piece.
const LARGEST_BODY: usize = 64 * 1024 * 1024;
const PIECE: usize = 16 * 1024;
/// The longest wait for a silent client, even if its connection's time has not expired.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    let key_file = std::env::args().nth(1);
    common::exit_code(run(key_file.as_deref()))
}

/// Serves until it is stopped.
pub(crate) fn run(key_file: Option<&str>) -> Outcome {
    let place = Place::find()?;
    let mut builder = place.session("http-server");
    if let Some(path) = key_file {
        builder = builder.key(&key(&place, path)?);
    }
    let session = place.healing_session("http-server", builder)?;
    let listener = session.listener()?;
    let server = common::server();
    common::stop_on_ctrl_c(&server)?;
    let address = session.destination().b32();
    println!("Serving http://{address}/");
    println!(
        "Try: {}cargo run --example eepget http://{address}/",
        place.environment()
    );
    let outcome = server.serve(listener, answer);
    session.close();
    println!("{}", server.stats());
    Ok(outcome?)
}

fn key(place: &Place, path: &str) -> Outcome<PrivateKey> {
    let make = || place.bridge.generate(SignatureType::Ed25519);
    Ok(PrivateKey::load_or_generate::<i2p_sam::Error>(path, make)?)
}

/// Replies to one request, and ends the stream: HTTP/1.0.
///
/// The library has already read the bridge's first line, `<destination> FROM_PORT=… TO_PORT=…`: it
/// is `peer_addr`, and the stream begins after it, at the request.
fn answer(stream: SamStream) -> Outcome {
    println!("{} calls", stream.peer_addr());
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = BufReader::new((&stream).take(LONGEST_HEAD));
    let mut request = String::new();
    head.read_line(&mut request)?;
    let mut line = String::new();
    while head.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (status, body) = respond(&request);
    send(&stream, status, &body)?;
    await_hang_up(&stream);
    println!(
        "{}: {} -> {status}, {} bytes",
        stream.peer_addr(),
        request.trim_end(),
        body.len()
    );
    Ok(())
}

/// The body of a reply. A large one is never in memory as a whole, since there may be many.
enum Body {
    Text(&'static str),
    Bytes(usize),
}

impl Body {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(size) => *size,
        }
    }

    /// Appends the bytes of the body between two offsets.
    fn piece(&self, from: usize, to: usize, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => out.extend_from_slice(&text.as_bytes()[from..to]),
            // With this pattern a missing, doubled or misplaced part is visible.
            Self::Bytes(_) => out.extend((from..to).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8)),
        }
    }
}

fn send(mut stream: &SamStream, status: &str, body: &Body) -> Outcome {
    let len = body.len();
    // Head and first piece at once: Java I2P holds a first small write back for a while.
    let mut out = format!(
        "HTTP/1.0 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {len}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes();
    let mut sent = 0;
    loop {
        let end = len.min(sent + PIECE);
        body.piece(sent, end, &mut out);
        stream.write_all(&out)?;
        out.clear();
        sent = end;
        if sent == len {
            return Ok(());
        }
    }
}

/// Lets the client end the stream, since it knows where the reply ends. i2pd 2.59 loses the last
/// part of a stream that is ended while more than some 60 kB of it are under way.
fn await_hang_up(mut stream: &SamStream) {
    let mut bin = [0; 1024];
    while matches!(stream.read(&mut bin), Ok(1..)) {}
}

fn respond(request: &str) -> (&'static str, Body) {
    let mut words = request.split_whitespace();
    let (Some("GET"), Some(path)) = (words.next(), words.next()) else {
        return ("400 Bad Request", Body::Text("GET only\n"));
    };
    if path == "/" {
        return ("200 OK", Body::Text("Hello from inside I2P.\n"));
    }
    let size = path.strip_prefix("/bytes/").map(str::parse::<usize>);
    match size {
        Some(Ok(size)) if size <= LARGEST_BODY => ("200 OK", Body::Bytes(size)),
        Some(_) => ("400 Bad Request", Body::Text("no such size\n")),
        None => ("404 Not Found", Body::Text("no such page\n")),
    }
}
