//! What listeners have in common, and what dials.

use std::iter::FusedIterator;
use std::time::Duration;

use crate::address::I2pAddr;
use crate::error::Error;
use crate::listener::SamListener;
use crate::session::ConnectOptions;
use crate::stream::SamStream;
use crate::sync::Cancel;

/// Gives the streams that peers dial: what a server is written against, whichever listener it is
/// run on.
///
/// ```
/// use std::io::Write;
/// use i2p_sam::Accept;
///
/// fn greet_one(listener: &impl Accept) -> std::io::Result<()> {
///     let (mut stream, peer) = listener.accept()?;
///     stream.write_all(format!("hello {}\n", peer.host()).as_bytes())?;
///     Ok(())
/// }
/// ```
pub trait Accept: Send + Sync {
    /// Waits for a peer, and says who it is.
    ///
    /// # Errors
    ///
    /// Those of the listener's own `accept`.
    fn accept(&self) -> Result<(SamStream, I2pAddr), Error>;

    /// Waits for a peer, not longer than `timeout`. A peer that comes later is not lost.
    ///
    /// # Errors
    ///
    /// Those of [`accept`](Accept::accept); [`Error::Timeout`] when nobody came.
    fn accept_timeout(&self, timeout: Duration) -> Result<(SamStream, I2pAddr), Error>;

    /// The streams that come in, for ever. It ends after it has said why nothing more can come.
    fn incoming(&self) -> Incoming<'_, Self>
    where
        Self: Sized,
    {
        Incoming::over(self)
    }

    /// Our own address: what peers dial.
    fn local_addr(&self) -> I2pAddr;

    /// Another handle to the same queue; its `accept` ends when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    fn with_cancel(&self, cancel: &Cancel) -> Self
    where
        Self: Sized;
}

/// Dials: what a client is written against, whatever keeps its session.
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

    /// The same dialler; its calls end when `cancel` fires.
    #[must_use = "the handle applies to what is returned, not to the original"]
    fn with_cancel(&self, cancel: &Cancel) -> Self
    where
        Self: Sized;
}

/// What every listener has, beside its `accept_until`, `with_cancel`, `local_addr` and `nonblocking`.
macro_rules! listener {
    ($listener:ident) => {
        impl $listener {
            /// Waits for a peer, and says who it is.
            ///
            /// # Errors
            ///
            /// As in the table above.
            pub fn accept(&self) -> Result<($crate::SamStream, $crate::I2pAddr), $crate::Error> {
                self.accept_until($crate::sync::Deadline::NEVER)
            }

            /// Waits for a peer, not longer than `timeout`. A peer that comes later is not lost.
            ///
            /// # Errors
            ///
            /// As in the table above; [`Error::Timeout`](crate::Error::Timeout) when nobody came.
            pub fn accept_timeout(
                &self,
                timeout: std::time::Duration,
            ) -> Result<($crate::SamStream, $crate::I2pAddr), $crate::Error> {
                self.accept_until($crate::sync::Deadline::after(Some(timeout)))
            }

            /// The streams that come in, for ever. It ends after it has said why nothing more can
            /// come.
            pub fn incoming(&self) -> $crate::Incoming<'_, Self> {
                $crate::Incoming::over(self)
            }

            /// Whether `accept` fails with [`Error::WouldBlock`](crate::Error::WouldBlock) rather than
            /// wait. Default: it waits. It holds for clones too.
            ///
            /// # Errors
            ///
            /// None; the type is that of `std`.
            pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
                let flag = self.nonblocking();
                flag.store(nonblocking, std::sync::atomic::Ordering::Relaxed);
                Ok(())
            }

            /// Another handle to the same queue.
            ///
            /// # Errors
            ///
            /// None; the type is that of `std`.
            pub fn try_clone(&self) -> std::io::Result<Self> {
                Ok(self.with_cancel(&self.cancel))
            }
        }

        impl $crate::Accept for $listener {
            fn accept(&self) -> Result<($crate::SamStream, $crate::I2pAddr), $crate::Error> {
                Self::accept(self)
            }

            fn accept_timeout(
                &self,
                timeout: std::time::Duration,
            ) -> Result<($crate::SamStream, $crate::I2pAddr), $crate::Error> {
                Self::accept_timeout(self, timeout)
            }

            fn local_addr(&self) -> $crate::I2pAddr {
                Self::local_addr(self)
            }

            fn with_cancel(&self, cancel: &$crate::Cancel) -> Self {
                Self::with_cancel(self, cancel)
            }
        }

        impl<'a> IntoIterator for &'a $listener {
            type Item = Result<$crate::SamStream, $crate::Error>;
            type IntoIter = $crate::Incoming<'a, $listener>;

            fn into_iter(self) -> Self::IntoIter {
                self.incoming()
            }
        }
    };
}
pub(crate) use listener;

/// What everything that dials has, beside its `connect_with` and `with_cancel`. What its `connect` does
/// is said where it is named.
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

            /// [`connect`](Self::connect), with a deadline of its own for all of it.
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

/// The streams that come in over a listener.
///
/// An error after which nothing more can come (the session or the forwarding is lost, the handle
/// has fired) is given once, and is the last; so a loop that ignores errors does not spin.
#[derive(Debug)]
#[must_use = "iterators do nothing until they are asked for an item"]
pub struct Incoming<'a, L: ?Sized = SamListener> {
    listener: &'a L,
    ended: bool,
}

impl<'a, L: Accept + ?Sized> Incoming<'a, L> {
    pub(crate) fn over(listener: &'a L) -> Self {
        Self {
            listener,
            ended: false,
        }
    }
}

impl<L: Accept + ?Sized> Iterator for Incoming<'_, L> {
    type Item = Result<SamStream, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let outcome = self.listener.accept().map(|(stream, _)| stream);
        if let Err(error) = &outcome {
            self.ended = is_final(error);
        }
        Some(outcome)
    }
}

impl<L: Accept + ?Sized> FusedIterator for Incoming<'_, L> {}

/// Whether every later `accept` fails as well.
pub(crate) fn is_final(error: &Error) -> bool {
    use crate::error::ResultCode::AlreadyAccepting;

    match error {
        Error::SessionLost(_)
        | Error::HealingEnded(_)
        | Error::ForwardLost(_)
        | Error::Cancelled { .. } => true,
        Error::Refused(refusal) => *refusal.code() == AlreadyAccepting,
        _ => false,
    }
}
