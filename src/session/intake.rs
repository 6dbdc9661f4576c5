use std::sync::Mutex;

use crate::error::{Error, Phase};
use crate::sync::lock;

/// How a session takes in what peers dial: by accepts or by forwarding, never by both.
///
/// Java I2P and emissary refuse the second, i2pd takes an ACCEPT that will never be served; and on
/// Java a session that ever accepted can never forward. So the first to come decides for good.
#[derive(Default)]
pub(crate) struct Intake {
    way: Mutex<Way>,
}

#[derive(Clone, Copy, Default)]
enum Way {
    #[default]
    Open,
    Accepts,
    Forwards {
        now: bool,
    },
}

impl Intake {
    /// From now on the session accepts, if `arrange` succeeds, or a router may have an ACCEPT of
    /// ours all the same.
    pub(crate) fn accept<T>(&self, arrange: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let before = self.turn(Way::Accepts, |way| match way {
            Way::Forwards { .. } => Some(
                "a session that forwards, or has forwarded, cannot accept: make another session",
            ),
            Way::Open | Way::Accepts => None,
        })?;
        let outcome = arrange();
        if outcome.as_ref().is_err_and(|error| !may_have_armed(error)) {
            *lock(&self.way) = before;
        }
        outcome
    }

    /// From now on the session forwards, if `arrange` succeeds.
    pub(crate) fn forward<T>(
        &self,
        arrange: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = self.turn(Way::Forwards { now: true }, |way| match way {
            Way::Accepts => Some(
                "a session that accepts, or has accepted, cannot forward: make another session",
            ),
            // Java I2P refuses a second FORWARD, and ends the first with it.
            Way::Forwards { now: true } => Some("the session forwards already"),
            Way::Open | Way::Forwards { now: false } => None,
        })?;
        let outcome = arrange();
        if outcome.is_err() {
            *lock(&self.way) = before;
        }
        outcome
    }

    /// The forwarding has ended; the session may forward again.
    pub(crate) fn forwarded(&self) {
        *lock(&self.way) = Way::Forwards { now: false };
    }

    /// Takes another way, unless the one taken excludes it. The answer is the one before.
    fn turn(&self, to: Way, excluded: fn(Way) -> Option<&'static str>) -> Result<Way, Error> {
        let mut way = lock(&self.way);
        match excluded(*way) {
            Some(reason) => Err(Error::Occupied(reason)),
            None => Ok(std::mem::replace(&mut *way, to)),
        }
    }
}

/// Whether the router may have taken an ACCEPT that failed: it was said, and neither refused nor
/// answered by hanging up.
fn may_have_armed(error: &Error) -> bool {
    match error {
        Error::Refused(_) | Error::UnexpectedEof { .. } => false,
        error => error.phase() == Some(Phase::Accept),
    }
}
