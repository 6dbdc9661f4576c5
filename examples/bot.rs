//! A bot that replies to lines: `ping`, `time`, `echo TEXT`, `help`, `quit`.
//!
//! ```text
//! bot [KEYFILE]     with a key file it keeps its address
//! ```
//!
//! Try it with `sam connect ADDRESS`, or with the example `chat client ADDRESS`. Ctrl-C stops it.

mod common;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{Outcome, Place};
use i2p_sam::{Error, PrivateKey, SamStream, SignatureType};

const LONGEST_LINE: u64 = 1000;
/// The longest silence of a caller.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let place = Place::find()?;
    let mut builder = place.session("bot");
    if let Some(path) = std::env::args().nth(1) {
        let make = || place.bridge.generate(SignatureType::Ed25519);
        builder = builder.key(&PrivateKey::load_or_generate::<Error>(path, make)?);
    }
    let session = place.healing_session("bot", builder)?;
    let server = common::server();
    common::stop_on_ctrl_c(&server)?;
    let address = session.destination().b32();
    println!("The bot is at {address}");
    println!(
        "Try: {}cargo run --example chat client {address}",
        place.environment()
    );
    let outcome = server.serve(session.listener()?, converse);
    session.close();
    println!("{}", server.stats());
    Ok(outcome?)
}

/// Replies to each line, until the caller closes or sends `quit`.
fn converse(stream: SamStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(&stream);
    loop {
        let mut line = String::new();
        if lines.by_ref().take(LONGEST_LINE).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Some(reply) = reply(line.trim()) else {
            return (&stream).write_all(b"bye\n");
        };
        // In one piece: small writes are slow.
        (&stream).write_all(format!("{reply}\n").as_bytes())?;
    }
}

/// Returns the reply to a line; `None` ends the conversation.
fn reply(line: &str) -> Option<String> {
    let (command, text) = line.split_once(' ').unwrap_or((line, ""));
    Some(match command {
        "ping" => "pong".into(),
        "time" => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            format!("{} s since 1970", now.unwrap_or_default().as_secs())
        }
        "echo" => text.into(),
        "quit" => return None,
        _ => "I know ping, time, echo TEXT, help and quit".into(),
    })
}
