/// The methods that every kind of session has: its properties, and the wait for its end. The arguments
/// name the fields that contain its [`SessionGuard`](crate::SessionGuard) and its
/// [`Cancel`](crate::Cancel) handle.
macro_rules! common_methods {
    ($session:ident, $($guard:ident).+, $($cancel:ident).+) => {
        impl $session {
            /// Returns our public destination, to which others dial and send.
            pub fn destination(&self) -> &$crate::Destination {
                self.core().key.destination()
            }

            /// Returns our private key. Save it to have the same destination again; never show it.
            pub fn private_key(&self) -> &$crate::PrivateKey {
                &self.core().key
            }

            /// Returns the session's id at the bridge: random, 26 characters.
            ///
            /// Any local process that knows this id can dial, accept and send as this session. Do not
            /// log it.
            pub fn id(&self) -> &str {
                &self.core().id
            }

            /// Returns the SAM version that the bridge agreed to.
            pub fn version(&self) -> $crate::Version {
                self.core().version
            }

            /// Returns the bridge of the session: the one of
            /// [several](crate::SamBridge#several-bridges) that created it.
            pub fn bridge(&self) -> &$crate::SamBridge {
                &self.core().bridge
            }

            /// Looks up the destination of an address. A port in it is ignored. Our own address and a
            /// full destination need no request.
            ///
            /// The request is sent on the session's control socket: i2pd and emissary find a `.b32.i2p`
            /// address for a session which they do not find for
            /// [`SamBridge::lookup`](crate::SamBridge::lookup). Lookups of one session are sent one
            /// after the other, and the time to wait for the others counts.
            ///
            /// # Errors
            ///
            /// Those of [`SamBridge::lookup`](crate::SamBridge::lookup);
            /// [`Error::SessionLost`](crate::Error::SessionLost).
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// let session = bridge.session().stream()?;
            /// let peer = bridge.session().stream()?;
            /// assert_eq!(session.lookup(peer.destination().b32())?, *peer.destination());
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn lookup(
                &self,
                address: impl $crate::ToI2pAddr,
            ) -> Result<$crate::Destination, $crate::Error> {
                let address = address.to_i2p_addr()?;
                let time = self.bridge().config().timeouts.lookup;
                let deadline = $crate::sync::Deadline::after(time);
                self.core().lookup(&address, deadline, &self.$($cancel).+)
            }

            /// Returns a guard that keeps the session alive, without its methods.
            pub fn guard(&self) -> $crate::SessionGuard {
                self.$($guard).+.clone()
            }

            /// Returns the reason why the session is gone, if it is. It sends no request to the bridge:
            /// a [heartbeat](crate::SessionBuilder::heartbeat) does.
            pub fn loss(&self) -> Option<$crate::SessionLoss> {
                self.$($guard).+.loss()
            }

            /// Waits until the session is gone, and returns the reason.
            ///
            /// # Errors
            ///
            /// [`Error::Timeout`](crate::Error::Timeout) if the session is still alive after `timeout`
            /// (`None` waits forever), [`Error::Cancelled`](crate::Error::Cancelled).
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// use std::time::Duration;
            /// use i2p_sam::SessionLoss;
            ///
            /// let session = bridge.session().stream()?;
            /// assert!(session.wait_closed(Some(Duration::from_millis(10))).is_err());
            /// router.lose_session(session.destination());
            /// assert_eq!(session.wait_closed(None)?, SessionLoss::Disconnected);
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn wait_closed(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> Result<$crate::SessionLoss, $crate::Error> {
                let call = $crate::sync::Call::new($crate::Phase::WaitClosed)
                    .or_cancel(&self.$($cancel).+)
                    .within(timeout);
                call.wait_ended(self.core().lifetime())
            }

            fn core(&self) -> &std::sync::Arc<$crate::session::core::SessionCore> {
                self.$($guard).+.core()
            }
        }

        /// Shows the session's destination and whether it is alive; never its id or its key.
        impl std::fmt::Debug for $session {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($session))
                    .field("destination", self.destination())
                    .field("version", &self.version())
                    .field("loss", &self.loss())
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use common_methods;
