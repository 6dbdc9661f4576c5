//! Datagrams between a destination of our own and its peers, by UDP or over the control socket.

mod control_frames;
mod encode;
mod format;
mod options;
mod peer;
mod proof;
mod raw;
mod recv_queue;
mod sender;
mod session;
mod socket;
mod transport;
mod udp;

pub(crate) use format::Format;
pub use options::{DatagramOptions, DatagramStyle};
pub(crate) use raw::RAW_PROTOCOL;
pub use raw::{RawOptions, RawSession};
pub use recv_queue::DroppedDatagrams;
pub use sender::Sender;
pub use session::DatagramSession;
pub(crate) use socket::DatagramSocket;
pub use transport::DatagramTransport;
pub use udp::UdpOptions;
