//! The control socket of a session: everything that is sent and received on it.
//!
//! Each file imports only from those after it in this list:
//!
//! - `reader`: starts the threads, reads the lines of the bridge, and decides what each one means: it
//!   answers a PING, and ends the session if the bridge reports its end.
//! - `requests`: one request and its answer: a subsession added or removed, a lookup.
//! - `socket`: [`ControlSocket`], the loss and the close of the session, the thread that writes.
//! - `outbound`: the value that knows which command, datagram or heartbeat is due next.
//! - `pending_requests`: the value that knows to which request an answer belongs.
//! - `frames`: the datagrams of a session that come on the socket.
//!
//! # Threads
//!
//! - **The reader** lives as long as the socket. It is its only reader, and ends when the bridge closes the
//!   socket, or [`ControlSocket::hang_up`] shuts it down. It never writes, because it must go on while a
//!   bridge does not read, or the two would wait for each other.
//! - **The writer** is the only writer, because dropping a session must not block. It is started by the
//!   first command, datagram or close, and ends 5 s after the last one; with a heartbeat it stays. At the
//!   end of the session it writes QUIT, if we closed it, and ends.
//!
//! Both keep the [`ControlSocket`], and neither keeps the session: the last guard of a session closes it,
//! and with the socket both threads end.
//!
//! # Locks
//!
//! No thread takes the lock of `outbound` and that of `requests` together. The answer of a request is locked
//! under that of `requests`. [`Lifetime::end`](crate::sync::Lifetime::end) is called without any of them.
//!
//! # The loss of a session
//!
//! Four places decide that a session is lost. Each calls [`ControlSocket::fail`], and the first reason stays:
//!
//! - `reader`: the bridge has closed the socket, broken the protocol, or reported the end of the session.
//! - the writer: a command cannot be written, a heartbeat is not answered, or one of its checks fails.
//! - `requests`: the bridge does not read, so that too many commands wait.
//! - [`SessionCore::explain`](crate::session::SessionCore::explain): the bridge refuses a command on another
//!   socket because it does not know the session.
//!
//! [`ControlSocket::fail`] frees the key, ends the lifetime of the session, which wakes its calls and shuts
//! its streams down, empties `outbound`, which wakes the writer, and shuts the socket down, which wakes the
//! reader. The reader ends last, and wakes the thread that waits in a close.

mod frames;
mod outbound;
mod pending_requests;
mod reader;
mod requests;
mod socket;

pub(crate) use frames::{Frame, Frames};
pub(crate) use outbound::COMMAND_GAP;
pub(crate) use pending_requests::PendingAnswer;
pub(crate) use socket::ControlSocket;
