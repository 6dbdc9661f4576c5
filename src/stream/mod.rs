//! Streams: a session dials and accepts them, by pending accepts or by forwarding, and a listener returns
//! the accepted ones.

mod accept_pool;
mod accept_queue;
mod connect;
mod first_dials;
mod forward_acceptor;
mod forwarded;
mod forwarding;
mod inbound_mode;
mod listener;
mod sam_stream;
mod session;
mod standby;

pub use accept_queue::BacklogPolicy;
pub(crate) use accept_queue::{AcceptQueue, BacklogLimits};
pub(crate) use connect::dialler;
pub use connect::{Connect, ConnectOptions};
pub use forwarding::{ForwardOptions, Forwarding};
pub(crate) use listener::Source;
pub use listener::{Incoming, ListenerStats, SamListener};
pub use sam_stream::SamStream;
pub use session::StreamSession;
pub(crate) use session::StreamSettings;
