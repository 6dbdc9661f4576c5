/// What every kind of session says of itself, and how it is waited for: the fields that hold its
/// [`SessionGuard`](crate::SessionGuard) and its [`Cancel`](crate::Cancel) handle are named.
macro_rules! common_methods {
    ($session:ident, $($guard:ident).+, $($cancel:ident).+) => {
        impl $session {
            /// Our public destination: what others dial, and send to.
            pub fn destination(&self) -> &$crate::Destination {
                self.core().key.destination()
            }

            /// Our private key. Save it to have the same destination again; never show it.
            pub fn private_key(&self) -> &$crate::PrivateKey {
                &self.core().key
            }

            /// The session's id at the bridge: random, 26 characters.
            ///
            /// Whoever on the host knows it can dial, accept and send as us. Do not log it.
            pub fn id(&self) -> &str {
                &self.core().id
            }

            /// The version of SAM the bridge speaks.
            pub fn version(&self) -> $crate::Version {
                self.core().version
            }

            /// The bridge at which the session is: of [several](crate::SamBridge#several-bridges),
            /// the one that made it.
            pub fn bridge(&self) -> &$crate::SamBridge {
                &self.core().bridge
            }

            /// Looks up who an address belongs to. A port in it is ignored; our own address and a full
            /// destination are known without asking.
            ///
            /// The bridge is asked on the session's control socket: i2pd and emissary find a
            /// `.b32.i2p` address for a session which they do not find for
            /// [`SamBridge::lookup`](crate::SamBridge::lookup). Lookups of one session are asked one
            /// after the other, and the time to wait for the others counts.
            ///
            /// # Errors
            ///
            /// Those of [`SamBridge::lookup`](crate::SamBridge::lookup);
            /// [`Error::SessionLost`](crate::Error::SessionLost).
            pub fn lookup(
                &self,
                address: impl $crate::ToI2pAddr,
            ) -> Result<$crate::Destination, $crate::Error> {
                let address = address.to_i2p_addr()?;
                let time = self.bridge().config().timeouts.lookup;
                let deadline = $crate::sync::Deadline::after(time);
                self.core().lookup(&address, deadline, &self.$($cancel).+)
            }

            /// What keeps the session alive, without the rest.
            pub fn guard(&self) -> $crate::SessionGuard {
                self.$($guard).+.clone()
            }

            /// Why the session is gone, if it is. It does not ask the bridge: a
            /// [heartbeat](crate::SessionBuilder::heartbeat) does.
            pub fn closed(&self) -> Option<$crate::SessionLoss> {
                self.$($guard).+.closed()
            }

            /// Waits until the session is gone, and says why it is.
            ///
            /// # Errors
            ///
            /// [`Error::Timeout`](crate::Error::Timeout) when it still lives after `timeout` (`None`
            /// waits for ever), [`Error::Cancelled`](crate::Error::Cancelled).
            pub fn wait_closed(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> Result<$crate::SessionLoss, $crate::Error> {
                let call = $crate::sync::Call::new($crate::Phase::WaitClosed)
                    .or_cancel(&self.$($cancel).+)
                    .within(timeout);
                call.wait_ended(self.core().control.lifetime())
            }

            fn core(&self) -> &std::sync::Arc<$crate::session::core::SessionCore> {
                self.$($guard).+.core()
            }
        }

        /// Shows whose session it is and whether it lives; never its id or its key.
        impl std::fmt::Debug for $session {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($session))
                    .field("destination", self.destination())
                    .field("version", &self.version())
                    .field("closed", &self.closed())
                    .finish_non_exhaustive()
            }
        }
    };
}
pub(crate) use common_methods;
