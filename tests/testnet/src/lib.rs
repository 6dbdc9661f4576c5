//! A real, private I2P network inside the process, for the tests and examples of `i2p-sam`.
//!
//! [`Testnet::start`] runs three routers (`emissary-core`) on the loopback interface. They build
//! genuine encrypted tunnels through one another, know of no router outside the process, and the
//! last of them serves a SAM bridge. A start takes about half a second.
//!
//! ```
//! use i2p_sam_testnet::Testnet;
//!
//! let network = Testnet::start()?;
//! println!("a SAM bridge listens at {}", network.sam_address());
//! for (name, value) in Testnet::OPTIONS {
//!     println!("create sessions with {name}={value}");
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What to expect of it
//!
//! - Put both ends on this one bridge, and give every session [`Testnet::OPTIONS`]: the network has
//!   three routers, so one hop each way is what it can build quickly.
//! - Two sessions that have not exchanged anything yet get 16 parallel dials through and lose the
//!   rest after 12 seconds. Once a first stream has gone from one to the other there is no such limit.
//! - A session's first dial takes 0.05 or 0.45 seconds: every other time its first search for the
//!   peer's lease set goes unanswered.
//! - The bridge answers `HELLO` with version 3.2, yet primary sessions work.
//! - It says nothing at all to a command it does not understand and hangs up ten seconds later.
//!   `PING`, `AUTH`, `DATAGRAM3`, session removal and ports are not there; of the signature types
//!   only 7 is.
//! - A datagram holds about 8 kB. A stream moves about a megabyte in a second.
//!
//! # What it never does
//!
//! It opens no socket but on 127.0.0.1, connects nowhere else, writes no file and installs no panic
//! hook or logger. Its routers carry a network id that is not the public network's.
//!
//! Starting and dropping a [`Testnet`] block, so do neither inside an asynchronous runtime: the
//! routers' own runtime would panic.

mod address_book;
mod deadline;
mod network;
mod probe;
mod progress;
mod router;
mod runtime;
mod sam;

#[cfg(test)]
mod tests;

pub use network::{Ports, Testnet};
pub use progress::Progress;
