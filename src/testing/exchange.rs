use std::fmt;
use std::io::Read;
use std::net::TcpStream;
use std::time::Instant;

use crate::wire::Line;

use super::link::Link;
use super::profile::LineFacts;
use super::request::Request;

/// One command at a [`TestBridge`](super::TestBridge), in the hands of a
/// [script](super::Fault::script) instead of the router.
///
/// When the script returns, the connection stays open, unless the script has closed it; the next command is
/// handled as usual.
///
/// ```
/// use i2p_sam::testing::{Fault, TestBridge};
///
/// // A bridge that refuses every second lookup.
/// let bridge = TestBridge::start()?;
/// bridge.inject_each("NAMING LOOKUP", Fault::script(|exchange| {
///     match exchange.connection() % 2 {
///         0 => exchange.proceed(),
///         _ => drop(exchange.send("NAMING REPLY RESULT=I2P_ERROR\n")),
///     }
/// }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Exchange<'a> {
    line: &'a str,
    link: &'a Link,
    facts: &'a LineFacts,
    /// Notes a line as one of the bridge's commands.
    note: &'a dyn Fn(&str),
    /// Lets the router carry out a command. It returns false if the connection is at its end.
    carry_out: &'a mut dyn FnMut(&str) -> bool,
    goes_on: bool,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        line: &'a str,
        link: &'a Link,
        facts: &'a LineFacts,
        note: &'a dyn Fn(&str),
        carry_out: &'a mut dyn FnMut(&str) -> bool,
    ) -> Self {
        // A wait for a command may have left a time-out.
        let _ = link.socket().set_read_timeout(None);
        Self {
            line,
            link,
            facts,
            note,
            carry_out,
            goes_on: true,
        }
    }

    /// Returns false if the connection is at its end.
    pub(super) fn goes_on(&self) -> bool {
        self.goes_on
    }

    /// Returns the command, without its line end.
    pub fn command(&self) -> &str {
        self.line
    }

    /// Returns the value of a pair of the command.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::script(|exchange| {
    ///     assert_eq!(exchange.value("MAX").as_deref(), Some("3.3"));
    ///     exchange.proceed();
    /// }));
    /// assert!(router.bridge().version().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn value(&self, key: &str) -> Option<String> {
        let request = Request::read(self.line, self.facts);
        request.ok()??.value(key).map(str::to_owned)
    }

    /// Returns the number of the connection: 0 for the first one at this bridge, and so on.
    pub fn connection(&self) -> usize {
        self.link.number
    }

    /// Sends bytes to the client. Returns false if it has closed.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::script(|exchange| {
    ///     exchange.send("HELLO REPLY RESULT=OK VERSION=3.1\n");
    /// }));
    /// assert_eq!(router.bridge().version()?, i2p_sam::Version::V3_1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> bool {
        self.link.send(bytes.as_ref())
    }

    /// Waits for the next line, and returns it without its line end; `None` at the end. No byte after it is
    /// read. The line is one of the bridge's [commands](super::TestBridge::commands).
    pub fn read_line(&self) -> Option<String> {
        let mut line = Vec::new();
        let never: Option<Instant> = None;
        match self.link.read_line(&mut line, never) {
            Ok(Line::Complete) => {}
            Ok(Line::Unterminated) if !line.is_empty() => {}
            _ => return None,
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        (self.note)(&line);
        Some(line)
    }

    /// Waits for bytes and reads them; 0 at the end.
    ///
    /// ```
    /// use std::io::Write;
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// // The peer of this stream repeats the first bytes, and closes.
    /// let router = TestBridge::start()?;
    /// router.inject("STREAM CONNECT", Fault::script(|exchange| {
    ///     exchange.send("STREAM STATUS RESULT=OK\n");
    ///     let mut buf = [0; 64];
    ///     let len = exchange.read(&mut buf);
    ///     exchange.send(&buf[..len]);
    ///     exchange.close();
    /// }));
    /// let mut stream = router.bridge().session().stream()?.connect("echo.i2p")?;
    /// stream.write_all(b"hello")?;
    /// assert_eq!(std::io::read_to_string(&stream)?, "hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, buf: &mut [u8]) -> usize {
        let mut socket = self.link.socket();
        socket.read(buf).unwrap_or(0)
    }

    /// Waits until the client closes, and returns what it sent until then.
    pub fn read_to_end(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut socket = self.link.socket();
        // The end by a reset is an end as well.
        let _ = socket.read_to_end(&mut bytes);
        bytes
    }

    /// Returns the connection itself, for what no other method does. Bytes that are written to it pass by the
    /// faults of the connection.
    pub fn stream(&self) -> &TcpStream {
        self.link.socket()
    }

    /// Lets the router carry out the command. It returns when the router has replied; after a command that
    /// makes the connection a stream, when the stream has ended.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::script(|exchange| {
    ///     exchange.proceed();
    /// }));
    /// assert!(router.bridge().version().is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn proceed(&mut self) {
        let line = self.line;
        self.goes_on = (self.carry_out)(line);
    }

    /// Lets the router carry out another command instead.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::script(|exchange| {
    ///     exchange.proceed_as("HELLO VERSION MIN=3.1 MAX=3.1");
    /// }));
    /// assert_eq!(router.bridge().version()?, i2p_sam::Version::V3_1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn proceed_as(&mut self, command: &str) {
        self.goes_on = (self.carry_out)(command);
    }

    /// Drops the socket of the connection when the script returns, and reads nothing any more. The system
    /// resets the connection if the client has sent more than was read, or if the socket's `SO_LINGER` is 0;
    /// otherwise it closes it.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::script(|exchange| {
    ///     exchange.reset();
    /// }));
    /// assert!(router.bridge().version().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset(&mut self) {
        self.goes_on = false;
        self.link.abandon();
    }

    /// Closes the connection. What was sent still arrives.
    ///
    /// ```
    /// use i2p_sam::testing::{Fault, TestBridge};
    ///
    /// let router = TestBridge::start()?;
    /// router.inject("HELLO", Fault::script(|exchange| {
    ///     exchange.send("HELLO REPLY");
    ///     exchange.close();
    /// }));
    /// assert!(router.bridge().version().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&mut self) {
        self.goes_on = false;
        self.link.close();
    }
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("connection", &self.link.number)
            .finish_non_exhaustive()
    }
}
