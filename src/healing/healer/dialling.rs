use std::sync::Arc;
use std::time::Duration;

use super::Healer;
use crate::address::I2pAddr;
use crate::bridge::SamBridge;
use crate::cancel::Cancel;
use crate::deadline::Deadline;
use crate::error::{Error, Phase};
use crate::session::{ConnectOptions, StreamSession};
use crate::stream::SamStream;

/// How long a session may stand that a bridge has just failed for: the end of its control socket is
/// noticed by another thread.
const NOTICE: Duration = Duration::from_millis(500);

impl Healer {
    pub(in crate::healing) fn dial(
        self: &Arc<Self>,
        peer: &I2pAddr,
        options: &ConnectOptions,
        cancel: &Cancel,
    ) -> Result<SamStream, Error> {
        let deadline = dial_deadline(&self.bridge, options);
        let mut seen = 0;
        loop {
            let phase = Phase::StreamConnect;
            let (generation, current) = self.newer_than(seen, phase, deadline, cancel)?;
            let session = current.session.with_cancel(cancel);
            match dial_over(&session, peer, options, deadline)? {
                Some(stream) => return Ok(stream),
                None => seen = generation,
            }
        }
    }
}

/// The deadline of a dial that may be made over several sessions.
pub(crate) fn dial_deadline(bridge: &SamBridge, options: &ConnectOptions) -> Deadline {
    let usual = bridge.config().timeouts.stream_connect;
    Deadline::after(options.given_time().unwrap_or(usual))
}

/// Dials over one of them; nothing says that this one is lost.
pub(crate) fn dial_over(
    session: &StreamSession,
    peer: &I2pAddr,
    options: &ConnectOptions,
    deadline: Deadline,
) -> Result<Option<SamStream>, Error> {
    let left = deadline.left(Phase::StreamConnect)?;
    match session.connect_with(peer, &options.clone().timeout(left)) {
        Err(error) if is_of_a_loss(&error, session) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Whether a dial failed because the session is going, though it may not be known to be gone yet:
/// the port of a router that was killed is closed a moment before.
fn is_of_a_loss(error: &Error, session: &StreamSession) -> bool {
    match error {
        Error::SessionLost(_) => true,
        Error::Unreachable { .. }
        | Error::UnexpectedEof { .. }
        | Error::Protocol { .. }
        | Error::Io { .. } => session.wait_closed(Some(NOTICE)).is_ok(),
        _ => false,
    }
}
