//! I2P for programs that block.
//!
//! I2P is an anonymous network in which a program has a *destination*, which is a set of keys,
//! instead of an IP address. A router runs on the machine, or near it, and lets programs take part
//! through its SAM bridge. This crate is a client of that bridge: SAM 3.1 to 3.3 for threads and
//! blocking sockets, with what a user of [`std::net`] expects. It needs no async runtime.
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use i2p_sam::SamBridge;
//!
//! // The bridge that I2P_SAM_ADDRESS names, or the one on 127.0.0.1:7656.
//! let bridge = SamBridge::from_env()?;
//! let session = bridge.session().nickname("quick-start").stream()?;
//!
//! let mut stream = session.connect("stats.i2p:80")?;
//! stream.write_all(b"GET / HTTP/1.0\r\nHost: stats.i2p\r\n\r\n")?;
//! let mut page = Vec::new();
//! stream.read_to_end(&mut page)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The way through it
//!
//! | | is | like |
//! |---|---|---|
//! | [`SamBridge`] | where a router's bridge is; makes keys, looks up names, makes sessions | an address |
//! | [`StreamSession`] | a destination of our own, with the tunnels that lead to it | a network interface |
//! | [`SamListener`] | accepts what peers dial | [`TcpListener`](std::net::TcpListener) |
//! | [`HealingSession`] | a session for streams that is created again when it is lost, at one bridge or several | |
//! | [`SamStream`] | one connection to a peer | [`TcpStream`](std::net::TcpStream) |
//! | [`DatagramSession`], [`RawSession`] | datagrams to and from a destination of our own | [`UdpSocket`](std::net::UdpSocket) |
//! | [`PrimarySession`] | one destination for several of these sessions | |
//! | [`ClientTunnel`], [`ServerTunnel`] | TCP programs that know nothing of I2P, carried over it | |
//! | [`Cancel`] | ends what blocks, from another thread | |
//! | [`I2pAddr`], [`Destination`], [`PrivateKey`] | who is who | [`SocketAddr`](std::net::SocketAddr) |
//!
//! # What lives how long
//!
//! A session lives as long as anything that was made from it: a clone, a listener, a stream, a
//! [`SessionGuard`]. A stream returned by a function that dropped its session goes on. When the
//! last of them is dropped the session ends in the background, and what its streams wrote last
//! still gets [some time](SessionBuilder::linger) to arrive; [`close`](StreamSession::close) ends it
//! now, and waits until the router has let go of its key. A tunnel keeps its session; dropped, it
//! accepts no more, and what it carries goes on.
//!
//! A router ends a session when its control socket closes, so a session has a thread that keeps
//! that socket: it answers the bridge's `PING` and notes why the session ended
//! ([`StreamSession::closed`], [`SamStream::session_error`]). While there is a listener, further
//! threads hold armed accepts. They have small stacks. Threads that call the program's code, for
//! sessions that heal and for tunnels, have the stack that `std` gives.
//!
//! # Threads
//!
//! Everything is `Send` and `Sync`, and every method takes `&self`: accept in one thread and dial
//! in ten others. No lock is held while a socket is waited for.
//!
//! # Time-outs
//!
//! Every call has one deadline for all it waits for, so that a bridge which drips bytes cannot
//! stretch it; an error says in which [`Phase`] it ran out. [`SamBridgeBuilder`] sets them:
//! 30 s to connect to the bridge, 30 s to greet it, 30 s for a command, 60 s for a lookup, 300 s
//! for a session, 180 s to dial a peer. `accept` and streams wait for ever unless told otherwise.
//!
//! # Servers
//!
//! Four things that a server learns late from a network that does not report them:
//!
//! - **A peer that dies without a word** is not reported to a reader, who blocks for longer than 400 s.
//!   Set a [read time-out](SamStream::set_read_timeout) on every stream.
//! - **A restart on i2pd needs a pause.** i2pd holds a key for about 5 s after its session ended, and a
//!   session that gets the key earlier serves nobody. Within a process the library waits for 6 s. Across
//!   processes it replaces such a session, which takes longer than a pause does: let a supervisor wait for
//!   6 s before it starts the server again, systemd with `RestartSec=6`.
//! - **A clock that jumps** makes its router deaf for about a minute: peers reject what it has published, and
//!   it rejects what they have. Nothing has to be done but to wait.
//! - **A sender may fill the router's memory.** i2pd does not slow a sender down whose peer does not read; see
//!   [`SamStream`].
//!
//! # Secrets
//!
//! A private key, a password and the id of a session never appear in `Debug`, in an error or in a
//! panic; the crate logs nothing. [`PrivateKey::expose_base64`] and
//! [`PrivateKey::expose_bytes`] are the only ways out for a key, and key files are readable by
//! their owner alone. A key file that others may read, or that belongs to another user, is
//! [refused](PrivateKey::load).
//!
//! What a SAM bridge cannot hide: every program of the same host that reaches it can use it, and
//! the connection to it is not encrypted.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
// What a bridge, a file or a user supplied never panics, and nothing is printed.
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::dbg_macro,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod address;
mod auth;
mod bridge;
mod connection;
mod dial;
mod endpoint;
mod error;
mod failover;
mod forward;
mod healing;
mod listener;
mod lookup;
mod lookup_cache;
mod service;
mod session;
mod stream;
mod sync;
mod tunnel;
mod version;
pub mod wire;

