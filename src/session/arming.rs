use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::Connection;
use crate::error::{Error, Phase};
use crate::session::core::SessionCore;
use crate::sync::{Call, Deadline};
use crate::wire::Command;

/// How many sockets stand ready: enough for 160 to 200 streams in a second.
const STANDBY_SOCKETS: usize = 8;

/// Time to open and greet the sockets that are missing. An idle i2pd needs less than 1 ms.
const FILL_TIMEOUT: Duration = Duration::from_millis(100);

/// Sockets that have been greeted, so that the next accept is armed in one exchange.
///
/// They are for the thread that holds the one accept of a router which keeps one, i2pd, from its first
/// stream on, and are used in turn. On a socket whose greeting has just been answered Linux delays its
/// next acknowledgement by some 40 ms, and i2pd (2.45 to 2.59) holds the caller's line back until it
/// has come (Nagle's algorithm): 23 streams in a second, however many wait. On one that has rested it
/// does not.
#[derive(Default)]
pub(crate) struct StandbySockets {
    connections: VecDeque<Connection>,
    wanted: bool,
}

impl StandbySockets {
    /// From now on sockets stand ready.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Arms an accept on the socket that has rested longest, or on a new one.
    pub(crate) fn arm(&mut self, core: &Arc<SessionCore>) -> Result<Connection, Error> {
        let armed = self.arm_next(core);
        if armed.is_ok() && self.wanted {
            self.fill(core);
        }
        armed
    }

    fn arm_next(&mut self, core: &Arc<SessionCore>) -> Result<Connection, Error> {
        while let Some(connection) = self.connections.pop_front() {
            match arm_on(core, connection) {
                // A bridge may not want to keep it so long, and Java I2P says so in place of a reply.
                Err(error) if !error.is_timeout() => {}
                outcome => return outcome,
            }
        }
        arm(core, &core.call(Phase::Accept))
    }

    /// Takes in one socket more than was taken out, until there are enough. Without them it works.
    ///
    /// An accept is pending meanwhile, and its stream may have come: a slow bridge gets no longer.
    fn fill(&mut self, core: &Arc<SessionCore>) {
        let deadline = Deadline::after(Some(FILL_TIMEOUT));
        let missing = STANDBY_SOCKETS.saturating_sub(self.connections.len());
        for _ in 0..missing.min(2) {
            match core.connect(deadline) {
                Ok(connection) => self.connections.push_back(connection),
                Err(_) => return,
            }
        }
    }
}

/// Arms an accept on a socket of its own.
pub(crate) fn arm(core: &Arc<SessionCore>, call: &Call) -> Result<Connection, Error> {
    arm_on(core, Connection::open(core.bridge.config(), call)?)
}

fn arm_on(core: &Arc<SessionCore>, mut connection: Connection) -> Result<Connection, Error> {
    let command = Command::stream_accept(&core.id)?;
    let deadline = Deadline::after(core.bridge.config().timeouts.command);
    connection
        .request(&command, Phase::Accept, deadline)
        .map_err(|error| core.explain(error))?;
    Ok(connection)
}
