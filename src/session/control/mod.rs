//! The control socket of a session: everything that is sent and received on it.

mod frames;
mod outbound;
mod requests;
mod socket;

pub(crate) use frames::{Frame, Frames};
pub(crate) use outbound::COMMAND_GAP;
pub(crate) use requests::PendingAnswer;
pub(crate) use socket::ControlSocket;
