//! An eepsite: a small HTTP server on a destination of its own, a thread for each connection.
//!
//! ```text
//! http_server [KEYFILE]
//! ```
//!
//! `/` is a page, `/bytes/N` a body of N bytes. With a key file the site keeps its address; the
//! file is made when it is not there.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::thread;
use std::time::Duration;

use common::{Outcome, Place};
use i2p_sam::{PrivateKey, SamStream, SignatureType, StreamSession};

/// Longest request line and headers that are read.
const LONGEST_HEAD: u64 = 8 * 1024;
/// Largest body that is made.
const LARGEST_BODY: usize = 64 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    let place = Place::find()?;
    let session = match std::env::args().nth(1) {
        None => place.stream_session("http-server")?,
        Some(path) => with_key(&place, &path)?,
    };
    let listener = session.listener()?;
    let address = session.destination().b32();
    println!("Serving http://{address}/");
    println!(
        "Try: {}cargo run --example eepget http://{address}/",
        place.environment()
    );
    for stream in listener.incoming() {
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) if error.is_session_lost() => return Err(error.into()),
            Err(error) => {
                eprintln!("accept: {error}");
                continue;
            }
        };
        thread::spawn(move || {
            let peer = stream.peer_addr().to_string();
            match serve(stream) {
                Ok(line) => println!("{peer}: {line}"),
                Err(error) => eprintln!("{peer}: {error}"),
            }
        });
    }
    Ok(())
}

fn with_key(place: &Place, path: &str) -> Outcome<StreamSession> {
    let make = || place.bridge.generate(SignatureType::Ed25519);
    let key = PrivateKey::load_or_generate::<i2p_sam::Error>(path, make)?;
    Ok(place.session("http-server").key(&key).stream()?)
}

/// Answers one request, and ends the stream: HTTP/1.0. Says what was asked and what was answered.
fn serve(stream: SamStream) -> Outcome<String> {
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
    // Head and body in one piece: Java I2P holds a first small write back for a while.
    let mut reply = format!(
        "HTTP/1.0 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    reply.extend_from_slice(&body);
    (&stream).write_all(&reply)?;
    await_hang_up(&stream);
    Ok(format!(
        "{} -> {status}, {} bytes",
        request.trim_end(),
        body.len()
    ))
}

/// Lets the client end the stream, who knows where the reply ends. i2pd 2.59 loses the last part of
/// a stream that is ended while more than some 60 kB of it are under way.
fn await_hang_up(mut stream: &SamStream) {
    let mut bin = [0; 1024];
    while matches!(stream.read(&mut bin), Ok(1..)) {}
}

fn respond(request: &str) -> (&'static str, Vec<u8>) {
    let mut words = request.split_whitespace();
    let (Some("GET"), Some(path)) = (words.next(), words.next()) else {
        return ("400 Bad Request", b"GET only\n".to_vec());
    };
    if path == "/" {
        return ("200 OK", b"Hello from inside I2P.\n".to_vec());
    }
    let size = path.strip_prefix("/bytes/").map(str::parse::<usize>);
    match size {
        Some(Ok(size)) if size <= LARGEST_BODY => ("200 OK", bytes(size)),
        Some(_) => ("400 Bad Request", b"no such size\n".to_vec()),
        None => ("404 Not Found", b"no such page\n".to_vec()),
    }
}

/// Bytes in which a missing, doubled or misplaced part shows.
fn bytes(size: usize) -> Vec<u8> {
    (0..size)
        .map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8)
        .collect()
}
