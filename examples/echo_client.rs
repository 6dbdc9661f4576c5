//! Sends its input to an echo server, and prints the replies.
//!
//! ```text
//! echo_client ADDRESS
//! ```

mod common;

use std::io::{self, Read, Write};
use std::time::Duration;

use common::{Outcome, Place};

/// The longest wait for a reply.
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
    // Closing ends both directions, so wait for the reply to each piece.
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
    // Every reply has arrived. The server waits for the end of this stream, which it would not
    // notice if the process just ended.
    session.close();
    Ok(())
}
