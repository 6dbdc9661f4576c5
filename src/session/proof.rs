use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Phase, SessionLoss};
use crate::session::core::SessionCore;
use crate::session::id::unguessable;
use crate::sync::{Deadline, lock};
use crate::wire::{Command, StreamHeader};

/// How many datagrams to itself a session may lose one after the other. A router may drop one.
const MAX_LOST: u32 = 3;

/// Time for a bridge to answer whether a session still forwards. It asks nobody.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Proves that a session for datagrams lives: each heartbeat sends a datagram to the session itself.
///
/// Java I2P's bridge answers all questions about a session whose router is gone, and drops what the
/// session sends. A datagram that comes back is the only proof that the protocol has. A loss is
/// concluded only if one has come back before, since a router may not send a session its own.
pub(crate) struct SelfDatagrams {
    /// Nobody else can send it.
    payload: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    has_come_back: bool,
    lost: u32,
}

impl SelfDatagrams {
    pub(crate) fn new() -> Self {
        Self {
            payload: unguessable(),
            state: Mutex::default(),
        }
    }

    /// Returns true if the payload is that of a datagram that came back.
    pub(crate) fn takes(&self, payload: &[u8]) -> bool {
        if payload != self.payload.as_bytes() {
            return false;
        }
        *lock(&self.state) = State {
            has_come_back: true,
            lost: 0,
        };
        true
    }

    /// Returns the payload of the next datagram.
    ///
    /// # Errors
    ///
    /// [`Error::SessionLost`] if too many did not come back.
    pub(crate) fn next(&self, interval: Duration) -> Result<&[u8], Error> {
        let mut state = lock(&self.state);
        if state.has_come_back && state.lost >= MAX_LOST {
            return Err(Error::SessionLost(SessionLoss::Unanswered(interval)));
        }
        state.lost = state.lost.saturating_add(1);
        Ok(self.payload.as_bytes())
    }
}

/// Asks the bridge if a session that forwards lives, and ends it if it does not.
///
/// Java I2P leaves the FORWARD socket open if its router is gone, but refuses an ACCEPT with "Session
/// is closed". While the session lives it refuses the ACCEPT because of the forwarding, so that no
/// stream is lost to it. i2pd would let it wait for a stream; it closes the FORWARD socket instead.
pub(crate) fn prove_forwarding(core: &Arc<SessionCore>) {
    if !core.is_i2pd() {
        // An error that means that the session is closed has ended it; no other proves anything.
        let _ = ask_for_accept(core);
    }
}

fn ask_for_accept(core: &Arc<SessionCore>) -> Result<(), Error> {
    let phase = Phase::Forward;
    let deadline = Deadline::after(Some(ANSWER_TIMEOUT));
    let mut connection = core.connect(deadline)?;
    let command = Command::stream_accept(&core.id)?;
    connection
        .request(&command, phase, deadline)
        .map_err(|error| core.explain(error))?;
    // The refusal comes after an OK.
    if let StreamHeader::Peer { .. } = connection.read_header(deadline)? {
        return Err(Error::Occupied("the session accepts"));
    }
    Ok(())
}
