use std::fmt;
use std::io::ErrorKind;

use crate::address::{Host, I2pAddr};
use crate::error::phase::{Activity, Phase};
use crate::wire::{Message, ResultCode, Secret, conceal, redact};

/// A bridge's refusal: the request, the result, and the bridge's explanation.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use i2p_sam::testing::TestBridge;
/// use i2p_sam::{Error, Phase, ResultCode};
///
/// let router = TestBridge::start()?;
/// let Err(Error::Refused(refusal)) = router.bridge().lookup("nobody.i2p") else {
///     panic!("nobody has this name");
/// };
/// assert_eq!(refusal.phase(), Phase::Lookup);
/// assert_eq!(refusal.code(), &ResultCode::KeyNotFound);
/// assert_eq!(refusal.peer(), Some("nobody.i2p"));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    phase: Phase,
    peer: Option<Peer>,
    code: ResultCode,
    explanation: Option<Box<str>>,
}

impl Refusal {
    pub(crate) fn new(phase: Phase, code: ResultCode, message: &Message<'_>) -> Self {
        Self {
            phase,
            peer: None,
            code,
            explanation: message.explanation().map(Into::into),
        }
    }

    /// Reads the refusal of a command that contained these secrets, which a bridge may repeat.
    pub(crate) fn concealing(
        phase: Phase,
        code: ResultCode,
        message: &Message<'_>,
        secrets: &[Secret],
    ) -> Self {
        let raw = |key| message.value(key).map(|value| value.unescape());
        let code = match (code, raw("RESULT")) {
            (ResultCode::Other(_), Some(word)) => ResultCode::concealing(&word, secrets),
            (code, _) => code,
        };
        Self {
            phase,
            peer: None,
            code,
            // Texts that could be a key are cut only now: cutting them first would hide the place
            // of a secret.
            explanation: raw("MESSAGE").map(|text| redact(&conceal(&text, secrets)).into()),
        }
    }

    /// Creates the refusal of a key that another session uses. Not every bridge refuses it.
    pub(crate) fn key_in_use(explanation: &str) -> Self {
        Self {
            phase: Phase::SessionCreate,
            peer: None,
            code: ResultCode::DuplicatedDest,
            explanation: Some(explanation.into()),
        }
    }

    /// Adds the peer, if a peer was dialled or looked up.
    pub(crate) fn about(mut self, peer: &I2pAddr) -> Self {
        self.peer = self.phase.has_peer().then(|| Peer::new(peer));
        self
    }

