//! A blocking I2P client for threads.
//!
//! I2P is an anonymous network in which a program has a *destination*, which is a set of keys,
//! instead of an IP address. A router runs on the machine, or near it, and offers programs access
//! through its SAM bridge. This crate is a client of that bridge: SAM 3.1 to 3.3 for threads and
//! blocking sockets, modelled on [`std::net`]. It needs no async runtime. The [concepts](guide::concepts) page explains
//! the words.
//!
//! ```no_run
//! use std::io::{Read, Write};
//! use i2p_sam::SamBridge;
//!
//! // The bridge at I2P_SAM_ADDRESS, or at 127.0.0.1:7656 if that is not set.
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
//! If no router runs, the error describes how to switch the SAM bridge of one on. Without a router, a program runs with
//! the command `sam bridge` (feature `cli`), and its tests with `i2p_sam::testing` (feature `testing`). A server is a
//! [`SamListener`]; the [choice](guide::choosing) of a session and a listener has a page.
//!
//! # Overview
//!
//! | type | purpose | like |
//! |---|---|---|
//! | [`SamBridge`] | the address of a router's bridge; generates keys, looks up names, makes sessions | an address |
//! | [`StreamSession`] | a destination of this program, with the tunnels that lead to it | a network interface |
//! | [`SamListener`] | accepts streams from peers | [`TcpListener`](std::net::TcpListener) |
//! | [`HealingSession`] | a session for streams that is created again when it is lost, at one bridge or several | |
//! | [`SamStream`] | one connection to a peer | [`TcpStream`](std::net::TcpStream) |
//! | [`DatagramSession`], [`RawSession`] | datagrams to and from a destination of this program | [`UdpSocket`](std::net::UdpSocket) |
//! | [`PrimarySession`] | one destination for several of these sessions | |
//! | [`ClientTunnel`], [`ServerTunnel`], [`carry`] | connect TCP programs that do not support I2P | |
//! | [`server::Server`] | serves a listener: bounded threads, a deadline for each connection, a graceful end | |
//! | [`router::I2pd`] | a router that the program starts for itself, and that stops with it | [`Child`](std::process::Child) |
//! | [`Cancel`] | ends blocking calls from another thread | |
//! | [`I2pAddr`], [`Destination`], [`PrivateKey`] | addresses and identities | [`SocketAddr`](std::net::SocketAddr) |
//!
//! The [`guide`] explains the [concepts](guide::concepts), the [choice](guide::choosing) of a session,
//! [tunnels and options](guide::tunnels), [datagrams](guide::datagrams), [how long](guide::lifecycle) each value
//! lives, [deadlines and cancellation](guide::deadlines), [deploying](guide::deploying), each
//! [error](guide::errors) and [its text](guide::troubleshooting), [security](guide::security), and the way from
//! [`std::net`](guide::from_std), [i2plib](guide::from_i2plib) and [yosemite](guide::from_yosemite).
//!
//! # Lifetimes
//!
//! A session lives as long as anything made from it: a clone, a listener, a stream, a
//! [`SessionGuard`]. A stream returned by a function that dropped its session continues. When the
//! last of them is dropped, the session ends in the background, and the last bytes of its streams
//! still have [some time](SessionBuilder::linger) to arrive. [`close`](StreamSession::close) ends
//! the session now, and waits until the router has released its key. A tunnel keeps its session; a
//! dropped tunnel accepts no more connections, and its open connections continue.
//!
//! A router ends a session when its control socket closes, so each session has a thread for that
//! socket: it answers the bridge's `PING` and records why the session ended
//! ([`StreamSession::loss`], [`SamStream::loss`]). While there is a listener, more
//! threads hold pending accepts. They have small stacks. Threads that call the program's code, for
//! sessions that heal and for tunnels, have the default stack size of `std`.
//!
//! # Threads
//!
//! Everything is `Send` and `Sync`, and every method takes `&self`: accept in one thread and dial
//! in ten others. No lock is held during a wait for a socket.
//!
//! # Time-outs
//!
//! Every call has one deadline for all its waits, so that a bridge which sends single bytes cannot
//! extend it; an error names the [`Phase`] in which it expired. [`SamBridgeBuilder`] sets them:
//! 30 s to connect to the bridge, 30 s for the greeting, 30 s for a command, 60 s for a lookup,
//! 300 s for a session, 180 s to dial a peer. `accept` and streams wait without limit unless a time-out
//! is set.
//!
//! # Servers
//!
//! The network does not report these four things, so servers often learn them late:
//!
//! - **A peer that dies silently** is not reported to a reader, which blocks for longer than 400 s.
//!   Set a [read time-out](SamStream::set_read_timeout) on every stream.
//! - **A restart on i2pd needs a pause.** i2pd holds a key for about 5 s after its session ended,
//!   and a session that gets the key earlier serves no peer. Within a process the library waits for
//!   6 s. Across processes it replaces such a session, which takes longer than a pause: let a
//!   supervisor wait for 6 s before it restarts the server, systemd with `RestartSec=6`.
//! - **A clock that jumps** makes its router unreachable for about a minute: peers reject what it
//!   has published, and it rejects what they have published. The only remedy is to wait.
//! - **A sender may fill the router's memory.** i2pd does not slow down a sender whose peer does
//!   not read; see [`SamStream`].
//!
//! # Secrets
//!
//! A private key, a password and the id of a session never appear in `Debug`, in an error or in a
//! panic, nor in a line for `log`. A key leaves the crate only through [`PrivateKey::expose_base64`]
//! and [`PrivateKey::expose_bytes`], and only the owner can read key files. A key file that other
//! users may read, or that belongs to another user, is [refused](PrivateKey::load).
//!
//! A SAM bridge has limits: every program on the same host that reaches it can use it, and the
//! connection to it is not encrypted.
//!
//! # Features
//!
//! All are off by default; the default build has four dependencies.
//!
//! | feature | adds |
//! |---|---|
//! | `log` | lines for the facade [`log`](https://docs.rs/log), with the target `i2p_sam`: created and lost sessions and the events of sessions that heal (`info`, `warn`), failed bridges (`warn`), failed accepts, connections of tunnels and servers (`debug`), dropped datagrams (`trace`). A line may contain the address of a peer. Threads that would have a small stack have 1 MiB, because they call the program's logger. A logger that panics ends nothing |
//! | `serde` | `Serialize` and `Deserialize`: [`I2pAddr`], [`Host`], [`HostName`], [`B32`], [`B33`], [`Destination`] and [`SignatureType`] as their texts, [`SessionOptions`] as a map without secrets. A [`PrivateKey`] is never serialized |
//! | `zeroize` | the memory of a [`PrivateKey`], and the buffers of this crate through which one passes, are overwritten when they are dropped. [Limits](PrivateKey#memory) |
//! | `testing` | `i2p_sam::testing`: a SAM bridge inside the process, for tests without a router |
//! | `cli` | the program `sam`; the library needs nothing of this |

