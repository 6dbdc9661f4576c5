use std::sync::Mutex;

use crate::error::{Error, Phase};
use crate::sync::lock;

/// The way in which a session receives the streams that peers dial: accepts or forwarding, never both.
///
/// Java I2P and emissary refuse the second way. i2pd takes an ACCEPT that it will never serve. On Java
/// I2P, a session that ever accepted can never forward. So the first use decides permanently.
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
    /// Makes the session one that accepts, if `arrange` succeeds, or if the router may have taken an
    /// ACCEPT although `arrange` failed.
    pub(crate) fn accept<T>(&self, arrange: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let before = self.turn(Mode::Accepts, |mode| match mode {
            Mode::Forwards { .. } => Some(
                "a session that forwards, or has forwarded, cannot accept: make another session",
            ),
            Mode::Open | Mode::Accepts => None,
        })?;
        let outcome = arrange();
        if outcome.as_ref().is_err_and(|error| !may_be_pending(error)) {
            *lock(&self.mode) = before;
        }
        outcome
    }

    /// Makes the session one that forwards, if `arrange` succeeds.
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

    /// Records that the forwarding has ended: the session may forward again.
    pub(crate) fn forwarded(&self) {
        *lock(&self.mode) = Mode::Forwards { now: false };
    }

    /// Changes the mode, unless the present one excludes it. Returns the previous mode.
    fn turn(&self, to: Mode, excluded: fn(Mode) -> Option<&'static str>) -> Result<Mode, Error> {
        let mut mode = lock(&self.mode);
        match excluded(*mode) {
            Some(reason) => Err(Error::Conflict(reason)),
            None => Ok(std::mem::replace(&mut *mode, to)),
        }
    }
}

/// Returns true if the router may have taken an ACCEPT that failed: the ACCEPT was sent, and the router
/// neither refused it nor closed the socket.
fn may_be_pending(error: &Error) -> bool {
    match error {
        Error::Refused(_) | Error::UnexpectedEof { .. } => false,
        error => error.phase() == Some(Phase::Accept),
    }
}
