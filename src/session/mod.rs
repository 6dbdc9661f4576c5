//! The common parts of all sessions. Each session is a destination of our own on a router, from which
//! streams and datagram sockets are made.

pub(crate) mod common_methods;
pub(crate) mod control;
pub(crate) mod core;
mod default_ports;
mod end;
pub(crate) mod id;
mod lookup;
mod options;
pub(crate) mod streams;

pub(crate) use control::{Frame, Frames};
pub(crate) use core::SessionCore;
pub use core::SessionGuard;
pub(crate) use default_ports::DefaultPorts;
pub(crate) use end::SessionEnd;
pub(crate) use lookup::known_without_asking;
pub use options::*;
pub(crate) use streams::OpenStream;
