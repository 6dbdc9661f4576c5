mod chain;
mod limit;
mod phase;
mod refusal;
mod setting;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::address::{AddressError, B32, Host, I2pAddr, KeyError, KeyFileError};
use crate::wire::{CommandError, ParseError, ResultCode, Version};

pub(crate) use limit::Limit;
pub use phase::Phase;
use phase::{Activity, BrokenProtocol};
pub use refusal::Refusal;
pub use setting::ConfigError;
pub(crate) use setting::shown;

/// The reason why a call failed, and the basis to decide what to do.
///
/// | question | answer |
/// |---|---|
/// | Is the session gone, so that a new one is needed? | [`is_session_lost`](Error::is_session_lost) |
/// | Is the peer the reason, so that other peers can be reached? | [`is_peer_fault`](Error::is_peer_fault) |
/// | Which peer? | [`peer`](Error::peer) |
/// | May the same call succeed if it is repeated? | [`is_retryable`](Error::is_retryable) |
/// | Does every later `accept` fail as well? | [`is_final`](Error::is_final) |
/// | Did a deadline expire, and which? | [`is_timeout`](Error::is_timeout), [`phase`](Error::phase) |
/// | Did this program end it? | [`Error::Cancelled`], [`SessionLoss::Closed`] |
///
/// `Display` does not repeat the [`source`](std::error::Error::source): a program that shows errors
/// to people shows the whole chain, as `anyhow` does with `{:#}`. `Debug` is the name of the variant and the
/// whole chain, so a `main` that returns the error prints it as a sentence.
///
/// ```
/// use std::error::Error;
///
/// let error = i2p_sam::SamBridge::new("127.0.0.1:1").unwrap().version().unwrap_err();
/// assert!(error.to_string().starts_with("no SAM bridge answers at 127.0.0.1:1. "));
/// let cause = error.source().unwrap();
/// assert_eq!(format!("{error:?}"), format!("Unreachable: {error}: {cause}"));
/// ```
///
/// No error contains a byte of a private key or of a session's id, nor a password: the explanation
/// of a bridge is cut at any place that could be one.
///
/// # Refusals
///
/// If the reason may pass, retry after a pause: a peer may come online, a router may release a key.
/// "Dial" means dialling a peer or looking one up.
///
/// | the bridge's result | request | [peer's fault](Error::is_peer_fault) | [may pass](Error::is_retryable) | [kind](Error::kind) |
/// |---|---|---|---|---|
/// | `CANT_REACH_PEER`, "connect to myself" (i2pd) | dial | yes | no | `HostUnreachable` |
/// | `CANT_REACH_PEER`, `PEER_NOT_FOUND`, `LEASESET_NOT_FOUND` | anything | dial | yes | `HostUnreachable` |
/// | `KEY_NOT_FOUND`, `INVALID_KEY` | dial of a `.b32.i2p` address | yes | yes | `HostUnreachable` |
/// | `KEY_NOT_FOUND` | dial of a full destination | yes | yes | `HostUnreachable` |
/// | `CONNECTION_REFUSED` | anything | dial | yes | `ConnectionRefused` |
/// | `TIMEOUT` | anything | dial | yes | `TimedOut` |
/// | `KEY_NOT_FOUND`, `INVALID_KEY` | dial of a name | yes | no | `NotFound` |
/// | `KEY_NOT_FOUND` | anything else | dial | no | `NotFound` |
/// | `INVALID_KEY` | anything else | dial | no | `InvalidInput` |
/// | `DUPLICATED_DEST`, `DUPLICATED_ID` | anything | no | yes | `AddrInUse` |
/// | `I2P_ERROR` | a version | no | no | `PermissionDenied` |
/// | `I2P_ERROR`, "duplicate destination" or "already defined" (Java I2P) | anything else | no | yes | `AddrInUse` |
/// | `INVALID_ID` | anything | no | no | `NotFound` |
/// | `NOVERSION` | a version | no | no | `Unsupported` |
/// | `I2P_ERROR`, `ALREADY_ACCEPTING`, others | anything | no | no | `Other` |
///
/// A router finds a `.b32.i2p` address as soon as its owner is online, so "not found" may pass. A
/// router finds a name if its address book contains it. The address book changes only if a
/// subscription or the user adds a name, so a program does not wait for that.
///
/// # Errors of other kinds
///
/// As an [`io::Error`] (by `?` or `into`) the error stays inside and has this kind:
///
/// | [`io::ErrorKind`] | if | [may pass](Error::is_retryable) |
/// |---|---|---|
/// | `TimedOut` | a deadline expired | yes |
/// | `WouldBlock` | a non-blocking call found nothing | yes |
/// | `UnexpectedEof` | the bridge closed the connection | yes |
/// | the kind of the system's error | no bridge could be reached | yes |
/// | `ConnectionRefused` | nothing listens at the bridge's UDP address | yes |
/// | `Other` | a limit of descriptors or threads was reached | yes |
/// | the kind of the system's error | the system refused something else | no |
/// | `NotConnected` | the session is lost or closed | no |
/// | `ConnectionAborted` | the router no longer forwards | no |
/// | `AddrInUse` | another use of the session excludes this | no |
/// | `Unsupported` | the router cannot do it | no |
/// | `InvalidInput` | an address, key, name, value or size was refused before it was sent; a buffer is too small; a key file is no regular file | no |
/// | `PermissionDenied` | a key file is open to other users, or belongs to another user | no |
/// | `AlreadyExists` | a key file contains another key | no |
/// | `InvalidData` | the bridge broke the protocol, or a key file contains no usable key | no |
/// | `Other` | the call was cancelled | no |
///
/// A cancelled call never has the kind `Interrupted`: std's helpers would repeat it.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No SAM bridge could be reached. A router must run with SAM switched on.
    #[error(
        "no SAM bridge answers at {address}. An I2P router must run there with SAM \
         switched on: in Java I2P, start the SAM application bridge on the console's page of \
         clients (http://127.0.0.1:7657/configclients); in i2pd, set `enabled = true` under \
         `[sam]` in i2pd.conf and restart it"
    )]
    Unreachable {
        /// The address that was tried; for several bridges all addresses, separated by commas.
        address: Box<str>,
        /// The system's error.
        source: io::Error,
    },
    /// Nothing listens at the bridge's UDP address. The datagram sent before this call is lost, and
    /// the datagram of this call was not sent.
    ///
    /// The address is that of [`udp_address`](crate::SamBridgeBuilder::udp_address) or
    /// `I2P_SAM_UDP_ADDRESS`. Java I2P and emissary listen on UDP port 7655; i2pd listens on its
    /// TCP port minus one, unless its `sam.portudp` sets another port or is off. A firewall, and a
    /// bridge on another machine, may not report a closed port. Windows may report it later or never.
    #[error(
        "nothing listens at the bridge's UDP address {address}: set `udp_address` or \
         I2P_SAM_UDP_ADDRESS to the UDP port of the bridge, which in i2pd is its TCP port minus one"
    )]
    UdpClosed {
        /// The UDP address to which datagrams were sent.
        address: Box<str>,
        /// The error that the system reported.
        source: io::Error,
    },
    /// A deadline expired.
    #[error("{} took longer than {after:?}", Activity(*phase, peer.as_deref()))]
    Timeout {
        /// The phase that took too long.
        phase: Phase,
        /// The time allowed for it.
        after: Duration,
        /// The peer that was dialled or looked up, in the short form of [`I2pAddr`].
        peer: Option<Box<str>>,
    },
    /// A [`Cancel`](crate::Cancel) handle ended the call.
    #[error("{phase} was cancelled")]
    Cancelled {
        /// The phase that was cancelled.
        phase: Phase,
    },
    /// A non-blocking call found nothing: no peer dialled, no datagram arrived.
    #[error("nothing is waiting")]
    WouldBlock,
    /// A datagram is empty, or larger than its kind allows. Nothing was sent.
    #[error("a datagram of {size} bytes cannot be sent: the limits are 1 and {max} bytes")]
    DatagramSize {
        /// The number of bytes given.
        size: usize,
        /// The most bytes that one datagram can hold.
        max: usize,
    },
    /// A datagram is larger than the buffer. It was discarded, or, if it was only peeked at,
    /// remains.
    #[error("a datagram of {needed} bytes does not fit into a buffer of {given}")]
    BufferTooSmall {
        /// The number of bytes in the datagram.
        needed: usize,
        /// The number of bytes in the buffer.
        given: usize,
    },
    /// The bridge refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The session is gone, and so is everything made from it. Make a new one.
    #[error("the session is gone: {0}")]
    SessionLost(SessionLoss),
    /// A [`HealingSession`](crate::HealingSession) ended for good; the source is the reason.
    #[error("the session is gone and will not be made again")]
    GaveUp(#[source] Arc<Self>),
    /// The router no longer forwards, although the session may live: forward again.
    #[error("the router no longer forwards: {0}")]
    ForwardLost(SessionLoss),
    /// The bridge closed the connection in the middle of an exchange. i2pd and emissary do so
    /// instead of replying to a command that they refuse.
    #[error("the bridge closed the connection during {phase}")]
    UnexpectedEof {
        /// The phase that was interrupted.
        phase: Phase,
    },
    /// The bridge replied with something that is not SAM.
    #[error("{}", BrokenProtocol(*phase))]
    Protocol {
        /// The phase that was interrupted.
        phase: Phase,
        /// The fault in the reply.
        source: ParseError,
    },
    /// The bridge replied to a lookup with the destination of another service than the requested
    /// one. Do not trust the bridge.
    #[error(
        "the bridge answered the lookup of {asked} with the destination of {answered}: \
         do not trust this bridge"
    )]
    WrongDestination {
        /// The service that was looked up: a `.b32.i2p` address or a full destination.
        asked: Box<Host>,
        /// The address of the destination in the reply.
        answered: B32,
    },
    /// The bridge uses a version that was not offered, and
    /// [`strict_versions`](crate::SamBridgeBuilder::strict_versions) is set.
    #[error("the bridge uses SAM {offered}, which this client did not offer")]
    Version {
        /// The version that the bridge uses.
        offered: Version,
    },
    /// A setting cannot be used. Nothing was sent.
    #[error(transparent)]
    InvalidConfig(#[from] ConfigError),
    /// Another use of the session, present or past, excludes this. Nothing was sent.
    #[error("{0}")]
    Conflict(&'static str),
    /// The router cannot do this, and would end the session on such a request. Nothing was sent.
    #[error("{0}")]
    Unsupported(&'static str),
    /// A field cannot be sent to a bridge. Nothing was sent.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The text is not an I2P address. Nothing was sent.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The bytes or the text are not a private key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key file could not be read or written.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The system refused something: a socket, a thread. If a limit of the system was reached,
    /// `Display` names the limit and the remedy.
    #[error("{phase} failed{}", Advice(source))]
    Io {
        /// The phase that failed.
        phase: Phase,
        /// The system's error.
        source: io::Error,
    },
}

impl Error {
    /// Returns the phase of the call, if the error comes from a wait.
    #[must_use]
    pub fn phase(&self) -> Option<Phase> {
        match self {
            Self::Unreachable { .. } => Some(Phase::Connect),
            Self::Refused(refusal) => Some(refusal.phase()),
            Self::Timeout { phase, .. }
            | Self::Cancelled { phase }
            | Self::UnexpectedEof { phase }
            | Self::Protocol { phase, .. }
            | Self::Io { phase, .. } => Some(*phase),
            Self::WrongDestination { .. } => Some(Phase::Lookup),
            Self::Version { .. } => Some(Phase::Hello),
            Self::UdpClosed { .. } => Some(Phase::Send),
            _ => None,
        }
    }

    /// Returns the peer that was dialled or looked up, if the bridge refused or took too long: a
    /// name or a `.b32.i2p` address, with the port that was given.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.peer(),
            Self::Timeout { peer, .. } => peer.as_deref(),
            _ => None,
        }
    }

    /// Returns true if the session of this call is gone. Another call on it fails as well.
    #[must_use]
    pub fn is_session_lost(&self) -> bool {
        matches!(self, Self::SessionLost(_) | Self::GaveUp(_))
    }

    /// Returns true if every later call of [`accept`](crate::SamListener::accept) on the same listener fails
    /// as well: the session or the forwarding is lost, another listener has the accepts, or the handle has
    /// fired. After any other error of an accept, a server calls it again.
    ///
    /// ```
    /// use i2p_sam::{Error, SamListener, SamStream};
    ///
    /// fn serve(listener: &SamListener, handle: impl Fn(SamStream)) -> Error {
    ///     loop {
    ///         match listener.accept() {
    ///             Ok((stream, _)) => handle(stream),
    ///             Err(error) if error.is_final() => return error,
    ///             // The library pauses before it tries again.
    ///             Err(_) => {}
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::SessionLost(_)
            | Self::GaveUp(_)
            | Self::ForwardLost(_)
            | Self::Cancelled { .. } => true,
            Self::Refused(refusal) => *refusal.code() == ResultCode::AlreadyAccepting,
            _ => false,
        }
    }

    /// Returns true if a deadline expired.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Returns true if the peer, or its address, is the reason: the bridge and the session still
    /// work. See [the table](Error#refusals).
    #[must_use]
    pub fn is_peer_fault(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.is_peer_fault(),
            Self::Timeout { phase, .. } => *phase == Phase::StreamConnect,
            _ => false,
        }
    }

    /// Returns true if the same call may succeed if it is repeated after a pause, on the same
    /// session. See [the tables](Error#refusals).
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::UdpClosed { .. }
            | Self::Timeout { .. }
            | Self::WouldBlock
            | Self::UnexpectedEof { .. } => true,
            Self::Io { source, .. } => Limit::of(source).is_some(),
            Self::Refused(refusal) => refusal.is_retryable(),
            _ => false,
        }
    }

    /// Returns the [`io::ErrorKind`] of this error, as in [the tables](Error#refusals).
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Io { source, .. } if Limit::of(source).is_some() => io::ErrorKind::Other,
            Self::Unreachable { source, .. } | Self::Io { source, .. } => source.kind(),
            Self::UdpClosed { .. } => io::ErrorKind::ConnectionRefused,
            Self::Timeout { .. } => io::ErrorKind::TimedOut,
            Self::WouldBlock => io::ErrorKind::WouldBlock,
            Self::Refused(refusal) => refusal.kind(),
            Self::SessionLost(_) | Self::GaveUp(_) => io::ErrorKind::NotConnected,
            Self::ForwardLost(_) => io::ErrorKind::ConnectionAborted,
            Self::Conflict(_) => io::ErrorKind::AddrInUse,
            Self::Unsupported(_) => io::ErrorKind::Unsupported,
            Self::UnexpectedEof { .. } => io::ErrorKind::UnexpectedEof,
            Self::Protocol { .. } | Self::WrongDestination { .. } | Self::Version { .. } => {
                io::ErrorKind::InvalidData
            }
            Self::InvalidConfig(_)
            | Self::Command(_)
            | Self::Address(_)
            | Self::Key(_)
            | Self::DatagramSize { .. }
            | Self::BufferTooSmall { .. } => io::ErrorKind::InvalidInput,
            Self::KeyFile(error) => error.kind(),
            Self::Cancelled { .. } => io::ErrorKind::Other,
        }
    }

    /// Makes the system's error one of this phase.
    pub(crate) fn io(phase: Phase) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { phase, source }
    }

    pub(crate) fn protocol(phase: Phase, source: ParseError) -> Self {
        Self::Protocol { phase, source }
    }

    pub(crate) fn setting(
        setting: &'static str,
        value: impl fmt::Display,
        reason: &'static str,
    ) -> Self {
        Self::InvalidConfig(ConfigError::new(setting, value, reason))
    }

    /// Adds the peer, if a peer was dialled or looked up and the bridge refused or was late.
    pub(crate) fn about(self, peer: &I2pAddr) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.about(peer)),
            Self::Timeout { phase, after, .. } if phase.has_peer() => Self::Timeout {
                phase,
                after,
                peer: Some(peer.to_string().into()),
            },
            error => error,
        }
    }
}

