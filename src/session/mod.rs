//! Sessions: a destination of our own on a router, and what is made from it.

mod accepting;
mod builder;
mod control;
mod guard;
mod id;
mod options;
mod stream;
mod voice;

pub(crate) use accepting::{Accepting, Arrival};
pub use builder::SessionBuilder;
pub(crate) use control::Control;
pub use guard::SessionGuard;
pub use options::*;
pub use stream::{ConnectOptions, StreamSession};
