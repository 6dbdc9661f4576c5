//! A service that greets its callers, and a client of it: a program to copy, which needs nothing but a SAM bridge.
//!
//! ```text
//! hello serve [KEYFILE]       prints its address, and greets; with a key file the address stays the same
//! hello dial ADDRESS NAME     prints the greeting
//! ```
//!
//! Without a router, `sam bridge` (`cargo install i2p-sam --features cli`) runs a bridge for tests; set
//! `I2P_SAM_ADDRESS` to the address that it prints.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::thread;
use std::time::Duration;

use i2p_sam::{PrivateKey, SamBridge, SamStream, SignatureType};

/// No router reports a peer that died silently.
const PATIENCE: Duration = Duration::from_secs(60);
const LONGEST_LINE: u64 = 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve"] => serve(None),
        ["serve", file] => serve(Some(file)),
        ["dial", address, name] => dial(address, name),
        _ => Err("usage: hello serve [KEYFILE] | hello dial ADDRESS NAME".into()),
    }
}

fn serve(file: Option<&str>) -> Result<(), Box<dyn Error>> {
    let bridge = SamBridge::from_env()?;
    let mut builder = bridge.session().nickname("hello");
    if let Some(file) = file {
        let generate = || bridge.generate(SignatureType::Ed25519);
        builder = builder.key(&PrivateKey::load_or_generate(file, generate)?);
    }
    // It is created again when the router restarts.
    let session = builder.healing()?;
    println!("{}", session.destination().b32());
    for stream in session.listener()?.incoming() {
        let stream = stream?;
        thread::spawn(move || {
            let peer = stream.peer_addr().to_string();
            match greet(&stream) {
                Ok(()) => eprintln!("{peer} was greeted"),
                Err(error) => eprintln!("{peer}: {error}"),
            }
        });
    }
    Ok(())
}

fn greet(mut stream: &SamStream) -> io::Result<()> {
    let name = line(stream)?;
    stream.write_all(format!("Hello, {name}.\n").as_bytes())?;
    // The side that writes last does not close first: the client closes when it has read the line.
    stream.read(&mut [0]).map(drop)
}

fn dial(address: &str, name: &str) -> Result<(), Box<dyn Error>> {
    let session = SamBridge::from_env()?.session().stream()?;
    let mut stream = session.connect(address)?;
    stream.write_all(format!("{name}\n").as_bytes())?;
    println!("{}", line(&stream)?);
    Ok(())
}

fn line(stream: &SamStream) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST_LINE)).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