    /// Returns the phase of the request.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns the peer that was dialled or looked up, in the short form of [`I2pAddr`]: a name or
    /// a `.b32.i2p` address, with the port that was given.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        self.peer.as_ref().map(|peer| &*peer.text)
    }

    /// Returns the bridge's result.
    #[must_use]
    pub fn code(&self) -> &ResultCode {
        &self.code
    }

    /// Returns the bridge's explanation (`MESSAGE=`). Texts that could be a key are removed, and so
    /// are the user name and the password that the bridge received.
    #[must_use]
    pub fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// Returns true if the bridge does not have the session, in one of several forms.
    ///
    /// Java I2P replies with `I2P_ERROR` and "Session is closed" if its router is gone, and with
    /// `INVALID_ID` if another client took the id.
    pub(crate) fn means_session_lost(&self) -> bool {
        self.code == ResultCode::InvalidId || self.speaks_of_the_end()
    }

    /// Returns true if the bridge reports the end of the session, whatever the request was.
    pub(crate) fn speaks_of_the_end(&self) -> bool {
        self.code == ResultCode::I2pError
            && (self.says("session is closed") || self.says("pong timeout"))
    }

    /// Returns true if the bridge does not know the requested style, in Java I2P's wording or
    /// i2pd's.
    pub(crate) fn means_unknown_style(&self) -> bool {
        self.is_of_i2pd() || self.says("unrecognized session style")
    }

    /// Returns true if the router has not ended the last forwarding of the session yet, in Java
    /// I2P's wording.
    pub(crate) fn means_still_forwarding(&self) -> bool {
        self.phase == Phase::Forward && self.says("forwarding server is already defined")
    }

    /// Returns true if the reply is i2pd's and means that it does not know the style.
    pub(crate) fn is_of_i2pd(&self) -> bool {
        self.says("unknown style")
    }

    /// Returns true if the bridge refuses a key or an id that another session uses, or has just used.
    pub(crate) fn means_duplicate(&self) -> bool {
        match self.code {
            ResultCode::DuplicatedDest | ResultCode::DuplicatedId => true,
            ResultCode::I2pError => self.says("duplicate destination"),
            _ => false,
        }
    }

    fn says(&self, text: &str) -> bool {
        self.explanation()
            .is_some_and(|explanation| explanation.to_ascii_lowercase().contains(text))
    }

    pub(crate) fn is_peer_fault(&self) -> bool {
        self.classification().peer_fault
    }

    pub(crate) fn is_retryable(&self) -> bool {
        self.classification().may_pass
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.classification().kind
    }

    /// Returns the meaning of a result whose word leads astray: a name that is not found is an invalid key for i2pd.
    fn meaning(&self) -> Option<&'static str> {
        use ResultCode::*;

        match (&self.code, self.peer.as_ref()?.form) {
            (KeyNotFound | InvalidKey, Form::Name) => {
                Some("the router's address book has no such name")
            }
            (KeyNotFound | InvalidKey, Form::Hash) => {
                Some("nobody with this address is online now")
            }
            _ => None,
        }
    }

    /// Classifies the refusal as the table at [`Error`](crate::Error#refusals) does, line by line.
    fn classification(&self) -> Classification {
        use ResultCode::*;

        let form = self.peer.as_ref().map(|peer| peer.form);
        let of_peer = self.phase.has_peer();
        match (&self.code, form) {
            // i2pd's reply for the session's own destination.
            (CantReachPeer, _) if self.says("connect to myself") => {
                Classification::lasting(ErrorKind::HostUnreachable).of_peer(of_peer)
            }
            (CantReachPeer | PeerNotFound | LeaseSetNotFound, _)
            | (KeyNotFound | InvalidKey, Some(Form::Hash))
            | (KeyNotFound, Some(Form::Destination)) => {
                Classification::passing(ErrorKind::HostUnreachable).of_peer(of_peer)
            }
            (ConnectionRefused, _) => {
                Classification::passing(ErrorKind::ConnectionRefused).of_peer(of_peer)
            }
            (Timeout, _) => Classification::passing(ErrorKind::TimedOut).of_peer(of_peer),
            (KeyNotFound, _) | (InvalidKey, Some(Form::Name)) => {
                Classification::lasting(ErrorKind::NotFound).of_peer(of_peer)
            }
            (InvalidKey, _) => Classification::lasting(ErrorKind::InvalidInput).of_peer(of_peer),
            (I2pError, _) if self.phase == Phase::Hello => {
                Classification::lasting(ErrorKind::PermissionDenied)
            }
            // Routers keep the key and id of a closed session for a second or more.
            _ if self.means_duplicate() => Classification::passing(ErrorKind::AddrInUse),
            // Java I2P keeps a dropped forwarding for a moment.
            (I2pError, _) if self.says("already defined") => {
                Classification::passing(ErrorKind::AddrInUse)
            }
            (InvalidId, _) => Classification::lasting(ErrorKind::NotFound),
            (NoVersion, _) => Classification::lasting(ErrorKind::Unsupported),
            _ => Classification::lasting(ErrorKind::Other),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} was refused: {}",
            Activity(self.phase, self.peer()),
            self.code
        )?;
        if let Some(explanation) = self.explanation() {
            write!(f, " ({explanation})")?;
        }
        match self.meaning() {
            Some(meaning) => write!(f, ": {meaning}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

/// The peer that was dialled or looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Peer {
    text: Box<str>,
    form: Form,
}

impl Peer {
    fn new(peer: &I2pAddr) -> Self {
        Self {
            text: peer.to_string().into(),
            form: match peer.host() {
                Host::Name(_) => Form::Name,
                Host::B32(_) | Host::B33(_) => Form::Hash,
                Host::Destination(_) => Form::Destination,
            },
        }
    }
}

/// The form in which a peer was named. It decides whether "not found" may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A name. An address book contains it, or does not until somebody adds it.
    Name,
    /// A `.b32.i2p` address, which is found while its owner is online.
    Hash,
    /// A full destination.
    Destination,
}

