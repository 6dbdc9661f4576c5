//! A program that dials, writes 100 bytes, and exits, with one of the endings that wait.

use std::io::{self, Write};
use std::time::Duration;

use i2p_sam::{SamBridge, SessionOptions};

use crate::ON_PROFILES;
use crate::suite::data;

/// Number of bytes that it writes.
pub(crate) const BYTES: usize = 100;

const PATIENCE: Duration = Duration::from_secs(60);

/// The program of the process: `passer-by ADDRESS END [NAME=VALUE…]`, with options for the session.
pub(crate) fn run(args: &[String]) -> io::Result<()> {
    let [address, end, options @ ..] = args else {
        return Err(io::Error::other("passer-by ADDRESS END [NAME=VALUE…]"));
    };
    let pairs = options.iter().filter_map(|pair| pair.split_once('='));
    let options = pairs.fold(SessionOptions::new(), |options, (name, value)| {
        options.option(name, value)
    });
    let mut builder = SamBridge::from_env()?.session().options(options);
    if ON_PROFILES {
        // No packet is lost there and sent again.
        builder = builder.linger(Duration::from_secs(1));
    }
    let session = builder.stream()?;
    let mut stream = session.connect(address.as_str())?;
    stream.write_all(&data::bytes(BYTES, 7))?;
    match end.as_str() {
        "stream" => stream.finish(PATIENCE),
        "session" => {
            drop(stream);
            Ok(session.finish(PATIENCE)?)
        }
        // A program that uses neither ending.
        _ => Ok(()),
    }
}
