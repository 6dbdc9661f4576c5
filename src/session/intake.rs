use std::sync::Mutex;

use crate::error::Error;
use crate::interrupts::lock;

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
    /// From now on the session accepts.
    pub(crate) fn accept(&self) -> Result<(), Error> {
        let mut way = lock(&self.way);
        if matches!(*way, Way::Forwards { .. }) {
            return Err(Error::Occupied(
                "a session that forwards, or has forwarded, cannot accept: make another session",
            ));
        }
        *way = Way::Accepts;
        Ok(())
    }

    /// From now on the session forwards, if `arrange` succeeds.
    pub(crate) fn forward<T>(
        &self,
        arrange: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let before = {
            let mut way = lock(&self.way);
            match *way {
                Way::Accepts => {
                    return Err(Error::Occupied(
                        "a session that accepts, or has accepted, cannot forward: make another \
                         session",
                    ));
                }
                // Java I2P refuses a second FORWARD, and ends the first with it.
                Way::Forwards { now: true } => {
                    return Err(Error::Occupied("the session forwards already"));
                }
                Way::Open | Way::Forwards { now: false } => {
                    std::mem::replace(&mut *way, Way::Forwards { now: true })
                }
            }
        };
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
}
