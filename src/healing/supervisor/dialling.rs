use std::sync::Arc;
use std::time::Duration;

use super::Supervisor;
use crate::address::{Destination, I2pAddr};
use crate::bridge::SamBridge;
use crate::error::{Error, Phase};
use crate::session::{ConnectOptions, StreamSession};
use crate::stream::SamStream;
use crate::sync::{Call, Cancel, Deadline};

/// How long a session may stand that a bridge has just failed for: the end of its control socket is
/// noticed by another thread.
const NOTICE: Duration = Duration::from_millis(500);

impl Supervisor {
    pub(in crate::healing) fn dial(
        self: &Arc<Self>,
        peer: &I2pAddr,
        options: &ConnectOptions,
        cancel: &Cancel,
    ) -> Result<SamStream, Error> {
        let deadline = dial_deadline(&self.bridge, options);
        self.over_a_session(Phase::StreamConnect, deadline, cancel, |session| {
            dial_over(session, peer, options, deadline)
        })
    }

    pub(in crate::healing) fn look_up(
        self: &Arc<Self>,
        address: &I2pAddr,
        cancel: &Cancel,
    ) -> Result<Destination, Error> {
        let deadline = lookup_deadline(&self.bridge);
        self.over_a_session(Phase::Lookup, deadline, cancel, |session| {
            look_up_over(session, address, deadline)
        })
    }

    /// Asks one session after the other, as long as each is lost meanwhile.
    fn over_a_session<T>(
        self: &Arc<Self>,
        phase: Phase,
        deadline: Deadline,
        cancel: &Cancel,
        ask: impl Fn(&StreamSession) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let call = Call::new(phase).or_cancel(cancel).until(deadline);
        let mut seen = 0;
        loop {
            let (generation, current) = self.newer_than(seen, &call)?;
            match ask(&current.session.with_cancel(cancel))? {
                Some(outcome) => return Ok(outcome),
                None => seen = generation,
            }
        }
    }
}

/// The deadline of a lookup that may be asked over several sessions.
pub(crate) fn lookup_deadline(bridge: &SamBridge) -> Deadline {
    Deadline::after(bridge.config().timeouts.lookup)
}

/// Looks up over one of them; nothing is returned if this one is lost.
pub(crate) fn look_up_over(
    session: &StreamSession,
    address: &I2pAddr,
    deadline: Deadline,
) -> Result<Option<Destination>, Error> {
    match session.lookup_until(address, deadline) {
        Err(error) if is_of_a_loss(&error, session) => Ok(None),
        outcome => outcome.map(Some),
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