/// One line of the table at [`Error`](crate::Error#refusals).
struct Classification {
    peer_fault: bool,
    may_pass: bool,
    kind: ErrorKind,
}

impl Classification {
    fn passing(kind: ErrorKind) -> Self {
        Self {
            peer_fault: false,
            may_pass: true,
            kind,
        }
    }

    fn lasting(kind: ErrorKind) -> Self {
        Self {
            may_pass: false,
            ..Self::passing(kind)
        }
    }

    fn of_peer(self, peer_fault: bool) -> Self {
        Self { peer_fault, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 8] = [
        Phase::Hello,
        Phase::Command,
        Phase::Lookup,
        Phase::SessionCreate,
        Phase::SessionAdd,
        Phase::StreamConnect,
        Phase::Accept,
        Phase::Forward,
    ];

    fn refusal(phase: Phase, reply: &str) -> Refusal {
        let line = format!("STREAM STATUS {reply}");
        let message = Message::parse(line.as_bytes()).unwrap();
        Refusal::new(phase, message.result().unwrap(), &message)
    }

    fn destination() -> I2pAddr {
        crate::Destination::from_bytes(&[0; 387]).unwrap().into()
    }

    /// Returns the four ways to name a peer; the last is no name.
    fn peers() -> [(&'static str, Option<I2pAddr>); 4] {
        let hash = destination().b32().unwrap();
        [
            ("name", Some("peer.i2p".parse().unwrap())),
            ("hash", Some(hash.into())),
            ("destination", Some(destination())),
            ("none", None),
        ]
    }

    #[test]
    fn peer_refusals_are_classified_by_code_and_name() {
        use ErrorKind::{ConnectionRefused, HostUnreachable, InvalidInput, NotFound, TimedOut};

        let all = "name hash destination none";
        for (code, named, may_pass, kind) in [
            ("CANT_REACH_PEER", all, true, HostUnreachable),
            ("PEER_NOT_FOUND", all, true, HostUnreachable),
            ("LEASESET_NOT_FOUND", all, true, HostUnreachable),
            ("CONNECTION_REFUSED", all, true, ConnectionRefused),
            ("TIMEOUT", all, true, TimedOut),
            ("KEY_NOT_FOUND", "hash destination", true, HostUnreachable),
            ("KEY_NOT_FOUND", "name none", false, NotFound),
            ("INVALID_KEY", "hash", true, HostUnreachable),
            ("INVALID_KEY", "name", false, NotFound),
            ("INVALID_KEY", "destination none", false, InvalidInput),
        ] {
            for phase in [Phase::Lookup, Phase::StreamConnect] {
                for (form, peer) in peers().iter().filter(|(form, _)| named.contains(form)) {
                    let bare = refusal(phase, &format!("RESULT={code}"));
                    let refusal = match peer {
                        Some(peer) => bare.about(peer),
                        None => bare,
                    };
                    let found = (
                        refusal.is_peer_fault(),
                        refusal.is_retryable(),
                        refusal.kind(),
                    );
                    assert_eq!(found, (true, may_pass, kind), "{code}, {phase:?}, {form}");
                }
            }
        }
    }

    #[test]
    fn other_refusals_are_classified_by_code() {
        use ErrorKind::{AddrInUse, InvalidInput, NotFound, Other, PermissionDenied, Unsupported};

        for (reply, may_pass, kind) in [
            ("RESULT=DUPLICATED_DEST", true, AddrInUse),
            ("RESULT=DUPLICATE_ID", true, AddrInUse),
            (
                "RESULT=I2P_ERROR MESSAGE=\"duplicate destination\"",
                true,
                AddrInUse,
            ),
            (
                "RESULT=I2P_ERROR MESSAGE=\"is already defined\"",
                true,
                AddrInUse,
            ),
            ("RESULT=INVALID_ID", false, NotFound),
            ("RESULT=NOVERSION", false, Unsupported),
            ("RESULT=I2P_ERROR", false, Other),
            ("RESULT=ALREADY_ACCEPTING", false, Other),
            ("RESULT=SOMETHING_NEW", false, Other),
            ("RESULT=INVALID_KEY", false, InvalidInput),
            ("RESULT=KEY_NOT_FOUND", false, NotFound),
        ] {
            for phase in PHASES {
                if phase.has_peer() && reply.contains("KEY") {
                    continue;
                }
                let refusal = refusal(phase, reply);
                let found = (
                    refusal.is_peer_fault(),
                    refusal.is_retryable(),
                    refusal.kind(),
                );
                let login = phase == Phase::Hello && reply.contains("I2P_ERROR");
                let expected = match login {
                    true => (false, false, PermissionDenied),
                    false => (false, may_pass, kind),
                };
                assert_eq!(found, expected, "{reply}, {phase:?}");
            }
        }
    }

    #[test]
    fn unreachable_without_peer_is_no_peer_fault() {
        for phase in PHASES.iter().filter(|phase| !phase.has_peer()) {
            assert!(!refusal(*phase, "RESULT=CANT_REACH_PEER").is_peer_fault());
        }
    }

    #[test]
    fn own_destination_is_permanently_unreachable_on_i2pd() {
        let reply = "RESULT=CANT_REACH_PEER MESSAGE=\"Can't connect to myself\"";
        let refusal = refusal(Phase::StreamConnect, reply).about(&destination());
        assert!(refusal.is_peer_fault() && !refusal.is_retryable());
    }

    #[test]
    fn refused_dial_names_peer_briefly() {
        let b32 = destination().b32().unwrap();
        for (peer, shown) in [
            ("peer.i2p:80".parse().unwrap(), "peer.i2p:80"),
            (destination().with_port(80), &*format!("{b32}:80")),
        ] {
            let refusal = refusal(Phase::StreamConnect, "RESULT=TIMEOUT").about(&peer);
            assert_eq!(refusal.peer(), Some(shown));
            assert_eq!(
                refusal.to_string(),
                format!("dialling {shown} was refused: TIMEOUT")
            );
        }
    }

    #[test]
    fn peer_that_is_not_found_is_explained() {
        let name: I2pAddr = "peer.i2p".parse().unwrap();
        let hash: I2pAddr = destination().b32().unwrap().into();
        for (peer, meaning) in [
            (name, "the router's address book has no such name"),
            (hash, "nobody with this address is online now"),
        ] {
            for code in ["KEY_NOT_FOUND", "INVALID_KEY"] {
                let refusal = refusal(Phase::StreamConnect, &format!("RESULT={code}"));
                let shown = refusal.about(&peer).to_string();
                assert!(shown.ends_with(&format!("{code}: {meaning}")), "{shown}");
            }
        }
    }

    #[test]
    fn lost_session_refusals_are_recognised() {
        for (reply, lost) in [
            ("RESULT=INVALID_ID", true),
            ("RESULT=I2P_ERROR MESSAGE=\"Session is closed\"", true),
            ("RESULT=I2P_ERROR MESSAGE=\"PONG timeout\"", true),
            ("RESULT=I2P_ERROR", false),
            (
                "RESULT=CANT_REACH_PEER MESSAGE=\"Session is closed\"",
                false,
            ),
        ] {
            let refusal = refusal(Phase::StreamConnect, reply);
            assert_eq!(refusal.means_session_lost(), lost, "{reply}");
        }
    }

    #[test]
    fn secret_echoed_as_result_is_omitted() {
        let secrets = [Secret::password("hunter2")];
        let message = Message::parse(b"HELLO REPLY RESULT=no-hunter2 MESSAGE=hunter2").unwrap();
        let code = message.result().unwrap();
        let shown = format!(
            "{:?}",
            Refusal::concealing(Phase::Hello, code, &message, &secrets)
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
