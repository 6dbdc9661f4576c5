use std::sync::Arc;
use std::time::Duration;

use crate::address::I2pAddr;
use crate::error::Error;
use crate::stream::sam_stream::SamStream;
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
///
/// The kind of session can be chosen while the program runs:
///
/// ```no_run
/// use i2p_sam::{Connect, Error, SessionBuilder};
///
/// fn dialler(builder: SessionBuilder, heals: bool) -> Result<Box<dyn Connect>, Error> {
///     Ok(match heals {
///         true => Box::new(builder.healing()?),
///         false => Box::new(builder.stream()?),
///     })
/// }
/// ```
pub trait Connect: Send + Sync {
    /// Dials a peer.
    ///
    /// # Errors
    ///
    /// Those of [`StreamSession::connect_with`](crate::StreamSession::connect_with).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # let router = i2p_sam::testing::TestBridge::start()?;
    /// # let bridge = router.bridge();
    /// use std::time::Duration;
    /// use i2p_sam::{Connect, ConnectOptions, I2pAddr};
    ///
    /// # let server = bridge.session().stream()?;
    /// # let listener = server.listener()?;
    /// let dialler: Box<dyn Connect> = Box::new(bridge.session().healing()?);
    /// let peer = I2pAddr::from(server.destination()).with_port(80);
    /// let options = ConnectOptions::new().timeout(Some(Duration::from_secs(90)));
    /// let stream = dialler.connect_to(&peer, &options)?;
    /// assert_eq!(*stream.peer_addr(), peer);
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn connect_to(&self, peer: &I2pAddr, options: &ConnectOptions) -> Result<SamStream, Error>;
}

/// References and smart pointers dial as what they point to, also if that is a `dyn Connect`.
macro_rules! connect_through {
    ($($pointer:ty),+) => {
        $(impl<C: Connect + ?Sized> Connect for $pointer {
            fn connect_to(&self, peer: &I2pAddr, options: &ConnectOptions) -> Result<SamStream, Error> {
                (**self).connect_to(peer, options)
            }
        })+
    };
}
connect_through!(&C, Box<C>, Arc<C>);

/// Options for [`connect_with`](crate::StreamSession::connect_with).
///
/// ```
/// let options = i2p_sam::ConnectOptions::new().from_port(4444);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ConnectOptions {
    from_port: Option<u16>,
    timeout: Option<Option<Duration>>,
    cancel: Option<Cancel>,
}

impl ConnectOptions {
    /// Creates the default options: our port is the session's, and the deadline is the bridge's.
    ///
    /// ```
    /// use std::time::Duration;
    /// use i2p_sam::ConnectOptions;
    ///
    /// let patient = ConnectOptions::new().timeout(Some(Duration::from_secs(300)));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns our own port that was set, if any.
    pub(crate) fn own_port(&self) -> Option<u16> {
        self.from_port
    }

    /// Returns the timeout that was set, if any; `None` in it waits forever.
    pub(crate) fn given_time(&self) -> Option<Option<Duration>> {
        self.timeout
    }

    /// Returns the handle that was set, if any.
    pub(crate) fn cancel(&self) -> Option<&Cancel> {
        self.cancel.as_ref()
    }

    /// Sets our own I2CP port, which the peer sees as `FROM_PORT`; 0 is no port. Default: that of the
    /// [session](crate::SessionBuilder::from_port) or
    /// [subsession](crate::SubsessionBuilder::from_port), if it has one.
    pub fn from_port(mut self, port: u16) -> Self {
        self.from_port = Some(port).filter(|port| *port != 0);
        self
    }

    /// Sets the time for the whole call, from reaching the bridge to reaching the peer; `None` waits
    /// for the peer forever. Default: the bridge's
    /// [`stream_connect_timeout`](crate::SamBridgeBuilder::stream_connect_timeout), which begins when
    /// the bridge has been reached.
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets a handle that ends the dial when it fires, as the session's does. Default: none.
    pub fn with_cancel(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }
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
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// use std::time::Duration;
            ///
            /// let server = bridge.session().stream()?;
            /// let listener = server.listener()?;
            /// let session = bridge.session().stream()?;
            /// let stream = session.connect_timeout(server.destination(), Duration::from_secs(90))?;
            /// # drop((stream, listener));
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
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
        }
    };
}
pub(crate) use dialler;
