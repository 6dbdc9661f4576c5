//! A real, private I2P network inside the process, for the tests and examples of `i2p-sam`.
//!
//! [`Testnet::start`] runs three routers (`emissary-core`) on the loopback interface. They build real
//! encrypted tunnels through one another and know no router outside the process. The last of them has a SAM
//! bridge. A start takes about half a second.
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
//! # Limits
//!
//! - Put both ends on this one bridge, and give every session [`Testnet::OPTIONS`]: the network has three
//!   routers, so it can build tunnels of one hop each way quickly.
//! - Between two sessions that have not exchanged data yet, 16 parallel dials succeed and the others fail
//!   after 12 seconds. After the first stream between them there is no such limit.
//! - A session's first dial takes 0.05 or 0.45 seconds: every other time, its first search for the peer's
//!   lease set gets no reply.
//! - The bridge replies to `HELLO` with version 3.2, yet primary sessions work.
//! - The bridge does not reply to a command that it does not support, and hangs up ten seconds later. It
//!   does not support `PING`, `AUTH`, `DATAGRAM3`, session removal and ports; of the signature types it
//!   supports only 7.
//! - A datagram holds about 8 kB. A stream transfers about a megabyte per second.
//!
//! # Isolation
//!
//! It opens sockets only on 127.0.0.1, connects to no other address, writes no file and installs no panic
//! hook or logger. Its routers have a network id that is not the public network's.
//!
//! Starting and dropping a [`Testnet`] block, so do neither inside an asynchronous runtime: the routers'
//! own runtime would panic.

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