pub use address::{
    AddressError, B32, B33, Destination, Host, HostName, I2pAddr, KeyError, KeyFileError,
    OfflineSignature, PrivateKey, SignatureType, ToI2pAddr, UrlPart,
};
pub use bridge::{SamBridge, SamBridgeBuilder};
pub use endpoint::Connect;
pub use error::{Error, Phase, Refusal, ResultCode, SessionLoss, SettingError};
pub use healing::{HealingEvent, HealingOptions, HealingSession, Replica};
pub use listener::{Incoming, ListenerStats, SamListener};
pub use lookup::Lookup;
pub use service::{ServiceRecord, ServiceRecordError};
pub use session::{
    ConnectOptions, DatagramOptions, DatagramPath, DatagramSession, DatagramSource, DatagramStyle,
    DroppedDatagrams, EncryptionType, ForwardOptions, Forwarding, InactivityAction, LeaseSetAuth,
    LeaseSetType, LimitAction, MessageReliability, PrimarySession, RawOptions, RawSession, Sender,
    SessionBuilder, SessionGuard, SessionOptions, StreamSession, StreamingProfile,
    SubsessionOptions, WhenFull,
};
pub use stream::SamStream;
pub use sync::Cancel;
pub use tunnel::{
    ClientTunnel, ServerTunnel, ToTcpAddr, TunnelCounters, TunnelEnd, TunnelFailure, TunnelOptions,
};
pub use version::Version;

/// What threads share must be fit to be shared; this does not compile when it is not.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<SamBridge>();
    shared::<StreamSession>();
    shared::<DatagramSession>();
    shared::<RawSession>();
    shared::<PrimarySession>();
    shared::<HealingSession>();
    shared::<Replica>();
    shared::<SamListener>();
    shared::<SamStream>();
    shared::<Forwarding>();
    shared::<SessionGuard>();
    shared::<ClientTunnel>();
    shared::<ServerTunnel>();
    shared::<Cancel>();
    shared::<PrivateKey>();
    shared::<Error>();
};

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What changes nothing when its result is dropped must be used.
///
/// ```
/// #![deny(unused_must_use)]
/// let (cancel, bridge) = (i2p_sam::Cancel::new(), i2p_sam::SamBridge::new("[::1]:1")?);
/// let _ = (cancel.child(), bridge.with_cancel(&cancel));
/// # Ok::<(), i2p_sam::Error>(())
/// ```
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// let cancel = i2p_sam::Cancel::new();
/// cancel.child();
/// ```
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// let (cancel, bridge) = (i2p_sam::Cancel::new(), i2p_sam::SamBridge::new("[::1]:1")?);
/// bridge.with_cancel(&cancel);
/// # Ok::<(), i2p_sam::Error>(())
/// ```
#[cfg(doctest)]
struct MustUse;
