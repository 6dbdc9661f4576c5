//! Tunnels for TCP programs that do not support I2P, on either side.

mod address;
mod carry;
mod client;
mod options;
mod peer_closed;
mod relay;
mod report;
mod runner;
mod server;

pub use address::ToTcpAddr;
pub use carry::{Carried, carry};
pub use client::ClientTunnel;
pub use options::TunnelOptions;
pub use report::{TunnelError, TunnelExit, TunnelStats};
pub use server::ServerTunnel;

/// Implements the methods that both kinds of tunnel share.
macro_rules! tunnel_handle {
    ($tunnel:ident) => {
        impl $tunnel {
            /// Returns the numbers of connections and bytes carried so far.
            pub fn stats(&self) -> $crate::TunnelStats {
                self.running.stats()
            }

            /// Returns the reason why the tunnel accepts no more connections; `None` while it accepts.
            pub fn ended(&self) -> Option<$crate::TunnelExit> {
                self.running.ended()
            }

            /// Waits until the tunnel accepts no more connections, and returns the reason. Returns `None`
            /// if it still accepts after `timeout` (`None` waits for ever). Open connections may continue.
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// use std::time::Duration;
            /// use i2p_sam::{ServerTunnel, TunnelExit, TunnelOptions};
            ///
            /// let listener = bridge.session().stream()?.listener()?;
            /// let tunnel = ServerTunnel::start(listener, "127.0.0.1:8080", &TunnelOptions::new())?;
            /// assert!(tunnel.wait(Some(Duration::from_millis(10))).is_none());
            /// tunnel.close();
            /// assert!(matches!(tunnel.wait(None), Some(TunnelExit::Closed)));
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn wait(&self, timeout: Option<std::time::Duration>) -> Option<$crate::TunnelExit> {
                self.running.wait_end(timeout)
            }

            /// Accepts no more connections, and ends all open connections at once, even those that are
            /// blocked in a call. Waits up to 2 s for their threads. A second call does nothing.
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// use i2p_sam::{ServerTunnel, TunnelExit, TunnelOptions};
            ///
            /// let listener = bridge.session().stream()?.listener()?;
            /// let tunnel = ServerTunnel::start(listener, "127.0.0.1:8080", &TunnelOptions::new())?;
            /// tunnel.close();
            /// assert!(matches!(tunnel.ended(), Some(TunnelExit::Closed)));
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn close(&self) {
                self.running.close();
            }

            /// Accepts no more connections, lets the open ones finish, and ends those that have not
            /// finished after `time`. Returns true if all finished.
            ///
            /// ```
            /// # #[cfg(feature = "testing")] {
            /// # let router = i2p_sam::testing::TestBridge::start()?;
            /// # let bridge = router.bridge();
            /// use std::time::Duration;
            /// use i2p_sam::{ServerTunnel, TunnelOptions};
            ///
            /// let listener = bridge.session().stream()?.listener()?;
            /// let tunnel = ServerTunnel::start(listener, "127.0.0.1:8080", &TunnelOptions::new())?;
            /// // Nothing is open.
            /// assert!(tunnel.shutdown(Duration::from_secs(10)));
            /// # }
            /// # Ok::<(), Box<dyn std::error::Error>>(())
            /// ```
            pub fn shutdown(&self, time: std::time::Duration) -> bool {
                self.running.shut_down(time)
            }
        }

        /// Accepts no more connections; the open ones continue. It does not wait.
        impl Drop for $tunnel {
            fn drop(&mut self) {
                self.running.end($crate::TunnelExit::Closed);
            }
        }

        /// Shows where the tunnel listens, its statistics, and why it ended.
        impl std::fmt::Debug for $tunnel {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($tunnel))
                    .field("local_addr", &format_args!("{}", self.local_addr()))
                    .field("stats", &self.stats())
                    .field("ended", &self.ended())
                    .finish_non_exhaustive()
            }
        }
    };
}
use tunnel_handle;