impl From<SessionLoss> for Error {
    fn from(loss: SessionLoss) -> Self {
        Self::SessionLost(loss)
    }
}

/// Keeps the error inside, so that `io::Error::downcast` returns it.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}

/// The reason why a session is gone. Everything made from it ended with it.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use i2p_sam::SessionLoss;
/// use i2p_sam::testing::TestBridge;
///
/// let router = TestBridge::start()?;
/// let session = router.bridge().session().stream()?;
/// assert_eq!(session.loss(), None);
/// session.close();
/// assert_eq!(session.loss(), Some(SessionLoss::Closed));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionLoss {
    /// This program closed it.
    #[error("it was closed")]
    Closed,
    /// The bridge closed the connection: its router stopped, or the bridge was restarted.
    #[error("the bridge closed the connection")]
    Disconnected,
    /// The connection to the bridge broke.
    #[error("the connection to the bridge broke: {0}")]
    Io(io::ErrorKind),
    /// The bridge gave the reason: `PONG timeout`, `Session is closed`, `INVALID_ID`.
    #[error("{0}")]
    Refused(Refusal),
    /// A heartbeat was not answered in time: the bridge's machine is gone or asleep.
    #[error("the bridge did not answer a heartbeat within {0:?}")]
    HeartbeatTimeout(Duration),
    /// The bridge sent a line without an end, or accepts nothing that this client sends.
    #[error("the bridge no longer follows the SAM protocol")]
    ProtocolViolation,
}

