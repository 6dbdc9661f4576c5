use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{AddressError, KeyError, KeyFileError};
use crate::version::Version;
use crate::wire::{CommandError, Message, ParseError, redact};

/// What went wrong, and so what to do about it.
///
/// | to find out | ask |
/// |---|---|
/// | Is the session gone, so that a new one is needed? | [`is_session_lost`](Error::is_session_lost) |
/// | Is it the peer's doing, so that other peers may well be reached? | [`is_peer_fault`](Error::is_peer_fault) |
/// | May the same call succeed if it is made again? | [`is_retryable`](Error::is_retryable) |
/// | Did a deadline run out, and which? | [`is_timeout`](Error::is_timeout), [`phase`](Error::phase) |
/// | Did we end it ourselves? | [`Error::Cancelled`], [`SessionLoss::Closed`] |
///
/// As an [`io::Error`] (by `?` or `into`) it keeps itself inside and has this kind:
///
/// | [`io::ErrorKind`] | when |
/// |---|---|
/// | `TimedOut` | a deadline ran out |
/// | `WouldBlock` | a non-blocking call found nothing |
/// | `ConnectionRefused` | the bridge's TCP or UDP port is closed, or the bridge said `CONNECTION_REFUSED` |
/// | `HostUnreachable` | the peer cannot be reached: `CANT_REACH_PEER`, no lease set |
/// | `NotFound` | the name or session is unknown: `KEY_NOT_FOUND`, `INVALID_ID` |
/// | `NotConnected` | the session is lost or closed |
/// | `ConnectionAborted` | the router does not forward any more |
/// | `AddrInUse` | the session's key or id is in use, or what it does excludes this |
/// | `Unsupported` | the router cannot do it |
/// | `PermissionDenied` | the bridge wants other credentials, or a key file is open to others |
/// | `InvalidInput` | an address, key, name, value or size was refused before it was sent; a buffer is too small |
/// | `InvalidData` | the bridge broke the protocol |
/// | `UnexpectedEof` | the bridge hung up |
/// | `Other` | cancelled, or any other refusal |
///
/// A cancelled call is never `Interrupted`: the helpers of `std` would make it again.
///
/// No error holds a byte of a private key or of a session's id: what a bridge explains is cut
/// where it could be one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No SAM bridge could be reached. A router must run, with SAM switched on.
    #[error(
        "no SAM bridge answers at {address}: {source}. An I2P router must run there with SAM \
         switched on: in Java I2P, start the SAM application bridge on the console's page of \
         clients (http://127.0.0.1:7657/configclients); in i2pd, set `enabled = true` under \
         `[sam]` in i2pd.conf and restart it"
    )]
    Unreachable {
        /// The address that was tried; of several bridges all, separated by commas.
        address: Box<str>,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing listens at the bridge's UDP address. The datagram that was sent before this call is
    /// lost, and this one was not sent.
    ///
    /// The address is that of [`udp_address`](crate::SamBridgeBuilder::udp_address) or
    /// `I2P_SAM_UDP_ADDRESS`. Java I2P and emissary listen at UDP port 7655; i2pd listens at its TCP
    /// port minus one, unless its `sam.portudp` says otherwise or is off. A firewall, and a bridge on
    /// another machine, may not report a closed port.
    #[error(
        "nothing listens at the bridge's UDP address {address}: set `udp_address` or \
         I2P_SAM_UDP_ADDRESS to the UDP port of the bridge, which in i2pd is its TCP port minus one"
    )]
    UdpClosed {
        /// The UDP address to which datagrams were sent.
        address: Box<str>,
        /// What the system reported.
        source: io::Error,
    },
    /// A deadline ran out.
    #[error("{phase} took longer than {after:?}")]
    Timeout {
        /// What was waited for.
        phase: Phase,
        /// The time it was given.
        after: Duration,
    },
    /// A [`Cancel`](crate::Cancel) handle ended the call.
    #[error("{phase} was cancelled")]
    Cancelled {
        /// What was waited for.
        phase: Phase,
    },
    /// A non-blocking call found nothing: nobody dialled, no datagram came.
    #[error("nothing is waiting")]
    WouldBlock,
    /// A datagram is empty, or larger than its kind can be. Nothing was sent.
    #[error("a datagram of {size} bytes cannot be sent: it holds 1 to {max}")]
    DatagramSize {
        /// The bytes that were given.
        size: usize,
        /// Most bytes one can hold.
        max: usize,
    },
    /// A datagram is larger than the buffer. It was discarded, or, if it was only peeked at, stays.
    #[error("a datagram of {needed} bytes does not fit into a buffer of {given}")]
    BufferTooSmall {
        /// The datagram's bytes.
        needed: usize,
        /// The buffer's.
        given: usize,
    },
    /// The bridge said no.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The session is gone, and everything that was made from it. Make a new one.
    #[error("the session is gone: {0}")]
    SessionLost(#[from] SessionLoss),
    /// A [`HealingSession`](crate::HealingSession) is gone for good, because of this.
    #[error("the session is gone, and is not made again: {0}")]
    HealingEnded(#[source] Arc<Self>),
    /// The router does not forward any more, though the session may live: forward again.
    #[error("the router does not forward any more: {0}")]
    ForwardLost(#[source] SessionLoss),
    /// The bridge hung up in the middle of an exchange. i2pd and emissary do so instead of
    /// answering what they do not like.
    #[error("the bridge hung up during {phase}")]
    UnexpectedEof {
        /// What was waited for.
        phase: Phase,
    },
    /// The bridge answered with something that is not SAM.
    #[error("during {phase} the bridge sent {source}")]
    Protocol {
        /// What was waited for.
        phase: Phase,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The bridge speaks a version that was not asked for, and
    /// [`strict_versions`](crate::SamBridgeBuilder::strict_versions) insists.
    #[error("the bridge speaks SAM {offered}, which was not asked for")]
    Version {
        /// What the bridge speaks.
        offered: Version,
    },
    /// A setting of a builder that cannot be, and what it should look like. Nothing was sent.
    #[error("{0}")]
    Setting(&'static str),
    /// What the session does already, or has done, excludes this. Nothing was sent.
    #[error("{0}")]
    Occupied(&'static str),
    /// The router cannot do this, and would end the session if it were asked. Nothing was sent.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A field cannot be said to a bridge. Nothing was sent.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// This is no I2P address. Nothing was sent.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// This is no private key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key file could not be read or written.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The system refused something: a socket, a thread.
    #[error("{phase} failed: {source}")]
    Io {
        /// What was being done.
        phase: Phase,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// What was waited for, where the error came out of a wait.
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Self::Unreachable { .. } => Some(Phase::Connect),
            Self::Refused(refusal) => Some(refusal.phase),
            Self::Timeout { phase, .. }
            | Self::Cancelled { phase }
            | Self::UnexpectedEof { phase }
            | Self::Protocol { phase, .. }
            | Self::Io { phase, .. } => Some(*phase),
            Self::Version { .. } => Some(Phase::Hello),
            Self::UdpClosed { .. } => Some(Phase::Send),
            _ => None,
        }
    }

    /// Whether the session this was asked of is gone. Another call on it fails as well.
    pub fn is_session_lost(&self) -> bool {
        matches!(self, Self::SessionLost(_) | Self::HealingEnded(_))
    }

    /// Whether a deadline ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Whether the peer, or its address, is the reason: bridge and session are well.
    pub fn is_peer_fault(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_peer_fault(),
            Self::Timeout { phase, .. } => *phase == Phase::StreamConnect,
            _ => false,
        }
    }

    /// Whether the same call may succeed when it is made again after a pause, on the same session.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::UdpClosed { .. }
            | Self::Timeout { .. }
            | Self::WouldBlock
            | Self::UnexpectedEof { .. } => true,
            Self::Refused(refusal) => refusal.is_retryable(),
            _ => false,
        }
    }

    /// The [`io::ErrorKind`] of this error, as in the table above.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Unreachable { source, .. } | Self::Io { source, .. } => source.kind(),
            Self::UdpClosed { .. } => io::ErrorKind::ConnectionRefused,
            Self::Timeout { .. } => io::ErrorKind::TimedOut,
            Self::WouldBlock => io::ErrorKind::WouldBlock,
            Self::Refused(refusal) => refusal.kind(),
            Self::SessionLost(_) | Self::HealingEnded(_) => io::ErrorKind::NotConnected,
            Self::ForwardLost(_) => io::ErrorKind::ConnectionAborted,
            Self::Occupied(_) => io::ErrorKind::AddrInUse,
            Self::Unsupported(_) => io::ErrorKind::Unsupported,
            Self::UnexpectedEof { .. } => io::ErrorKind::UnexpectedEof,
            Self::Protocol { .. } | Self::Version { .. } => io::ErrorKind::InvalidData,
            Self::Setting(_)
            | Self::Command(_)
            | Self::Address(_)
            | Self::Key(_)
            | Self::DatagramSize { .. }
            | Self::BufferTooSmall { .. } => io::ErrorKind::InvalidInput,
            Self::KeyFile(error) => error.io_kind().unwrap_or(io::ErrorKind::InvalidData),
            Self::Cancelled { .. } => io::ErrorKind::Other,
        }
    }

    pub(crate) fn protocol(phase: Phase, source: ParseError) -> Self {
        Self::Protocol { phase, source }
    }
}

