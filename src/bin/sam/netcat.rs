//! `sam listen` and `sam connect`: one stream at standard input and output.

use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use i2p_sam::{Error, I2pAddr, SamStream, StreamSession};

use crate::context::{Context, check_loss};
use crate::failure::Failure;
use crate::output::output_failure;
use crate::relay::{Broken, Carried, carry};

/// The time from the end of the input in which the last bytes arrive: the process must not end earlier.
const LINGER: Duration = Duration::from_secs(15);

pub(crate) fn listen(
    context: &Context,
    key: Option<&Path>,
    quit_after: Option<Duration>,
) -> Result<(), Failure> {
    let builder = context.session(key)?.linger(rest(quit_after));
    let session = context.stream(builder)?;
    let listener = session.listener()?;
    let address = session.destination().b32();
    context.output.note(&format!("Listening at {address}"));
    let accepted = listener.accept();
    // A second caller is not left waiting.
    drop(listener);
    let (stream, peer) = accepted?;
    context.output.note(&format!("{peer} calls"));
    attend(context, &session, stream, quit_after)
}

pub(crate) fn connect(
    context: &Context,
    peer: &I2pAddr,
    quit_after: Duration,
) -> Result<(), Failure> {
    let builder = context.session(None)?.linger(rest(Some(quit_after)));
    let session = context.stream(builder)?;
    let start = Instant::now();
    let stream = context.dial(&session, peer)?;
    let time = start.elapsed().as_secs_f64();
    context
        .output
        .note(&format!("Connected to {peer} after {time:.2} s"));
    attend(context, &session, stream, Some(quit_after))
}

/// Returns the part of the linger time that the wait for the peer does not cover.
fn rest(quit_after: Option<Duration>) -> Duration {
    LINGER.saturating_sub(quit_after.unwrap_or(LINGER))
}

fn attend(
    context: &Context,
    session: &StreamSession,
    stream: SamStream,
    quit_after: Option<Duration>,
) -> Result<(), Failure> {
    let stream = Arc::new(stream);
    let ended = Arc::downgrade(&stream);
    context.stop.also(move || {
        if let Some(stream) = ended.upgrade() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    let output = context.output;
    let on_wait = move |time: Duration| {
        if time > LINGER {
            let seconds = time.as_secs();
            output.note(&format!(
                "End of the input. I2P reports no arrival: {seconds} s more for the last bytes, or Ctrl-C."
            ));
        }
    };
    let outcome = carry(
        &stream,
        io::stdin(),
        &mut io::stdout().lock(),
        quit_after,
        on_wait,
    );
    drop(stream);
    context.stop.check()?;
    match outcome {
        Ok(carried) if carried.closed_by_us => end(session, &carried),
        Err(Broken::Output(error)) => Err(output_failure(error)),
        outcome => {
            check_loss(session)?;
            session.close();
            outcome.map(drop).map_err(broken)
        }
    }
}

/// Ends the session when the last bytes have had the time to arrive.
fn end(session: &StreamSession, carried: &Carried) -> Result<(), Failure> {
    // The thread drops its handle to the stream before it ends.
    let _ = carried.input.recv_timeout(LINGER);
    match session.finish(LINGER) {
        Err(error @ Error::Cancelled { .. }) => Err(error.into()),
        // The bytes had the time. The session may be lost since then.
        _ => Ok(()),
    }
}

fn broken(broken: Broken) -> Failure {
    match broken {
        Broken::Output(error) => output_failure(error),
        Broken::Stream(error) => Failure::Peer(format!("the stream broke: {error}")),
    }
}
