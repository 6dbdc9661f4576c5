use std::collections::VecDeque;
use std::time::Duration;

use crate::bridge::Connection;
use crate::error::{Error, Phase};
use crate::session::SessionCore;
use crate::sync::{Call, Deadline};
use crate::wire::Command;

/// The number of standby sockets: enough for 160 to 200 streams per second.
const STANDBY_SOCKETS: usize = 8;

/// The time to open and greet the missing sockets. An idle i2pd needs less than 1 ms.
const FILL_TIMEOUT: Duration = Duration::from_millis(100);

/// Sockets that have completed HELLO, so that the next accept needs only one exchange.
///
/// They are for the thread that has the only accept of a router which keeps one, i2pd, from its first
/// stream on. They are used in turn. On a socket whose HELLO has just been answered, Linux delays its
/// next acknowledgement by some 40 ms, and i2pd (2.45 to 2.59) holds the caller's line back until the
/// acknowledgement arrives (Nagle's algorithm). That limits a session to 23 streams per second, however
/// many wait. A socket that has rested has no such delay. (`TCP_QUICKACK` allows 500 to 800 streams per
/// second, but under that load i2pd 2.59 crashed when the connections of a server were cut.)
#[derive(Default)]
pub(crate) struct StandbySockets {
    connections: VecDeque<Connection>,
    wanted: bool,
}

impl StandbySockets {
    /// Keeps standby sockets from now on.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Sends an accept on the socket that has rested longest, or on a new one.
    pub(crate) fn accept(&mut self, core: &SessionCore) -> Result<Connection, Error> {
        let pending = self.next_accept(core);
        if pending.is_ok() && self.wanted {
            self.fill(core);
        }
        pending
    }

    fn next_accept(&mut self, core: &SessionCore) -> Result<Connection, Error> {
        while let Some(connection) = self.connections.pop_front() {
            match send_accept(core, connection) {
                // A bridge may close an idle socket; Java I2P sends an error in place of a reply.
                Err(error) if !error.is_timeout() => {}
                outcome => return outcome,
            }
        }
        accept(core, &core.call(Phase::Accept))
    }

    /// Adds one socket more than was taken out, until there are enough. Accepts also work without them.
    ///
    /// An accept is pending meanwhile, and its stream may have arrived, so a slow bridge gets no more
    /// time.
    fn fill(&mut self, core: &SessionCore) {
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

/// Sends an accept on a new socket.
pub(crate) fn accept(core: &SessionCore, call: &Call) -> Result<Connection, Error> {
    send_accept(core, Connection::open(core.bridge.config(), call)?)
}

fn send_accept(core: &SessionCore, mut connection: Connection) -> Result<Connection, Error> {
    let command = Command::stream_accept(&core.id)?;
    let deadline = Deadline::after(core.bridge.config().timeouts.command);
    connection
        .request(&command, Phase::Accept, deadline)
        .map_err(|error| core.explain(error))?;
    Ok(connection)
}