/// Keeps the error inside, so that `io::Error::downcast` gives it back.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}

/// What happens to a call on its way. Errors and time-outs name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Resolving the bridge's name and opening a TCP connection to it.
    Connect,
    /// Agreeing on a version, on every socket.
    Hello,
    /// A command that a bridge answers out of its own head, such as `DEST GENERATE`.
    Command,
    /// Looking up a name.
    Lookup,
    /// Creating a session: the router builds tunnels.
    SessionCreate,
    /// Adding a subsession to a primary session.
    SessionAdd,
    /// Dialling a peer.
    StreamConnect,
    /// Arming an accept, or waiting for a peer to dial.
    Accept,
    /// Asking the router to forward.
    Forward,
    /// Sending a datagram.
    Send,
    /// Waiting for a datagram.
    Receive,
    /// Waiting for a peer to hang up, or for what was written last to arrive.
    Finish,
    /// Waiting for the end of a session.
    WaitClosed,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting to the SAM bridge",
            Self::Hello => "agreeing on a version with the SAM bridge",
            Self::Command => "a command to the SAM bridge",
            Self::Lookup => "looking up an address",
            Self::SessionCreate => "creating a session",
            Self::SessionAdd => "adding a subsession",
            Self::StreamConnect => "dialling a peer",
            Self::Accept => "accepting a connection",
            Self::Forward => "asking the router to forward",
            Self::Send => "sending a datagram",
            Self::Receive => "waiting for a datagram",
            Self::Finish => "waiting for streams to end",
            Self::WaitClosed => "waiting for the session to end",
        })
    }
}

