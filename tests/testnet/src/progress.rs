use std::fmt;

/// A step in the start of a network, as [`Testnet::start_with`] reports it.
///
/// [`Testnet::start_with`]: crate::Testnet::start_with
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Router `number` of `total` runs.
    RouterStarted {
        /// The number of the router, counted from one.
        number: usize,
        /// The number of routers to start.
        total: usize,
    },
    /// The routers are building the tunnels of a first session.
    BuildingTunnels,
    /// A first stream is being sent through the tunnels.
    WarmingUp,
    /// Sessions can be created.
    Ready,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RouterStarted { number, total } => {
                write!(f, "router {number} of {total} started")
            }
            Self::BuildingTunnels => f.write_str("building tunnels"),
            Self::WarmingUp => f.write_str("sending a first stream"),
            Self::Ready => f.write_str("ready"),
        }
    }
}
