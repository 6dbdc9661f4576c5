//! One destination for streams, datagrams and raw datagrams, with an echo over each. The client is
//! another such destination in the same process.
//!
//! `primary` shows all three styles, `primary stream raw` only the named ones. A style that a
//! router does not add to a primary session is reported and left out: i2pd adds only streams, and
//! emissary, the router of the private network, serves datagrams or raw datagrams, but not both.

mod common;

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use common::{Outcome, Place};
use i2p_sam::{DatagramSession, DatagramStyle, Error, PrimarySession, RawSession, SamListener};

/// The wait for a reply before a datagram is sent again.
const AGAIN: Duration = Duration::from_secs(2);
const TIMES: u32 = 30;

const QUESTION: &[u8] = b"is anybody there?";

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let mut named: Vec<String> = std::env::args().skip(1).collect();
    if named.is_empty() {
        named = ["stream", "datagram", "raw"].map(str::to_owned).into();
    }
    let place = Place::find()?;
    let server = place.session("echo-server").primary()?;
    println!("The server is {}", server.destination().b32());
    let client = place.session("echo-client").primary()?;
    println!("The client is {}", client.destination().b32());
    for style in named {
        let echoed = match style.as_str() {
            "stream" => over_a_stream(&server, &client),
            "datagram" => over_datagrams(&server, &client),
            "raw" => over_raw_datagrams(&server, &client),
            other => return Err(format!("{other} is neither stream, datagram nor raw").into()),
        };
        match echoed {
            Ok(time) => println!("ECHO over {style} after {time:?}"),
            // The other styles may still work.
            Err(error) if is_unavailable(&*error) => println!("No {style} here: {error}"),
            Err(error) => return Err(error),
        }
    }
    // All subsessions end with it.
    server.close();
    client.close();
    Ok(())
}

/// Returns true if the router does not add a subsession of this style.
fn is_unavailable(error: &(dyn std::error::Error + 'static)) -> bool {
    match error.downcast_ref::<Error>() {
        Some(Error::Unsupported(_)) => true,
        Some(error @ Error::Refused(_)) => error.phase() == Some(i2p_sam::Phase::SessionAdd),
        _ => false,
    }
}

fn over_a_stream(server: &PrimarySession, client: &PrimarySession) -> Outcome<Duration> {
    let listener = server.subsession().stream()?.listener()?;
    thread::spawn(move || echo_streams(&listener));
    let session = client.subsession().stream()?;
    let start = Instant::now();
    let mut stream = session.connect(server.destination())?;
    stream.write_all(QUESTION)?;
    let mut answer = [0; QUESTION.len()];
    stream.read_exact(&mut answer)?;
    match answer == QUESTION {
        true => Ok(start.elapsed()),
        false => Err("the stream came back changed".into()),
    }
}

/// Sends back each stream's bytes until the session ends.
fn echo_streams(listener: &SamListener) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        thread::spawn(move || {
            let mut text = [0; QUESTION.len()];
            stream.read_exact(&mut text)?;
            stream.write_all(&text)
        });
    }
}

fn over_datagrams(server: &PrimarySession, client: &PrimarySession) -> Outcome<Duration> {
    let echoing = server.subsession().datagram(DatagramStyle::Datagram)?;
    thread::spawn(move || echo_datagrams(&echoing));
    let session = client.subsession().datagram(DatagramStyle::Datagram)?;
    session.set_read_timeout(Some(AGAIN))?;
    ask(
        || session.send_to(QUESTION, server.destination()),
        |answer| Ok(session.recv_from(answer)?.0),
    )
}

fn echo_datagrams(session: &DatagramSession) {
    let mut buf = [0; 32_768];
    until_the_end(|| {
        let (len, sender) = session.recv_from(&mut buf)?;
        session.send_to(&buf[..len], &sender)
    });
}

/// A raw datagram does not name its sender, so the client puts its own address at the start.
fn over_raw_datagrams(server: &PrimarySession, client: &PrimarySession) -> Outcome<Duration> {
    let echoing = server.subsession().raw()?;
    thread::spawn(move || echo_raw(&echoing));
    let session = client.subsession().raw()?;
    session.set_read_timeout(Some(AGAIN))?;
    let address = format!("{}\n", client.destination());
    let question = [address.as_bytes(), QUESTION].concat();
    ask(
        || session.send_to(&question, server.destination()),
        |answer| session.recv(answer),
    )
}

fn echo_raw(session: &RawSession) {
    let mut buf = [0; 32_768];
    until_the_end(|| {
        let len = session.recv(&mut buf)?;
        let Some(end) = buf[..len].iter().position(|&byte| byte == b'\n') else {
            return Ok(0);
        };
        let address = String::from_utf8_lossy(&buf[..end]);
        session.send_to(&buf[end + 1..len], &*address)
    });
}

fn until_the_end(mut answer: impl FnMut() -> Result<usize, Error>) {
    loop {
        match answer() {
            Ok(_) => {}
            Err(error) if error.is_session_lost() => return,
            Err(error) => eprintln!("{error}"),
        }
    }
}

/// Sends a datagram until a reply comes, since datagrams are sometimes lost.
fn ask(
    send: impl Fn() -> Result<usize, Error>,
    receive: impl Fn(&mut [u8]) -> Result<usize, Error>,
) -> Outcome<Duration> {
    let mut answer = [0; 32_768];
    let start = Instant::now();
    for _ in 0..TIMES {
        send()?;
        match receive(&mut answer) {
            Ok(len) if answer[..len] == *QUESTION => return Ok(start.elapsed()),
            Ok(_) | Err(Error::Timeout { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err("no reply came".into())
}