/// The remedy for a limit of the system, if that was the reason.
struct Advice<'a>(&'a io::Error);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Limit::of(self.0) {
            Some(limit) => write!(f, ": {}", limit.advice()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::error::Error as _;
    use std::path::PathBuf;

    use super::*;
    use crate::wire::{Message, ParseErrorKind};
    use crate::{ServiceRecordError, TunnelError};

    fn refusal(phase: Phase, line: &str) -> Refusal {
        let message = Message::parse(line.as_bytes()).unwrap();
        Refusal::new(phase, message.result().unwrap(), &message)
    }

    #[test]
    fn error_after_which_no_accept_succeeds_is_final() {
        let accepting = "STREAM STATUS RESULT=ALREADY_ACCEPTING";
        let again = "STREAM STATUS RESULT=I2P_ERROR";
        let phase = Phase::Accept;
        for (error, is_final) in [
            (Error::SessionLost(SessionLoss::Closed), true),
            (Error::ForwardLost(SessionLoss::Disconnected), true),
            (Error::Cancelled { phase }, true),
            (refusal(phase, accepting).into(), true),
            (refusal(phase, again).into(), false),
            (Error::UnexpectedEof { phase }, false),
            (Error::WouldBlock, false),
        ] {
            assert_eq!(error.is_final(), is_final, "{error}");
        }
    }

    fn io_error() -> io::Error {
        io::Error::from_raw_os_error(13)
    }

    /// At least one of each variant.
    fn one_of_each() -> Vec<Error> {
        let phase = Phase::StreamConnect;
        let refused = refusal(phase, "STREAM STATUS RESULT=TIMEOUT MESSAGE=why");
        let losses = [
            SessionLoss::Closed,
            SessionLoss::Disconnected,
            SessionLoss::Io(io::ErrorKind::BrokenPipe),
            SessionLoss::Refused(refused.clone()),
            SessionLoss::HeartbeatTimeout(Duration::from_secs(1)),
            SessionLoss::ProtocolViolation,
        ];
        let source = ParseError::new(ParseErrorKind::Value, 3);
        let mut errors = vec![
            Error::Unreachable {
                address: "a:1".into(),
                source: io_error(),
            },
            Error::Timeout {
                phase,
                after: Duration::from_secs(1),
                peer: None,
            },
            Error::Cancelled { phase },
            Error::WouldBlock,
            Error::DatagramSize { size: 0, max: 1 },
            Error::BufferTooSmall {
                needed: 2,
                given: 1,
            },
            Error::Refused(refused),
            Error::GaveUp(Arc::new(Error::Io {
                phase,
                source: io_error(),
            })),
            Error::UnexpectedEof { phase },
            Error::Protocol { phase, source },
            Error::Version {
                offered: Version::V3_1,
            },
            Error::UdpClosed {
                address: "127.0.0.1:7655".into(),
                source: io_error(),
            },
            Error::WrongDestination {
                asked: Box::new(Host::B32(B32::from_hash([1; 32]))),
                answered: B32::from_hash([2; 32]),
            },
            Error::setting("address", "x", "why"),
            Error::Conflict("it accepts"),
            Error::Unsupported("it cannot"),
            crate::wire::Command::ping("\n").unwrap_err().into(),
            AddressError::InvalidCertificate.into(),
            KeyError::Destination(AddressError::InvalidCertificate).into(),
            KeyFileError::Io {
                action: "open",
                path: PathBuf::from("a"),
                reason: io_error(),
            }
            .into(),
            KeyFileError::Invalid {
                path: PathBuf::from("a"),
                reason: KeyError::PublicOnly,
            }
            .into(),
            Error::Io {
                phase,
                source: io_error(),
            },
            Error::Io {
                phase,
                source: io::Error::from_raw_os_error(24),
            },
        ];
        errors.extend(losses.iter().cloned().map(Error::SessionLost));
        errors.extend(losses.iter().cloned().map(Error::ForwardLost));
        errors
    }

    /// Returns the index of the variant. The compiler requires it for a new variant, and a test
    /// requires an error of that variant.
    fn place(error: &Error) -> usize {
        match error {
            Error::Unreachable { .. } => 0,
            Error::Timeout { .. } => 1,
            Error::Cancelled { .. } => 2,
            Error::WouldBlock => 3,
            Error::DatagramSize { .. } => 4,
            Error::BufferTooSmall { .. } => 5,
            Error::Refused(_) => 6,
            Error::SessionLost(_) => 7,
            Error::GaveUp(_) => 8,
            Error::ForwardLost(_) => 9,
            Error::UnexpectedEof { .. } => 10,
            Error::Protocol { .. } => 11,
            Error::Version { .. } => 12,
            Error::InvalidConfig(_) => 13,
            Error::Conflict(_) => 14,
            Error::Unsupported(_) => 15,
            Error::Command(_) => 16,
            Error::Address(_) => 17,
            Error::Key(_) => 18,
            Error::KeyFile(_) => 19,
            Error::WrongDestination { .. } => 20,
            Error::UdpClosed { .. } => 21,
            Error::Io { .. } => LAST,
        }
    }

    /// The index of the last variant.
    const LAST: usize = 22;

    #[test]
    fn every_variant_is_covered() {
        let places: BTreeSet<_> = one_of_each().iter().map(place).collect();
        assert!(places.into_iter().eq(0..=LAST));
    }

    /// No parent may repeat the text of its source.
    fn check_chain(error: &(dyn std::error::Error + 'static)) {
        let mut parents = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            for parent in &parents {
                assert!(!parent.contains(&text), "{parent:?} repeats {text:?}");
            }
            parents.push(text);
            source = cause.source();
        }
    }

    #[test]
    fn no_error_repeats_its_source() {
        for error in one_of_each() {
            check_chain(&error);
            check_chain(&io::Error::from(error));
        }
        for error in one_of_each() {
            check_chain(&TunnelError::Peer(Arc::new(error)));
        }
        for error in one_of_each() {
            check_chain(&TunnelError::Accept(Arc::new(error)));
        }
        check_chain(&TunnelError::Service(Arc::new(io_error())));
        check_chain(&TunnelError::Broken(Arc::new(io_error())));
        check_chain(&TunnelError::Idle(Duration::from_secs(1)));
        check_chain(&ServiceRecordError::Target(
            AddressError::InvalidCertificate,
        ));
    }

    #[test]
    fn source_chain_ends_in_system_error() {
        let deepest = |error: Error| {
            let error: io::Error = error.into();
            let mut last = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                last = cause.to_string();
                source = cause.source();
            }
            last
        };
        let phase = Phase::Connect;
        let io = || Error::Io {
            phase,
            source: io_error(),
        };
        let unreachable = Error::Unreachable {
            address: "a:1".into(),
            source: io_error(),
        };
        for error in [unreachable, io(), Error::GaveUp(Arc::new(io()))] {
            assert_eq!(deepest(error), io_error().to_string());
        }
    }

