mod emissary;
mod facts;
mod i2pd;
mod java;

pub(super) use facts::*;

/// The router that a [`TestBridge`](super::TestBridge) behaves like.
///
/// The replies, their order, what closes a connection, the limits and the clocks were measured on these
/// routers. The differences that are left are listed in the [module](super#differences-from-routers).
///
/// ```
/// use i2p_sam::testing::{Profile, TestBridge};
///
/// for profile in Profile::ALL {
///     let router = TestBridge::builder().profile(profile).start()?;
///     let session = router.bridge().session().stream()?;
///     assert!(session.listener().is_ok(), "{profile:?}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Java I2P 2.8, the reference: SAM 3.3 with everything but DATAGRAM2 and DATAGRAM3. It sends `PING`.
    #[default]
    Java,
    /// i2pd 2.59: streams, datagrams of all four styles, primary sessions with subsessions for streams only.
    /// It sends no ports, and a session takes seconds.
    I2pd,
    /// i2pd 2.45, which Debian 12 has: SAM 3.1, without DATAGRAM2 and DATAGRAM3.
    I2pd245,
    /// emissary 0.4: SAM 3.2, the router of the embedded test network. It does not answer most of the
    /// commands that it refuses.
    Emissary,
}

impl Profile {
    /// All profiles, for a test that is to pass with each.
    pub const ALL: [Self; 4] = [Self::Java, Self::I2pd, Self::I2pd245, Self::Emissary];

    pub(super) fn facts(self) -> &'static Facts {
        match self {
            Self::Java => &java::FACTS,
            Self::I2pd => &i2pd::FACTS,
            Self::I2pd245 => &i2pd::FACTS_2_45,
            Self::Emissary => &emissary::FACTS,
        }
    }
}
