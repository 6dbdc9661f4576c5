//! TCP programs that know nothing of I2P, on both of its sides.

mod address;
mod client;
mod options;
mod peer_closed;
mod relay;
mod report;
mod runner;
mod server;

pub use address::ToTcpAddr;
pub use client::ClientTunnel;
pub use options::TunnelOptions;
pub use report::{TunnelCounters, TunnelEnd, TunnelFailure};
pub use server::ServerTunnel;

/// What either kind of tunnel says of itself, and how it ends.
macro_rules! tunnel_handle {
    ($tunnel:ident) => {
        impl $tunnel {
            /// What it has carried so far.
            pub fn counters(&self) -> $crate::TunnelCounters {
                self.running.counters()
            }

            /// Why it accepts no more, once it does not.
            pub fn ended(&self) -> Option<$crate::TunnelEnd> {
                self.running.ended()
            }

            /// Waits until it accepts no more, and says why; `None` when it still does after `timeout`
            /// (`None` waits for ever). What it carries may go on.
            pub fn wait(&self, timeout: Option<std::time::Duration>) -> Option<$crate::TunnelEnd> {
                self.running.wait_end(timeout)
            }

            /// Accepts no more, and ends what it carries at once, whatever it is blocked in. It waits
            /// up to 2 s for its threads. Calling it again does nothing.
            pub fn close(&self) {
                self.running.close();
            }

            /// Accepts no more, lets what it carries finish, and ends what has not after `time`. Says
            /// whether all finished.
            pub fn shutdown(&self, time: std::time::Duration) -> bool {
                self.running.shut_down(time)
            }
        }

        /// It accepts no more; what it carries goes on. It does not wait.
        impl Drop for $tunnel {
            fn drop(&mut self) {
                self.running.end($crate::TunnelEnd::Closed);
            }
        }

        /// Shows where it listens, what it has carried, and why it ended.
        impl std::fmt::Debug for $tunnel {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($tunnel))
                    .field("local_addr", &format_args!("{}", self.local_addr()))
                    .field("counters", &self.counters())
                    .field("ended", &self.ended())
                    .finish_non_exhaustive()
            }
        }
    };
}
use tunnel_handle;
