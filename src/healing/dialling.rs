use std::time::Duration;

use crate::address::{Destination, I2pAddr};
use crate::bridge::SamBridge;
use crate::error::{Error, Phase};
use crate::stream::SamStream;
use crate::stream::{ConnectOptions, StreamSession};
use crate::sync::Deadline;

/// Time within which another thread notices the end of the session's control socket, and so the loss of the
/// session, after the bridge has failed.
const NOTICE: Duration = Duration::from_millis(500);

/// Returns the deadline of a lookup that may use several sessions.
pub(super) fn lookup_deadline(bridge: &SamBridge) -> Deadline {
    Deadline::after(bridge.config().timeouts.lookup)
}

/// Looks up over one session. Returns `None` if that session is lost.
pub(super) fn look_up_over(
    session: &StreamSession,
    address: &I2pAddr,
    deadline: Deadline,
) -> Result<Option<Destination>, Error> {
    match session.lookup_until(address, deadline) {
        Err(error) if is_of_a_loss(&error, session) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Returns the deadline of a dial that may use several sessions.
pub(super) fn dial_deadline(bridge: &SamBridge, options: &ConnectOptions) -> Deadline {
    let usual = bridge.config().timeouts.stream_connect;
    Deadline::after(options.given_time().unwrap_or(usual))
}

/// Dials over one session. Returns `None` if that session is lost.
pub(super) fn dial_over(
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

/// Returns true if a dial failed because the session is lost, even if the loss is not noticed yet: if a
/// router is killed, its port closes a moment before.
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
