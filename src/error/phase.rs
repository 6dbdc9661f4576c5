use std::fmt;

/// The action of a call. Errors and time-outs name it.
///
/// ```
/// use i2p_sam::{Phase, SamBridge};
///
/// let error = SamBridge::new("127.0.0.1:1")?.version().unwrap_err();
/// assert_eq!(error.phase(), Some(Phase::Connect));
/// assert_eq!(Phase::StreamConnect.to_string(), "dialling a peer");
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Resolving the bridge's name and opening a TCP connection to it.
    Connect,
    /// Agreeing on a version, on every socket.
    Hello,
    /// A command that a bridge answers by itself, such as `DEST GENERATE`.
    Command,
    /// Looking up a name.
    Lookup,
    /// Creating a session: the router builds tunnels.
    SessionCreate,
    /// Adding a subsession to a primary session.
    SessionAdd,
    /// Dialling a peer.
    StreamConnect,
    /// Sending an accept, or waiting for a peer to dial.
    Accept,
    /// Setting up forwarding at the router.
    Forward,
    /// Sending a datagram.
    Send,
    /// Waiting for a datagram.
    Receive,
    /// Reading from a stream.
    Read,
    /// Writing to a stream.
    Write,
    /// Waiting for a peer to close, or for the last written bytes to arrive.
    Finish,
    /// Waiting for the end of a session.
    WaitClosed,
}

impl Phase {
    /// Returns true if the call named a peer.
    pub(crate) fn has_peer(self) -> bool {
        matches!(self, Self::Lookup | Self::StreamConnect)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting to the SAM bridge",
            Self::Hello => "agreeing on a version with the SAM bridge",
            Self::Command => "sending a command to the SAM bridge",
            Self::Lookup => "looking up an address",
            Self::SessionCreate => "creating a session",
            Self::SessionAdd => "adding a subsession",
            Self::StreamConnect => "dialling a peer",
            Self::Accept => "accepting a connection",
            Self::Forward => "setting up forwarding at the router",
            Self::Send => "sending a datagram",
            Self::Receive => "waiting for a datagram",
            Self::Read => "reading from a stream",
            Self::Write => "writing to a stream",
            Self::Finish => "waiting for streams to end",
            Self::WaitClosed => "waiting for the session to end",
        })
    }
}

/// The text for a reply that is not SAM.
pub(crate) struct BrokenProtocol(pub(crate) Phase);

impl fmt::Display for BrokenProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // No byte of SAM has come from there: the address is wrong far more often than the bridge.
            Phase::Hello => f.write_str(
                "the program at the bridge's address does not use SAM: check the address, whose port is usually \
                 7656",
            ),
            phase => write!(f, "the bridge broke the protocol during {phase}"),
        }
    }
}

/// A phase, with the peer if it is known.
pub(crate) struct Activity<'a>(pub(crate) Phase, pub(crate) Option<&'a str>);

impl fmt::Display for Activity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Phase::StreamConnect, Some(peer)) => write!(f, "dialling {peer}"),
            (Phase::Lookup, Some(peer)) => write!(f, "looking up {peer}"),
            (phase, _) => phase.fmt(f),
        }
    }
}
