//! Where a router's bridge is, and how it is asked.
//!
//! Each file names only those above it in this list. No session is known here: what makes one is
//! implemented for [`SamBridge`] in the room of the [`SessionBuilder`](crate::SessionBuilder).
//!
//! - `config`: the addresses, versions, credentials and deadlines of one bridge.
//! - `key_use`: which keys the sessions of this process use at each bridge.
//! - `dial`: opens a TCP connection to a bridge.
//! - `connection`: a socket on which a version was agreed. Sends a command and waits for its reply.
//! - `failover`: which of several bridges is tried next, and which error is returned if all fail.
//! - `service_record`, `lookup`, `lookup_cache`: what a lookup returns.
//! - `sam_bridge`: [`SamBridge`]. `auth`: the users of a bridge. `builder`: how a bridge is described.

mod auth;
mod builder;
mod config;
mod connection;
mod dial;
mod failover;
mod key_use;
mod lookup;
mod lookup_cache;
mod sam_bridge;
mod service_record;
mod timed_socket;

pub use auth::Auth;
pub use builder::SamBridgeBuilder;
pub(crate) use config::{Endpoint, refuse_i2p};
pub(crate) use connection::Connection;
pub(crate) use dial::{dial, is_timeout, resolve};
pub(crate) use failover::{Failures, another_may_do};
pub(crate) use key_use::{KEY_REST, KeyInUse, KeyUse, is_i2pd, note_loss};
pub use lookup::Lookup;
pub use sam_bridge::SamBridge;
pub use service_record::{ServiceRecord, ServiceRecordError};
pub(crate) use timed_socket::write_all;
