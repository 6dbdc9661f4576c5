use std::sync::Mutex;
use std::time::Duration;

use crate::error::{Error, SessionLoss};
use crate::session::id::unguessable;
use crate::sync::lock;

/// Most datagrams to itself that a session may lose in a row. A router may drop one.
const MAX_LOST: u32 = 3;

/// Proves that a session for datagrams lives: each heartbeat sends a datagram to the session itself.
///
/// Java I2P's bridge replies to all requests about a session whose router is gone, and drops what the
/// session sends. A datagram that comes back is the only proof that the protocol has. A loss is
/// concluded only if one has come back before, since a router may not send a session its own.
pub(crate) struct SelfDatagrams {
    /// A random text, so that no other program can send it.
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

    /// Returns true if the payload is that of a datagram sent by this session to itself.
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
            return Err(Error::SessionLost(SessionLoss::HeartbeatTimeout(interval)));
        }
        state.lost = state.lost.saturating_add(1);
        Ok(self.payload.as_bytes())
    }
}
