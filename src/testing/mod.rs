//! Tests without a router: a SAM bridge inside the process, and streams for tests of handlers.
//!
//! This module needs the feature `testing`, which adds nothing but code on `std`. Turn it on for tests alone:
//!
//! ```toml
//! [dependencies]
//! i2p-sam = "0.1"
//!
//! [dev-dependencies]
//! i2p-sam = { version = "0.1", features = ["testing"] }
//! ```
//!
//! # A handler
//!
//! [`SamStream::pair`](crate::SamStream::pair) returns two connected streams,
//! [`SamStream::from_tcp`](crate::SamStream::from_tcp) makes one of a TCP connection, and a
//! [`ListenerFeed`] gives a listener its streams by hand.
//!
//! ```
//! use std::io::{self, BufRead, BufReader, Write};
//! use i2p_sam::SamStream;
//!
//! /// The handler under test: replies to one line.
//! fn shout(stream: SamStream) -> io::Result<()> {
//!     let mut line = String::new();
//!     BufReader::new(&stream).read_line(&mut line)?;
//!     (&stream).write_all(line.to_uppercase().as_bytes())
//! }
//!
//! let (mut near, far) = SamStream::pair()?;
//! near.write_all(b"hello\n")?;
//! shout(far)?;
//! assert_eq!(io::read_to_string(near)?, "HELLO\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A service
//!
//! A [`TestBridge`] takes the place of the router. The program under test gets its [`SamBridge`], or its
//! address in `I2P_SAM_ADDRESS`.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::thread;
//! use i2p_sam::{SamBridge, StreamSession};
//! use i2p_sam::testing::TestBridge;
//!
//! /// The service under test: echoes what its callers send.
//! fn echo_service(bridge: &SamBridge) -> Result<StreamSession, i2p_sam::Error> {
//!     let session = bridge.session().stream()?;
//!     let listener = session.listener()?;
//!     thread::spawn(move || {
//!         for stream in listener.incoming().filter_map(Result::ok) {
//!             thread::spawn(move || io::copy(&mut &stream, &mut &stream));
//!         }
//!     });
//!     Ok(session)
//! }
//!
//! let router = TestBridge::start()?;
//! let service = echo_service(&router.bridge())?;
//! let client = router.bridge().session().stream()?;
//! let mut stream = client.connect(service.destination())?;
//! stream.write_all(b"hello")?;
//! let mut echo = [0; 5];
//! stream.read_exact(&mut echo)?;
//! assert_eq!(&echo, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What goes wrong
//!
//! Routers differ, and a [`Profile`] behaves like one of four: run a test with
//! [each of them](Profile::ALL). The bridge also does on request what a router does by chance:
//!
//! | event | method |
//! |---|---|
//! | the router is killed, and comes back | [`stop`](TestBridge::stop), [`restart`](TestBridge::restart) |
//! | the computer sleeps | [`pause`](TestBridge::pause), [`resume`](TestBridge::resume) |
//! | a session is lost | [`lose_session`](TestBridge::lose_session) |
//! | the router goes, and the bridge stays | [`lose_router`](TestBridge::lose_router) |
//! | a reply is late, in pieces, garbage, a refusal, a lie, or missing | [`inject`](TestBridge::inject) with a [`Fault`] |
//!
//! A test that panics prints the [seed](TestBridgeBuilder::seed) of its bridges, which makes their keys, and
//! the sizes and pauses of split replies, again.
//!
//! # Clocks
//!
//! The clocks of the bridge are 100 times [faster](TestBridgeBuilder::speed) than those of a router: a session
//! of i2pd takes 30 to 180 ms, and Java I2P sends `PING` every 1.8 s. These times are not scaled, or not as
//! far, because the client has a part in them:
//!
//! - i2pd holds a key for 5 s after its session ended, and takes 2.1 s at least for a session with a given
//!   key, since the library recognizes by these times a session that will never serve;
//! - a caller waits for an accept for 3 s on Java I2P, and 5 s on the others;
//! - a connection has 1 s for its first line.
//!
//! # Differences from routers
//!
//! Recorded exchanges of Java I2P 2.8, i2pd 2.59 and emissary 0.4, some 1700 lines, are replayed against the
//! profiles, and the behaviours of this library that are shown on real routers are shown on the profiles:
//! what a router cannot do, its profile cannot do either. These differences are known:
//!
//! - There is no network. Streams and datagrams take no time, none is lost but the first datagram to a
//!   peer of i2pd, and datagrams arrive in order.
//! - There is no cryptography. Keys are well-formed and their parts do not belong together; an encrypted lease
//!   set lets in those with a shared key, and nobody by a key pair.
//! - Lines that arrive while a session is created are carried out afterwards. Java I2P swallows them, and
//!   answers the last one with `invalid state`.
//! - Java I2P reads `a\ b` outside of quotes as one value with a blank; its profile refuses the line.
//! - On i2pd 2.59 a client that has dialled the last session with a key gets silence from the next one for
//!   minutes; on its profile it gets through.
//! - The memory of a router has no bounds here: a peer that does not read slows its sender down.
//! - Options of tunnels have no effect, but for emissary's refusal of a session without hops.
//!
//! [`SamBridge`]: crate::SamBridge

mod answer;
mod bridge;
mod client;
mod datagrams;
mod dest;
mod exchange;
mod fault;
mod feed;
mod hello;
mod keys;
mod link;
mod naming;
mod pair;
mod pairing;
mod patience;
mod profile;
mod random;
mod request;
mod router;
mod service;
mod sessions;
mod shared;
mod state;
mod streams;
mod subsessions;
mod users;

pub use bridge::{TestBridge, TestBridgeBuilder};
pub use exchange::Exchange;
pub use fault::Fault;
pub use feed::ListenerFeed;
pub use pair::StreamPair;
pub use profile::Profile;
