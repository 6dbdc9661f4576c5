//! Sessions: a destination of our own on a router, and what is made from it.

mod accepting;
mod backlog;
mod builder;
mod callers;
mod control;
mod datagram;
mod datagrams;
mod forwarding;
mod guard;
mod id;
mod intake;
mod mailbox;
mod options;
mod primary;
mod raw;
mod replies;
mod sender;
mod stream;
mod subsession;
mod udp;
mod voice;

pub use backlog::WhenFull;
pub use builder::SessionBuilder;
pub(crate) use callers::Callers;
pub(crate) use control::Control;
pub use datagram::{DatagramOptions, DatagramSession, DatagramStyle};
pub use forwarding::{ForwardOptions, Forwarding};
pub use guard::SessionGuard;
pub use mailbox::DroppedDatagrams;
pub use options::*;
pub use primary::{PrimarySession, SubsessionOptions};
pub use raw::{RawOptions, RawSession};
pub use sender::Sender;
pub use stream::{ConnectOptions, StreamSession};
pub use udp::DatagramSource;
