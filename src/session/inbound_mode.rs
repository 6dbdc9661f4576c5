use std::sync::Mutex;

use crate::error::{Error, Phase};
use crate::sync::lock;

/// How a session takes in what peers dial: by accepts or by forwarding, never by both.
///
/// Java I2P and emissary refuse the second, i2pd takes an ACCEPT that will never be served; and on
/// Java a session that ever accepted can never forward. So the first to come decides for good.
#[derive(Default)]
pub(crate) struct InboundMode {
    mode: Mutex<Mode>,
}

#[derive(Clone, Copy, Default)]
enum Mode {
    #[default]
    Open,
    Accepts,
    Forwards {
        now: bool,
    },
}

impl InboundMode {
    /// From now on the session accepts, if `arrange` succeeds, or a router may have an ACCEPT of
    /// ours all the same.
    pub(crate) fn accept<T>(&self, arrange: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let before = self.turn(Mode::Accepts, |mode| match mode {
            Mode::Forwards { .. } => Some(
                "a session that forwards, or has forwarded, cannot accept: make another session",
            ),
            Mode::Open | Mode::Accepts => None,
        })?;
        let outcome = arrange();
        if outcome.as_ref().is_err_and(|error| !may_have_armed(error)) {
            *lock(&self.mode) = before;
        }
        outcome
    }

    /// From now on the session forwards, if `arrange` succeeds.
    pub(crate) fn forward<T>(
        &self,
        arrange: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = self.turn(Mode::Forwards { now: true }, |mode| match mode {
            Mode::Accepts => Some(
                "a session that accepts, or has accepted, cannot forward: make another session",
            ),
            // Java I2P refuses a second FORWARD, and ends the first with it.
            Mode::Forwards { now: true } => Some("the session forwards already"),
            Mode::Open | Mode::Forwards { now: false } => None,
        })?;
        let outcome = arrange();
        if outcome.is_err() {
            *lock(&self.mode) = before;
        }
        outcome
    }

    /// The forwarding has ended; the session may forward again.
    pub(crate) fn forwarded(&self) {
        *lock(&self.mode) = Mode::Forwards { now: false };
    }

    /// Changes the mode, unless the present one excludes it. Returns the one before.
    fn turn(&self, to: Mode, excluded: fn(Mode) -> Option<&'static str>) -> Result<Mode, Error> {
        let mut mode = lock(&self.mode);
        match excluded(*mode) {
            Some(reason) => Err(Error::Occupied(reason)),
            None => Ok(std::mem::replace(&mut *mode, to)),
        }
    }
}

/// Returns true if the router may have taken an ACCEPT that failed: it was sent, and neither refused nor
/// answered by closing the socket.
fn may_have_armed(error: &Error) -> bool {
    match error {
        Error::Refused(_) | Error::UnexpectedEof { .. } => false,
        error => error.phase() == Some(Phase::Accept),
    }
}
