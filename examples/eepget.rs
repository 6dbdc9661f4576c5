//! Fetches a page from inside I2P.
//!
//! ```text
//! eepget [http://]ADDRESS[:PORT][/PATH]
//! ```
//!
//! The body goes to standard output, everything else to standard error. It fails unless the
//! server says 2xx and the whole body came.

mod common;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use common::{Outcome, Place};
use i2p_sam::I2pAddr;

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Outcome {
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
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    if let Some(loss) = stream.session_error() {
        return Err(format!("the reply was cut off: {loss}").into());
    }
    let body = body(&reply)?;
    std::io::stdout().write_all(body)?;
    eprintln!("{} bytes after {:?}", body.len(), start.elapsed());
    Ok(())
}

fn split(url: &str) -> Outcome<(I2pAddr, String)> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (rest, "/".to_owned()),
    };
    if path.contains(|char: char| char.is_whitespace() || char.is_control()) {
        return Err("the path holds a blank: write %20".into());
    }
    Ok((host.parse()?, path))
}

/// The body of a reply that is whole.
fn body(reply: &[u8]) -> Outcome<&[u8]> {
    let end = reply
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .ok_or("the reply has no end of its head")?;
    let (head, body) = (&reply[..end], &reply[end + 4..]);
    let head = std::str::from_utf8(head)?;
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    eprintln!("{status}");
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("Content-Length"))
        .map(|(_, value)| value.trim().parse::<usize>())
        .transpose()?;
    if length.is_some_and(|length| length != body.len()) {
        return Err(format!("{} bytes of body came, not {length:?}", body.len()).into());
    }
    match status.split_whitespace().nth(1) {
        Some(code) if code.starts_with('2') => Ok(body),
        _ => Err(format!("the server said: {status}").into()),
    }
}