/// A bridge's refusal: its result, and the explanation it gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    phase: Phase,
    code: ResultCode,
    explanation: Option<Box<str>>,
}

impl Refusal {
    pub(crate) fn new(phase: Phase, code: ResultCode, message: &Message<'_>) -> Self {
        Self {
            phase,
            code,
            explanation: message.explanation().map(Into::into),
        }
    }

    /// What was asked.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The result the bridge gave.
    pub fn code(&self) -> &ResultCode {
        &self.code
    }

    /// The bridge's own words (`MESSAGE=`), with whatever could be a key cut out.
    pub fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// The same refusal, should the bridge have repeated this word in it.
    pub(crate) fn without(mut self, secret: &str) -> Self {
        let cut = |text: &str| text.replace(secret, "[password]").into();
        self.explanation = self.explanation.as_deref().map(cut);
        if let ResultCode::Other(word) = &self.code {
            self.code = ResultCode::Other(cut(word));
        }
        self
    }

    /// Whether the bridge speaks of a session it does not have, in one of the ways it says so.
    ///
    /// Java I2P answers `I2P_ERROR` and "Session is closed" when the router behind it is gone,
    /// `INVALID_ID` when another client took the id.
    pub(crate) fn means_session_lost(&self) -> bool {
        self.code == ResultCode::InvalidId || self.speaks_of_the_end()
    }

    /// Whether the bridge says that the session is over, whatever it was asked.
    pub(crate) fn speaks_of_the_end(&self) -> bool {
        self.code == ResultCode::I2pError
            && (self.says("session is closed") || self.says("pong timeout"))
    }

    /// Whether the bridge does not know the style that was asked for, in Java I2P's words or i2pd's.
    pub(crate) fn means_unknown_style(&self) -> bool {
        self.is_of_i2pd() || self.says("unrecognized session style")
    }

    /// Whether the router has not ended the last forwarding of the session yet, in Java I2P's words.
    pub(crate) fn means_still_forwarding(&self) -> bool {
        self.phase == Phase::Forward && self.says("forwarding server is already defined")
    }

    /// Whether it is i2pd that does not know the style.
    pub(crate) fn is_of_i2pd(&self) -> bool {
        self.says("unknown style")
    }

    fn says(&self, text: &str) -> bool {
        self.explanation()
            .is_some_and(|explanation| explanation.to_ascii_lowercase().contains(text))
    }

    fn is_peer_fault(&self) -> bool {
        let asked_of_peer = matches!(self.phase, Phase::StreamConnect | Phase::Lookup);
        asked_of_peer
            && matches!(
                self.code,
                ResultCode::CantReachPeer
                    | ResultCode::ConnectionRefused
                    | ResultCode::InvalidKey
                    | ResultCode::KeyNotFound
                    | ResultCode::LeaseSetNotFound
                    | ResultCode::PeerNotFound
                    | ResultCode::Timeout
            )
    }

