//! Sends its input to an echo server, and prints what comes back.
//!
//! ```text
//! echo_client ADDRESS
//! ```

mod common;

use std::io::{self, Read, Write};
use std::time::Duration;

use common::{Outcome, Place};

/// An answer that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let address = std::env::args().nth(1);
    let address = address.ok_or("usage: echo_client ADDRESS")?;
    let session = Place::find()?.stream_session("echo-client")?;
    let mut stream = session.connect(address.as_str())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut piece = [0; 16 * 1024];
    // Hanging up ends both directions, so each piece is waited for.
    loop {
        let read = input.read(&mut piece)?;
        if read == 0 {
            break;
        }
        stream.write_all(&piece[..read])?;
        stream.read_exact(&mut piece[..read])?;
        output.write_all(&piece[..read])?;
        output.flush()?;
    }
    // All has come back. The server waits for our end, which it would not learn of if only the process
    // ended.
    session.close();
    Ok(())
}
