use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::exchange::Exchange;
use super::link::Pieces;

/// A fault that a [`TestBridge`](super::TestBridge) commits when it receives a command.
///
/// Faults of the connection, which are [`split`](Fault::split), [`drip`](Fault::drip),
/// [`cut_after`](Fault::cut_after) and [`delay`](Fault::delay), leave the command to the router. All others
/// take its place. If several faults wait for one command, they are committed in the order in which they
/// were injected, up to the first that takes the place of the router.
///
/// ```
/// use std::time::Duration;
/// use i2p_sam::testing::{Fault, TestBridge};
///
/// let bridge = TestBridge::start()?;
/// bridge.inject("HELLO", Fault::delay(Duration::from_millis(5)));
/// bridge.inject("NAMING LOOKUP", Fault::reply("NAMING REPLY RESULT=I2P_ERROR\n"));
/// assert!(bridge.bridge().lookup("site.i2p").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Fault(pub(super) Kind);

type Script = Arc<dyn Fn(&mut Exchange<'_>) + Send + Sync>;

#[derive(Clone)]
pub(super) enum Kind {
    Delay(Duration),
    Split(Pieces),
    CutAfter(u64),
    Reply(Vec<u8>),
    ReplyAndClose(Vec<u8>),
    Close,
    Silence,
    Script(Script),
}

impl Fault {
    /// Waits for this time, and then lets the router carry out the command. The time is not scaled by
    /// [`speed`](super::TestBridgeBuilder::speed).
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::delay(std::time::Duration::from_millis(5)));
    /// assert!(router.bridge().version().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delay(time: Duration) -> Self {
        Self(Kind::Delay(time))
    }

    /// Sends from now on everything on this connection in pieces of 1 to `largest` bytes, with pauses of up
    /// to `longest_pause` before each. The bridge's [seed](super::TestBridgeBuilder::seed) decides both.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::split(3, std::time::Duration::from_millis(1)));
    /// assert!(router.bridge().version().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn split(largest: usize, longest_pause: Duration) -> Self {
        Self(Kind::Split(Pieces {
            largest,
            longest_pause,
        }))
    }

    /// Sends from now on each byte on this connection on its own, with a pause of up to `longest_pause`
    /// before it.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::drip(std::time::Duration::from_millis(1)));
    /// assert!(router.bridge().version().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drip(longest_pause: Duration) -> Self {
        Self::split(1, longest_pause)
    }

    /// Closes the connection when this many more bytes have been sent on it. The bytes of a stream count as
    /// well.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::cut_after(5));
    /// assert!(router.bridge().version().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cut_after(bytes: u64) -> Self {
        Self(Kind::CutAfter(bytes))
    }

    /// Sends these bytes instead of the router's reply: a refusal, a lie or garbage. A line needs its `\n`.
    /// The router does not learn of the command.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::reply("HELLO REPLY RESULT=NOVERSION\n"));
    /// assert!(router.bridge().version().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reply(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Kind::Reply(bytes.into()))
    }

    /// Sends these bytes instead of the router's reply, and closes the connection.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::reply_and_close("garbage"));
    /// assert!(router.bridge().version().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reply_and_close(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Kind::ReplyAndClose(bytes.into()))
    }

    /// Closes the connection instead of a reply.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::close());
    /// assert!(router.bridge().version().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close() -> Self {
        Self(Kind::Close)
    }

    /// Never replies, to this command or a later one. The connection stays open.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("STREAM CONNECT", Fault::silence());
    /// let session = router.bridge().session().stream()?;
    /// let time = std::time::Duration::from_millis(50);
    /// assert!(session.connect_timeout("peer.i2p", time).is_err_and(|error| error.is_timeout()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn silence() -> Self {
        Self(Kind::Silence)
    }

    /// Runs this function instead of the router. It can read, write, close, and let the router carry out
    /// the command or another one.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// // A bridge that connects callers of one site to another.
    /// let bridge = TestBridge::start()?;
    /// bridge.inject_each("STREAM CONNECT", Fault::script(|exchange| {
    ///     let other = exchange.command().replace("bank.i2p", "thief.i2p");
    ///     exchange.proceed_as(&other);
    /// }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn script(script: impl Fn(&mut Exchange<'_>) + Send + Sync + 'static) -> Self {
        Self(Kind::Script(Arc::new(script)))
    }

    /// Returns true if the router does not carry out the command.
    fn replaces_router(&self) -> bool {
        !matches!(self.0, Kind::Delay(_) | Kind::Split(_) | Kind::CutAfter(_))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Delay(time) => write!(f, "Delay({time:?})"),
            Kind::Split(pieces) => write!(f, "{pieces:?}"),
            Kind::CutAfter(bytes) => write!(f, "CutAfter({bytes})"),
            Kind::Reply(bytes) => write!(f, "Reply({} bytes)", bytes.len()),
            Kind::ReplyAndClose(bytes) => write!(f, "ReplyAndClose({} bytes)", bytes.len()),
            Kind::Close => f.write_str("Close"),
            Kind::Silence => f.write_str("Silence"),
            Kind::Script(_) => f.write_str("Script"),
        }
    }
}

/// The faults that wait for commands.
#[derive(Default)]
pub(super) struct Faults(Vec<Waiting>);

struct Waiting {
    start: String,
    fault: Fault,
    once: bool,
}

impl Faults {
    pub(super) fn add(&mut self, start: &str, fault: Fault, once: bool) {
        self.0.push(Waiting {
            start: start.to_owned(),
            fault,
            once,
        });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the faults for a command, and removes those that are committed once.
    pub(super) fn take(&mut self, line: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut replaced = false;
        self.0.retain(|waiting| {
            if replaced || !line.starts_with(&waiting.start) {
                return true;
            }
            replaced = waiting.fault.replaces_router();
            faults.push(waiting.fault.clone());
            !waiting.once
        });
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(faults: &[Fault]) -> Vec<String> {
        faults.iter().map(|fault| format!("{fault:?}")).collect()
    }

    #[test]
    fn faults_are_taken_up_to_first_that_replaces_router() {
        let mut faults = Faults::default();
        faults.add("STREAM", Fault::cut_after(5), true);
        faults.add("STREAM CONNECT", Fault::close(), true);
        faults.add("STREAM", Fault::silence(), true);
        assert_eq!(
            shown(&faults.take("STREAM CONNECT ID=a")),
            ["CutAfter(5)", "Close"]
        );
        assert_eq!(shown(&faults.take("STREAM CONNECT ID=a")), ["Silence"]);
        assert!(faults.take("STREAM CONNECT ID=a").is_empty());
    }

    #[test]
    fn fault_of_each_command_stays() {
        let mut faults = Faults::default();
        faults.add("HELLO", Fault::close(), false);
        for _ in 0..2 {
            assert_eq!(shown(&faults.take("HELLO VERSION")), ["Close"]);
        }
        assert!(faults.take("PING").is_empty());
    }
}