    fn is_retryable(&self) -> bool {
        match self.code {
            ResultCode::CantReachPeer
            | ResultCode::ConnectionRefused
            | ResultCode::LeaseSetNotFound
            | ResultCode::PeerNotFound
            | ResultCode::Timeout
            // Routers keep the key and the id of a closed session for a second or more.
            | ResultCode::DuplicatedDest
            | ResultCode::DuplicatedId => true,
            ResultCode::I2pError => self.says("duplicate destination"),
            _ => false,
        }
    }

    fn is_unauthorized(&self) -> bool {
        self.phase == Phase::Hello && self.code == ResultCode::I2pError
    }

    fn kind(&self) -> io::ErrorKind {
        match self.code {
            _ if self.is_unauthorized() => io::ErrorKind::PermissionDenied,
            ResultCode::ConnectionRefused => io::ErrorKind::ConnectionRefused,
            ResultCode::CantReachPeer | ResultCode::PeerNotFound | ResultCode::LeaseSetNotFound => {
                io::ErrorKind::HostUnreachable
            }
            ResultCode::KeyNotFound | ResultCode::InvalidId => io::ErrorKind::NotFound,
            ResultCode::DuplicatedDest | ResultCode::DuplicatedId => io::ErrorKind::AddrInUse,
            ResultCode::InvalidKey => io::ErrorKind::InvalidInput,
            ResultCode::Timeout => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was refused: {}", self.phase, self.code)?;
        match self.explanation() {
            Some(explanation) => write!(f, " ({explanation})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

/// The value of `RESULT` in a bridge's reply.
///
/// Results that are not known here are kept as they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResultCode {
    /// `OK`
    Ok,
    /// `ALREADY_ACCEPTING`: another way to accept is active on the session.
    AlreadyAccepting,
    /// `CANT_REACH_PEER`: the peer exists, or may, but could not be reached.
    CantReachPeer,
    /// `CONNECTION_REFUSED`: the peer does not take the connection.
    ConnectionRefused,
    /// `DUPLICATED_DEST`, or `DUPLICATE_DEST` (emissary): the key is in use.
    DuplicatedDest,
    /// `DUPLICATED_ID`, or `DUPLICATE_ID` (emissary): the session id is in use.
    DuplicatedId,
    /// `I2P_ERROR`: anything, explained by the message, if at all.
    I2pError,
    /// `INVALID_ID`: the bridge has no such session.
    InvalidId,
    /// `INVALID_KEY`: not a key, or (i2pd) any address that cannot be found.
    InvalidKey,
    /// `KEY_NOT_FOUND`: the name is unknown.
    KeyNotFound,
    /// `LEASESET_NOT_FOUND`: the destination is not online, or not found.
    LeaseSetNotFound,
    /// `NOVERSION`: no common version.
    NoVersion,
    /// `PEER_NOT_FOUND`: the peer is not on the network.
    PeerNotFound,
    /// `TIMEOUT`: the router gave up.
    Timeout,
    /// Any other word, with whatever could be a key cut out.
    Other(Box<str>),
}

impl ResultCode {
    pub(crate) fn from_wire(word: &str) -> Self {
        match word {
            "OK" => Self::Ok,
            "ALREADY_ACCEPTING" => Self::AlreadyAccepting,
            "CANT_REACH_PEER" => Self::CantReachPeer,
            "CONNECTION_REFUSED" => Self::ConnectionRefused,
            "DUPLICATED_DEST" | "DUPLICATE_DEST" => Self::DuplicatedDest,
            "DUPLICATED_ID" | "DUPLICATE_ID" => Self::DuplicatedId,
            "I2P_ERROR" => Self::I2pError,
            "INVALID_ID" => Self::InvalidId,
            "INVALID_KEY" => Self::InvalidKey,
            "KEY_NOT_FOUND" => Self::KeyNotFound,
            "LEASESET_NOT_FOUND" => Self::LeaseSetNotFound,
            "NOVERSION" => Self::NoVersion,
            "PEER_NOT_FOUND" => Self::PeerNotFound,
            "TIMEOUT" => Self::Timeout,
            other => Self::Other(redact(other).into()),
        }
    }
}

/// The word of the protocol.
impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "OK",
            Self::AlreadyAccepting => "ALREADY_ACCEPTING",
            Self::CantReachPeer => "CANT_REACH_PEER",
            Self::ConnectionRefused => "CONNECTION_REFUSED",
            Self::DuplicatedDest => "DUPLICATED_DEST",
            Self::DuplicatedId => "DUPLICATED_ID",
            Self::I2pError => "I2P_ERROR",
            Self::InvalidId => "INVALID_ID",
            Self::InvalidKey => "INVALID_KEY",
            Self::KeyNotFound => "KEY_NOT_FOUND",
            Self::LeaseSetNotFound => "LEASESET_NOT_FOUND",
            Self::NoVersion => "NOVERSION",
            Self::PeerNotFound => "PEER_NOT_FOUND",
            Self::Timeout => "TIMEOUT",
            Self::Other(word) => word,
        })
    }
}

