use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use crate::address::Destination;
use crate::sync::lock;

/// The time for which a key rests at a bridge after a session with it has ended.
///
/// i2pd 2.45 to 2.61 replies OK at once to a CREATE with a key whose session ended less than 5 s
/// ago. That session serves no peer, and i2pd 2.59 aborts when it is dialled.
pub(crate) const KEY_REST: Duration = Duration::from_secs(6);

/// The time to find out if a bridge that closed a session still listens. The loss is reported after it.
const LISTENS_TIMEOUT: Duration = Duration::from_millis(250);

/// The most bridges to remember, more than a program uses. Beyond it, all are forgotten.
const MAX_BRIDGES: usize = 256;

/// The keys that sessions of this process use, or have just used, at each bridge.
///
/// There is one for the process: two [`SamBridge`](crate::SamBridge)s of one address are one bridge.
static USES: LazyLock<Mutex<Uses>> = LazyLock::new(Mutex::default);

/// The use of a key by one session at one bridge. Dropping it ends the use, and the key rests.
pub(crate) struct KeyUse {
    place: Place,
    since: Instant,
    before: Option<Period>,
    session_made: bool,
}

/// Another session of this process uses the key at the bridge.
#[derive(Debug)]
pub(crate) struct KeyInUse;

type Place = (SocketAddr, [u8; 32]);

#[derive(Default)]
struct Uses {
    periods: HashMap<Place, Period>,
    bridges: HashMap<SocketAddr, Bridge>,
}

#[derive(Clone, Copy)]
struct Period {
    since: Instant,
    ended: Option<Instant>,
}

#[derive(Clone, Copy, Default)]
struct Bridge {
    /// When it last refused a connection. No older session lives.
    refused: Option<Instant>,
    is_i2pd: Option<bool>,
}

impl KeyUse {
    /// Begins to use a key, unless another session uses it.
    pub(crate) fn begin(bridge: SocketAddr, destination: &Destination) -> Result<Self, KeyInUse> {
        let place = (bridge, destination.hash());
        let mut uses = lock(&USES);
        uses.forget_rested();
        let before = uses.periods.get(&place).copied();
        if before.is_some_and(|period| period.ended.is_none()) {
            return Err(KeyInUse);
        }
        let since = Instant::now();
        uses.periods.insert(place, Period { since, ended: None });
        Ok(Self {
            place,
            since,
            before,
            session_made: true,
        })
    }

    /// Returns how much longer the key should rest before a session is made with it.
    ///
    /// Zero if no session with it ended recently, or if the bridge has refused connections since that
    /// session was made, and so was restarted.
    pub(crate) fn rest_left(&self) -> Duration {
        let Some(before) = self.before else {
            return Duration::ZERO;
        };
        let refused = lock(&USES).bridge(self.place.0).refused;
        match before.ended {
            Some(ended) if refused < Some(before.since) => KEY_REST.saturating_sub(ended.elapsed()),
            _ => Duration::ZERO,
        }
    }

    /// Records that the session ends. From now on others may wait for the key.
    pub(crate) fn end(&self) {
        lock(&USES).end(self);
    }

    /// Ends the use of a key with which no session was made.
    pub(crate) fn withdraw(mut self) {
        self.session_made = false;
    }
}

impl Drop for KeyUse {
    fn drop(&mut self) {
        let mut uses = lock(&USES);
        if self.session_made {
            return uses.end(self);
        }
        match self.before {
            Some(period) => uses.periods.insert(self.place, period),
            None => uses.periods.remove(&self.place),
        };
    }
}

impl Uses {
    fn end(&mut self, key_use: &KeyUse) {
        let period = self.periods.get_mut(&key_use.place);
        // Another session may use the key by now.
        if let Some(period) = period.filter(|period| period.since == key_use.since) {
            period.ended = Some(Instant::now());
        }
    }

    fn forget_rested(&mut self) {
        let rests = |ended: Instant| ended.elapsed() < KEY_REST;
        self.periods
            .retain(|_, period| period.ended.is_none_or(rests));
    }

    fn bridge(&mut self, bridge: SocketAddr) -> &mut Bridge {
        if self.bridges.len() >= MAX_BRIDGES && !self.bridges.contains_key(&bridge) {
            self.bridges.clear();
        }
        self.bridges.entry(bridge).or_default()
    }
}

/// Records that a bridge refused a connection: its router was stopped, and another may take its place.
pub(crate) fn note_refusal(bridge: SocketAddr) {
    let refused = Some(Instant::now());
    *lock(&USES).bridge(bridge) = Bridge {
        refused,
        ..Bridge::default()
    };
}

/// Records a refusal if the bridge at the other end of a lost control socket was stopped.
///
/// A bridge that is started again at once would not be recognized as new, and the key would rest.
pub(crate) fn note_loss(socket: &TcpStream) {
    let Ok(bridge) = socket.peer_addr() else {
        return;
    };
    let outcome = TcpStream::connect_timeout(&bridge, LISTENS_TIMEOUT);
    if outcome.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused) {
        note_refusal(bridge);
    }
}

/// Returns true if a bridge is known to be i2pd's, and `None` if that is not known.
pub(crate) fn is_i2pd(bridge: SocketAddr) -> Option<bool> {
    lock(&USES).bridge(bridge).is_i2pd
}

/// Records if a bridge is i2pd's.
pub(crate) fn note_is_i2pd(bridge: SocketAddr, is_i2pd: bool) {
    lock(&USES).bridge(bridge).is_i2pd = Some(is_i2pd);
}