#![forbid(unsafe_code)]
#![deny(missing_docs)]
// docs.rs shows the feature that an item needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// Input from a bridge, a file or a user never causes a panic, and nothing is printed.
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
mod bridge;
mod builder;
mod datagram;
mod error;
pub mod guide;
mod healing;
mod logging;
mod primary;
pub mod router;
pub mod server;
mod session;
mod stream;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod tunnel;
pub mod wire;

pub use address::{
    AddressError, B32, B33, Destination, Host, HostName, I2pAddr, KeyError, KeyFileError,
    OfflineSignature, PrivateKey, SignatureType, SignatureTypeError, ToI2pAddr, UrlPart,
};
pub use bridge::{Auth, Lookup, SamBridge, SamBridgeBuilder, ServiceRecord, ServiceRecordError};
pub use builder::SessionBuilder;
pub use datagram::{
    DatagramOptions, DatagramSession, DatagramStyle, DatagramTransport, DroppedDatagrams,
    RawOptions, RawSession, Sender, UdpOptions,
};
pub use error::{ConfigError, Error, Phase, Refusal, SessionLoss};
pub use healing::{HealingEvent, HealingOptions, HealingSession, Replica};
pub use primary::{PrimarySession, SubsessionBuilder};
pub use session::{
    EncryptionType, InactivityAction, LeaseSetAuth, LeaseSetType, LimitAction, MessageReliability,
    SessionGuard, SessionOptions, StreamingProfile,
};
pub use stream::{
    BacklogPolicy, Connect, ConnectOptions, ForwardOptions, Forwarding, Incoming, ListenerStats,
    SamListener, SamStream, StreamSession,
};
pub use sync::Cancel;
pub use tunnel::{
    Carried, ClientTunnel, ServerTunnel, ToTcpAddr, TunnelError, TunnelExit, TunnelOptions,
    TunnelStats, carry,
};
pub use wire::{ResultCode, Version};

/// Shared types must be `Send` and `Sync`; this does not compile otherwise.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<SamBridge>();
    shared::<Auth>();
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
    shared::<server::Server>();
    shared::<Cancel>();
    shared::<router::I2pd>();
    shared::<router::I2pdBuilder>();
    shared::<router::LaunchError>();
    shared::<PrivateKey>();
    shared::<Error>();
};

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// A value without effect when it is dropped must be used.
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