/// Why a session is gone. Everything made from it ended with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionLoss {
    /// We closed it.
    #[error("it was closed")]
    Closed,
    /// The bridge hung up: its router stopped, or the bridge was restarted.
    #[error("the bridge hung up")]
    BridgeGone,
    /// The connection to the bridge broke.
    #[error("the connection to the bridge broke: {0}")]
    Io(io::ErrorKind),
    /// The bridge said why: `PONG timeout`, `Session is closed`, `INVALID_ID`.
    #[error("{0}")]
    Refused(Refusal),
    /// A heartbeat was not answered in time: the bridge's machine is gone, or asleep.
    #[error("the bridge did not answer a heartbeat within {0:?}")]
    Unanswered(Duration),
    /// The bridge sent a line without an end, or takes nothing we send.
    #[error("the bridge does not speak SAM any more")]
    Garbled,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(phase: Phase, line: &str) -> Refusal {
        let message = Message::parse(line.as_bytes()).unwrap();
        Refusal::new(phase, message.result().unwrap(), &message)
    }

    #[test]
    fn both_spellings_of_a_duplicate_are_known() {
        assert_eq!(
            ResultCode::from_wire("DUPLICATE_ID"),
            ResultCode::DuplicatedId
        );
        assert_eq!(
            ResultCode::from_wire("DUPLICATE_DEST"),
            ResultCode::DuplicatedDest
        );
    }

    #[test]
    fn a_result_is_shown_as_the_word_it_came_as() {
        for word in ["OK", "CANT_REACH_PEER", "I2P_ERROR", "SOMETHING_NEW"] {
            assert_eq!(ResultCode::from_wire(word).to_string(), word);
        }
    }

    #[test]
    fn the_ways_a_bridge_says_that_the_session_is_gone_are_known() {
        for (line, lost) in [
            ("STREAM STATUS RESULT=INVALID_ID", true),
            (
                "STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"Session is closed\"",
                true,
            ),
            (
                "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"PONG timeout\"",
                true,
            ),
            ("STREAM STATUS RESULT=I2P_ERROR", false),
            (
                "STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE=\"Session is closed\"",
                false,
            ),
        ] {
            let refusal = refusal(Phase::StreamConnect, line);
            assert_eq!(refusal.means_session_lost(), lost, "{line}");
        }
    }

    #[test]
    fn an_error_comes_back_out_of_an_io_error_as_it_went_in() {
        let wrapped = io::Error::from(Error::SessionLost(SessionLoss::Closed));
        assert_eq!(wrapped.kind(), io::ErrorKind::NotConnected);
        let error = wrapped.downcast::<Error>().unwrap();
        assert!(matches!(error, Error::SessionLost(SessionLoss::Closed)));
    }

    #[test]
    fn a_cancelled_call_is_not_interrupted() {
        let error = Error::Cancelled {
            phase: Phase::Accept,
        };
        assert_eq!(error.kind(), io::ErrorKind::Other);
    }

    #[test]
    fn a_refused_peer_is_told_apart_from_a_refused_session() {
        let peer = refusal(Phase::StreamConnect, "STREAM STATUS RESULT=CANT_REACH_PEER");
        assert!(Error::from(peer).is_peer_fault());
        let session = refusal(Phase::SessionCreate, "SESSION STATUS RESULT=INVALID_KEY");
        assert!(!Error::from(session).is_peer_fault());
    }

    #[test]
    fn a_key_in_use_may_be_free_soon() {
        let line = "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"duplicate destination\"";
        assert!(Error::from(refusal(Phase::SessionCreate, line)).is_retryable());
    }

    #[test]
    fn an_error_is_small_enough_to_be_returned() {
        assert!(size_of::<Error>() <= 80, "{}", size_of::<Error>());
    }

    #[test]
    fn a_closed_port_tells_how_to_switch_sam_on() {
        let error = Error::Unreachable {
            address: "127.0.0.1:7656".into(),
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        let text = error.to_string();
        for part in ["127.0.0.1:7656", "SAM", "Java I2P", "i2pd.conf"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
