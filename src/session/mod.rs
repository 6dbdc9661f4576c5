//! Sessions: each is a destination of our own on a router, from which streams and datagram sockets are
//! made.

pub(crate) mod accept_pool;
pub(crate) mod accept_queue;
mod arming;
pub(crate) mod common_methods;
pub(crate) mod control;
pub(crate) mod core;
mod end;
mod forward_acceptor;
mod forwarding;
pub(crate) mod id;
pub(crate) mod inbound_mode;
mod lookup;
mod options;
pub(crate) mod stream;
mod streams;

pub(crate) use accept_queue::AcceptQueue;
pub use accept_queue::BacklogPolicy;
pub(crate) use control::{Frame, Frames};
pub(crate) use core::SessionCore;
pub use core::SessionGuard;
pub(crate) use end::SessionEnd;
pub(crate) use forward_acceptor::ForwardAcceptor;
pub use forwarding::{ForwardOptions, Forwarding};
pub(crate) use lookup::known_without_asking;
pub use options::*;
pub use stream::{ConnectOptions, StreamSession};
pub(crate) use streams::OpenStream;
