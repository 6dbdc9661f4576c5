//! The text protocol: one message is one line.
//!
//! Nothing here opens a socket. [`Message`] parses the lines of a bridge without copying them,
//! [`Command`] writes those of a client, [`read_line`] takes exactly one line from a source,
//! [`StreamHeader`] parses the line before an accepted stream, and [`DatagramHeader`] and
//! [`RawHeader`] the line before a datagram.
//!
//! Most programs do not need this module, since [`SamBridge`](crate::SamBridge) and the sessions
//! use it. It is public for tools that watch or test a bridge.

mod command;
mod datagram;
mod header;
mod line;
mod message;
mod reply;
mod result_code;
mod scan;
mod secret;
mod version;

pub use command::{Command, CommandError, CommandFault, MAX_COMMAND};
pub(crate) use command::{Pair, check_name, check_value, needs_quotes};
pub(crate) use datagram::MAX_DATAGRAM_HEADER;
pub use datagram::{DatagramHeader, RawHeader};
pub use header::StreamHeader;
pub(crate) use header::number;
pub use line::{Line, LineSource, MAX_LINE, read_line};
pub use message::{Message, Param, Params, ParseError, ParseErrorKind, Value};
pub use reply::Reply;
pub use result_code::ResultCode;
pub(crate) use secret::{Secret, conceal, redact};
pub use version::Version;
