//! The text protocol itself: one message is one line.
//!
//! Nothing in here opens a socket. [`Message`] reads what a bridge says without copying it,
//! [`Command`] writes what a client may say, [`read_line`] takes one line from a source and not a
//! byte more, [`StreamHeader`] reads the line that stands in front of an accepted stream, and
//! [`DatagramHeader`] and [`RawHeader`] the one in front of a datagram.
//!
//! Most programs never need this module: [`SamBridge`](crate::SamBridge) and the sessions speak
//! for them. It is public for tools that watch or test a bridge.

mod command;
mod datagram;
mod header;
mod line;
mod message;
mod secret;

pub use command::{Command, CommandError, CommandFault, MAX_COMMAND};
pub(crate) use command::{Pair, check_name, check_value, needs_quotes};
pub(crate) use datagram::MAX_DATAGRAM_HEADER;
pub use datagram::{DatagramHeader, RawHeader};
pub use header::StreamHeader;
pub(crate) use header::number;
pub use line::{Line, LineSource, MAX_LINE, read_line};
pub use message::{Message, Param, Params, ParseError, ParseErrorKind, Value};
pub(crate) use secret::{Secret, conceal, redact};
