//! The common part of all types that dial.

use crate::address::I2pAddr;
use crate::error::Error;
use crate::session::ConnectOptions;
use crate::stream::SamStream;
use crate::sync::Cancel;

/// A type that dials peers. A client written for this trait works with any kind of session.
///
/// ```
/// use i2p_sam::{Connect, ConnectOptions, Error, I2pAddr, SamStream};
///
/// fn first_that_answers(dialler: &impl Connect, peers: &[I2pAddr]) -> Option<SamStream> {
///     let options = ConnectOptions::new();
///     peers.iter().find_map(|peer| dialler.connect_to(peer, &options).ok())
/// }
/// ```
pub trait Connect: Send + Sync {
    /// Dials a peer.
    ///
    /// # Errors
    ///
    /// Those of [`StreamSession::connect_with`](crate::StreamSession::connect_with).
    fn connect_to(&self, peer: &I2pAddr, options: &ConnectOptions) -> Result<SamStream, Error>;

    /// Returns the same dialler; its calls end when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    fn with_cancel(&self, cancel: &Cancel) -> Self
    where
        Self: Sized;
}

/// Implements the common methods of all types that dial, except `connect_with` and `with_cancel`. The
/// caller of the macro passes the documentation of `connect`.
macro_rules! dialler {
    ($(#[$connect:meta])* $dialler:ident) => {
        impl $dialler {
            $(#[$connect])*
            pub fn connect(
                &self,
                address: impl $crate::ToI2pAddr,
            ) -> Result<$crate::SamStream, $crate::Error> {
                self.connect_with(address, &$crate::ConnectOptions::new())
            }

            /// Dials a peer as [`connect`](Self::connect) does, with one deadline for the whole call.
            ///
            /// # Errors
            ///
            /// Those of [`connect`](Self::connect).
            pub fn connect_timeout(
                &self,
                address: impl $crate::ToI2pAddr,
                timeout: std::time::Duration,
            ) -> Result<$crate::SamStream, $crate::Error> {
                let options = $crate::ConnectOptions::new().timeout(Some(timeout));
                self.connect_with(address, &options)
            }
        }

        impl $crate::Connect for $dialler {
            fn connect_to(
                &self,
                peer: &$crate::I2pAddr,
                options: &$crate::ConnectOptions,
            ) -> Result<$crate::SamStream, $crate::Error> {
                self.connect_with(peer, options)
            }

            fn with_cancel(&self, cancel: &$crate::Cancel) -> Self {
                Self::with_cancel(self, cancel)
            }
        }
    };
}
pub(crate) use dialler;
