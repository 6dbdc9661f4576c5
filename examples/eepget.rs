//! Fetches a page from inside I2P.
//!
//! ```text
//! eepget [http://]ADDRESS[:PORT][/PATH]
//! ```
//!
//! The body goes to standard output, everything else to standard error. It fails unless the server
//! replies with a status of 2xx and the whole body arrives.

mod common;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::time::{Duration, Instant};

use common::{Outcome, Place};
use i2p_sam::{I2pAddr, SamStream};

const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST_LINE: u64 = 8 * 1024;
const LONGEST_HEAD: usize = 64 * 1024;

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let Some(url) = std::env::args().nth(1) else {
        return Err("usage: eepget [http://]ADDRESS[:PORT][/PATH]".into());
    };
    let (address, path) = split(&url)?;
    let place = Place::find()?;
    let session = place.stream_session("eepget")?;
    let start = Instant::now();
    let mut stream = session.connect(&address)?;
    eprintln!("Connected to {address} after {:?}", start.elapsed());

    stream.set_read_timeout(Some(PATIENCE))?;
    // In one piece: Java I2P holds a first small write back for a while.
    let request = format!(
        "GET {path} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n",
        address.clone().without_port()
    );
    stream.write_all(request.as_bytes())?;
    let reply = read_reply(&stream)?;
    std::io::stdout().write_all(&reply.body)?;
    eprintln!("{} bytes after {:?}", reply.body.len(), start.elapsed());
    // All has arrived, and nothing is under way to the server: the one who reads last closes first.
    drop(stream);
    session.close();
    match reply.status.split_whitespace().nth(1) {
        Some(code) if code.starts_with('2') => Ok(()),
        _ => Err(format!("the server replied: {}", reply.status).into()),
    }
}

struct Reply {
    status: String,
    body: Vec<u8>,
}

/// Reads a reply to its end: as many bytes as its length names, or, if it names none, until the
/// server closes.
fn read_reply(stream: &SamStream) -> Outcome<Reply> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.by_ref().take(LONGEST_LINE).read_line(&mut head)? == 0 {
            return Err(cut_off(stream, "in its head"));
        }
        if head.len() > LONGEST_HEAD {
            return Err("the reply's head has no end".into());
        }
    }
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default().to_owned();
    eprintln!("{status}");
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("Content-Length"))
        .map(|(_, value)| value.trim().parse::<u64>())
        .transpose()?;
    let mut body = Vec::new();
    reader
        .take(length.unwrap_or(u64::MAX))
        .read_to_end(&mut body)?;
    match length {
        Some(length) if length != body.len() as u64 => {
            let place = format!("after {} of {length} bytes", body.len());
            Err(cut_off(stream, &place))
        }
        _ => Ok(Reply { status, body }),
    }
}

/// Distinguishes the end of the stream from the loss of the session, which both read as the end.
fn cut_off(stream: &SamStream, place: &str) -> Box<dyn Error + Send + Sync> {
    match stream.loss() {
        Some(loss) => format!("the reply was cut off {place}: {loss}").into(),
        None => format!("the server closed the stream {place}").into(),
    }
}

fn split(url: &str) -> Outcome<(I2pAddr, String)> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let path = match rest.split_once('/') {
        Some((_, path)) => format!("/{path}"),
        None => "/".to_owned(),
    };
    if path.contains(|char: char| char.is_whitespace() || char.is_control()) {
        return Err("the path contains a blank: write %20".into());
    }
    Ok((I2pAddr::from_url(url)?, path))
}