    #[test]
    fn error_round_trips_through_io_error() {
        let wrapped = io::Error::from(Error::SessionLost(SessionLoss::Closed));
        assert_eq!(wrapped.kind(), io::ErrorKind::NotConnected);
        let error = wrapped.downcast::<Error>().unwrap();
        assert!(matches!(error, Error::SessionLost(SessionLoss::Closed)));
    }

    #[test]
    fn io_error_kind_matches_table() {
        for error in one_of_each() {
            let kind = error.kind();
            assert_eq!(io::Error::from(error).kind(), kind);
        }
    }

    #[test]
    fn cancelled_call_is_not_interrupted() {
        let error = Error::Cancelled {
            phase: Phase::Accept,
        };
        assert_eq!(error.kind(), io::ErrorKind::Other);
    }

    #[test]
    #[cfg(unix)]
    fn descriptor_limit_names_remedy_and_is_temporary() {
        for (code, remedy) in [(24, "ulimit -n"), (23, "fs.file-max")] {
            let error = Error::Io {
                phase: Phase::Connect,
                source: io::Error::from_raw_os_error(code),
            };
            assert!(error.to_string().contains(remedy), "{error}");
            assert!(error.is_retryable());
            assert_eq!(error.kind(), io::ErrorKind::Other);
        }
    }

    #[test]
    fn failed_thread_start_is_not_would_block() {
        let error = Error::Io {
            phase: Phase::Connect,
            source: io::ErrorKind::WouldBlock.into(),
        };
        assert_eq!(error.kind(), io::ErrorKind::Other);
        assert!(error.to_string().contains("ulimit -u"), "{error}");
    }

    #[test]
    fn timed_out_dial_names_peer() {
        let late = |phase| Error::Timeout {
            phase,
            after: Duration::from_secs(180),
            peer: None,
        };
        let peer = "peer.i2p:80".parse().unwrap();
        let error = late(Phase::StreamConnect).about(&peer);
        assert_eq!(
            error.to_string(),
            "dialling peer.i2p:80 took longer than 180s"
        );
        assert_eq!(error.peer(), Some("peer.i2p:80"));
        assert_eq!(late(Phase::Hello).about(&peer).peer(), None);
    }

    #[test]
    fn error_size_is_bounded() {
        assert!(size_of::<Error>() <= 80, "{}", size_of::<Error>());
    }

    #[test]
    fn closed_port_error_explains_enabling_sam() {
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
