//! Sessions: a destination of our own on a router, and what is made from it.

pub(crate) mod accepting;
mod arming;
pub(crate) mod backlog;
mod callers;
pub(crate) mod control;
mod forwarding;
mod frames;
pub(crate) mod guard;
pub(crate) mod handle;
pub(crate) mod id;
pub(crate) mod intake;
mod lookup;
mod options;
mod replies;
pub(crate) mod stream;
mod streams;
pub(crate) mod subsession;
pub(crate) mod voice;

pub use backlog::WhenFull;
pub(crate) use callers::Callers;
pub use forwarding::{ForwardOptions, Forwarding};
pub(crate) use frames::{Frame, Frames};
pub(crate) use guard::Core;
pub use guard::SessionGuard;
pub(crate) use lookup::known_without_asking;
pub use options::*;
pub use stream::{ConnectOptions, StreamSession};
pub(crate) use streams::OpenStream;
