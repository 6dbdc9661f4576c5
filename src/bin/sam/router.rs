//! The router behind a bridge, recognized by its behaviour: no command of SAM names it.

use i2p_sam::{Error, ResultCode, SamBridge, Version};

/// No address book contains this name. The routers differ in how they refuse it.
const UNKNOWN_NAME: &str = "no-such-name.sam-doctor.i2p";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Router {
    Java,
    I2pd,
    OldI2pd,
    Emissary,
    Unknown,
}

impl Router {
    /// Recognizes the router by one lookup, which no other router learns of.
    pub(crate) fn recognize(bridge: &SamBridge, version: Version) -> Result<Self, Error> {
        // Emissary replies 3.2 to every range of versions, and is the only one that does.
        if version == Version::V3_2 {
            return Ok(Self::Emissary);
        }
        match bridge.lookup(UNKNOWN_NAME) {
            Ok(_) => Ok(Self::Unknown),
            Err(Error::Refused(refusal)) => Ok(Self::by_refusal(refusal.code(), version)),
            Err(error) => Err(error),
        }
    }

    fn by_refusal(code: &ResultCode, version: Version) -> Self {
        match code {
            ResultCode::InvalidKey if version == Version::V3_1 => Self::OldI2pd,
            ResultCode::InvalidKey => Self::I2pd,
            ResultCode::KeyNotFound => Self::Java,
            _ => Self::Unknown,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Java => "Java I2P",
            Self::I2pd => "i2pd",
            Self::OldI2pd => "i2pd 2.45 or another old version",
            Self::Emissary => "emissary",
            Self::Unknown => "an unknown router",
        }
    }

    /// Returns the reason for the guess.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Java => "it refuses an unknown name with KEY_NOT_FOUND",
            Self::I2pd | Self::OldI2pd => "it refuses an unknown name with INVALID_KEY",
            Self::Emissary => "it uses SAM 3.2, whatever it is offered",
            Self::Unknown => "it behaves like none that this program knows",
        }
    }
}
