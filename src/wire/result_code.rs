use std::fmt;

use crate::wire::secret::{Secret, conceal, redact};

/// The value of `RESULT` in a bridge's reply.
///
/// Unknown results are kept as they arrived.
///
/// ```
/// use i2p_sam::ResultCode;
/// use i2p_sam::wire::Message;
///
/// let reply = Message::parse(b"SESSION STATUS RESULT=DUPLICATE_DEST")?;
/// // emissary's spelling.
/// assert_eq!(reply.result(), Some(ResultCode::DuplicatedDest));
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResultCode {
    /// `OK`
    Ok,
    /// `ALREADY_ACCEPTING`: the session already accepts in another way.
    AlreadyAccepting,
    /// `CANT_REACH_PEER`: the peer exists, or may, but could not be reached.
    CantReachPeer,
    /// `CONNECTION_REFUSED`: the peer refuses the connection.
    ConnectionRefused,
    /// `DUPLICATED_DEST`, or `DUPLICATE_DEST` (emissary): the key is in use.
    DuplicatedDest,
    /// `DUPLICATED_ID`, or `DUPLICATE_ID` (emissary): the session id is in use.
    DuplicatedId,
    /// `I2P_ERROR`: any error; the message may explain it.
    I2pError,
    /// `INVALID_ID`: the bridge has no such session.
    InvalidId,
    /// `INVALID_KEY`: not a key, or (i2pd) any address that cannot be found.
    InvalidKey,
    /// `KEY_NOT_FOUND`: the name is unknown, or the peer is not online.
    KeyNotFound,
    /// `LEASESET_NOT_FOUND`: the destination is not online, or not found.
    LeaseSetNotFound,
    /// `NOVERSION`: no common version.
    NoVersion,
    /// `PEER_NOT_FOUND`: the peer is not on the network.
    PeerNotFound,
    /// `TIMEOUT`: the router gave up.
    Timeout,
    /// Any other word. Parts that could be a key are cut out.
    Other(Box<str>),
}

impl ResultCode {
    pub(crate) fn from_wire(word: &str) -> Self {
        Self::concealing(word, &[])
    }

    /// Reads the word, and removes these secrets from an unknown one.
    pub(crate) fn concealing(word: &str, secrets: &[Secret]) -> Self {
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
            other => Self::Other(redact(&conceal(other, secrets)).into()),
        }
    }
}

/// Writes the word of the protocol.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_duplicate_are_known() {
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
    fn result_code_displays_received_word() {
        for word in ["OK", "CANT_REACH_PEER", "I2P_ERROR", "SOMETHING_NEW"] {
            assert_eq!(ResultCode::from_wire(word).to_string(), word);
        }
    }
}
