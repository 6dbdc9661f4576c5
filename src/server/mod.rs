//! A server: a thread for each accepted stream, within limits, with a graceful end.
//!
//! A server of a few lines is a loop over [`SamListener::incoming`](crate::SamListener::incoming) that starts
//! a thread for each stream. A server that stays up needs more, which [`Server`] adds:
//!
//! - **A limit of connections**, and so of threads and sockets. At the limit it accepts no more: further peers
//!   wait in the session's [backlog](crate::SessionBuilder::backlog), and after that at the router.
//! - **A deadline for each connection.** A peer that dies silently is never reported to a reader, and a peer
//!   that sends a byte now and then meets every read time-out.
//! - **A graceful end.** [`Server::stop`] accepts no more streams and lets the open ones finish.
//! - **Counters**, and a function that is called for each failure. The library prints nothing.
//!
//! It serves any [`SamListener`](crate::SamListener): of a session, of a forwarding, of a session that heals.
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use std::time::Duration;
//!
//! use i2p_sam::server::{Server, ServerOptions};
//! use i2p_sam::{SamBridge, SamStream};
//!
//! let session = SamBridge::from_env()?.session().healing()?;
//! println!("Serving {}", session.destination().b32());
//! let options = ServerOptions::new()
//!     .max_connections(64)
//!     .connection_timeout(Some(Duration::from_secs(60)))
//!     .on_failure(|failure| eprintln!("{failure}"));
//! let server = Server::new(&options);
//! // Another thread, or a handler of Ctrl-C, calls `stop` on a clone.
//! server.serve(session.listener()?, |mut stream: SamStream| -> std::io::Result<()> {
//!     let mut line = [0; 64];
//!     let read = stream.read(&mut line)?;
//!     stream.write_all(&line[..read])
//! })?;
//! println!("{}", server.stats());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod connections;
mod options;
mod report;
mod serving;

pub use options::ServerOptions;
pub use report::{ServerFailure, ServerStats};
pub use serving::Server;
