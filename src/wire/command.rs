use std::borrow::Cow;
use std::fmt::{self, Write};

use super::scan::is_plain;
use crate::address::Wiped;
use crate::wire::{Message, ParseError, ParseErrorKind, Secret, Version, redact};

/// The length of the longest command with its line end: 8192 bytes.
///
/// Java I2P replies to a longer one with `Line too long` and closes; i2pd has the same limit.
pub const MAX_COMMAND: usize = 8192;

/// The length of the longest name or value of an option, in bytes. I2CP gives a length one byte.
const MAX_OPTION: usize = 255;

/// More than the length of a number or a version, with a blank and an equals sign.
const LONGEST_PLAIN: usize = 24;

/// A key of a command and its value.
pub(crate) type Pair = (&'static str, String);

/// One line for a bridge. Each value of this type can be sent: it is one line within the limit,
/// with everything escaped that needs to be.
///
/// Values are quoted only if necessary, since i2pd does not know quotes: with it, a value that
/// contains a blank arrives in pieces.
///
/// `Debug` shows only the two words and the length of the command: the rest may be a private key.
///
/// ```
/// use i2p_sam::wire::Command;
///
/// let command = Command::new("NAMING", "LOOKUP").pair("NAME", "stats.i2p")?;
/// assert_eq!(command.as_str(), "NAMING LOOKUP NAME=stats.i2p\n");
/// assert!(Command::new("NAMING", "LOOKUP").pair("NAME", "a\nQUIT").is_err());
/// # Ok::<(), i2p_sam::wire::CommandError>(())
/// ```
#[derive(Clone)]
pub struct Command {
    line: Wiped<String>,
    words: Cow<'static, str>,
    /// The texts that a bridge may repeat and no error may show.
    secrets: Vec<Secret>,
}

impl Command {
    /// Creates a command of two words.
    ///
    /// The words come from the program, never from a user; they are not checked.
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// let command = Command::new("SESSION", "CREATE").pair("STYLE", "STREAM")?;
    /// assert_eq!(command.as_str(), "SESSION CREATE STYLE=STREAM\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(topic: &'static str, action: &'static str) -> Self {
        Self::with_room(topic, action, 64)
    }

    /// Creates a command whose line will be about so long.
    fn with_room(topic: &'static str, action: &'static str, room: usize) -> Self {
        let mut line = String::with_capacity(room);
        for part in [topic, " ", action, "\n"] {
            line.push_str(part);
        }
        Self {
            line: Wiped::new(line),
            words: topic.into(),
            secrets: Vec::new(),
        }
    }

    /// Creates `HELLO VERSION MIN= MAX=`, with `USER` and `PASSWORD` if the bridge requires them.
    ///
    /// # Errors
    ///
    /// Returns [`CommandError`] if the user name or the password cannot be sent.
    ///
    /// ```
    /// use i2p_sam::Version;
    /// use i2p_sam::wire::Command;
    ///
    /// let command = Command::hello(Version::V3_1, Version::V3_3, None)?;
    /// assert_eq!(command.as_str(), "HELLO VERSION MIN=3.1 MAX=3.3\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hello(
        min: Version,
        max: Version,
        credentials: Option<(&str, &str)>,
    ) -> Result<Self, CommandError> {
        let hello = Self::new("HELLO", "VERSION")
            .plain_pair("MIN", min)?
            .plain_pair("MAX", max)?;
        match credentials {
            None => Ok(hello),
            Some((user, password)) => {
                let mut hello = hello.pair("USER", user)?;
                hello.secrets.push(Secret::name(user));
                hello.pair("PASSWORD", password)
            }
        }
    }

    /// Creates `DEST GENERATE SIGNATURE_TYPE=`.
    ///
    /// # Errors
    ///
    /// A number causes none; the result has the type of [`pair`](Command::pair).
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// assert_eq!(Command::dest_generate(7)?.as_str(), "DEST GENERATE SIGNATURE_TYPE=7\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn dest_generate(signature_type: u16) -> Result<Self, CommandError> {
        Self::new("DEST", "GENERATE").plain_pair("SIGNATURE_TYPE", signature_type)
    }

    /// Creates `NAMING LOOKUP NAME=`.
    ///
    /// # Errors
    ///
    /// Returns [`CommandError`] if the name cannot be sent.
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// assert_eq!(Command::naming_lookup("stats.i2p")?.as_str(), "NAMING LOOKUP NAME=stats.i2p\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn naming_lookup(name: &str) -> Result<Self, CommandError> {
        Self::new("NAMING", "LOOKUP").pair("NAME", name)
    }

    /// Creates `SESSION REMOVE ID=`, which ends a subsession.
    ///
    /// # Errors
    ///
    /// Returns [`CommandError`] if the id cannot be sent.
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// assert_eq!(Command::session_remove("chat")?.as_str(), "SESSION REMOVE ID=chat\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn session_remove(id: &str) -> Result<Self, CommandError> {
        Self::new("SESSION", "REMOVE").pair("ID", id)
    }

    /// Creates `STREAM ACCEPT ID= SILENT=false`.
    ///
    /// # Errors
    ///
    /// Returns [`CommandError`] if the id cannot be sent.
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// assert_eq!(Command::stream_accept("chat")?.as_str(), "STREAM ACCEPT ID=chat SILENT=false\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream_accept(id: &str) -> Result<Self, CommandError> {
        Self::new("STREAM", "ACCEPT")
            .pair("ID", id)?
            .pair("SILENT", "false")
    }

    /// Creates `STREAM CONNECT ID= DESTINATION= SILENT=false`, with the ports if they are given. Port 0 is
    /// no port.
    ///
    /// # Errors
    ///
    /// Returns [`CommandError`] if the id or the destination cannot be sent.
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// let command = Command::stream_connect("chat", "stats.i2p", None, Some(80))?;
    /// assert!(command.as_str().ends_with(" SILENT=false TO_PORT=80\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream_connect(
        id: &str,
        destination: &str,
        from_port: Option<u16>,
        to_port: Option<u16>,
    ) -> Result<Self, CommandError> {
        let room = 96 + id.len() + destination.len();
        Self::with_room("STREAM", "CONNECT", room)
            .pair("ID", id)?
            .pair("DESTINATION", destination)?
            .pair("SILENT", "false")?
            .port("FROM_PORT", from_port.filter(|port| *port != 0))?
            .port("TO_PORT", to_port.filter(|port| *port != 0))
    }

    /// Creates `STREAM FORWARD ID= PORT= SILENT=`, with the host if one is given.
    ///
    /// # Errors
    ///
    /// Returns [`CommandError`] if the id or the host cannot be sent.
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// let command = Command::stream_forward("web", 8080, None, false)?;
    /// assert_eq!(command.as_str(), "STREAM FORWARD ID=web PORT=8080 SILENT=false\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream_forward(
        id: &str,
        port: u16,
        host: Option<&str>,
        silent: bool,
    ) -> Result<Self, CommandError> {
        let command = Self::new("STREAM", "FORWARD")
            .pair("ID", id)?
            .port("PORT", Some(port))?;
        let command = match host {
            None => command,
            Some(host) => command.pair("HOST", host)?,
        };
        command.pair("SILENT", if silent { "true" } else { "false" })
    }

    /// Creates `PING` with the text that the bridge returns.
    ///
    /// # Errors
    ///
    /// Returns [`CommandError`] if the text contains a line end or NUL, or is too long.
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// assert_eq!(Command::ping("1718000000")?.as_str(), "PING 1718000000\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ping(text: &str) -> Result<Self, CommandError> {
        Self::free_text("PING", text)
    }

    /// Creates `PONG` with the text of the `PING` that it answers: Java I2P ends a session whose
    /// `PONG` lacks the text.
    ///
    /// # Errors
    ///
    /// Returns [`CommandError`] if the text contains a line end or NUL, or is too long.
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// // The text of the PING.
    /// assert_eq!(Command::pong("1718000000")?.as_str(), "PONG 1718000000\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pong(text: &str) -> Result<Self, CommandError> {
        Self::free_text("PONG", text)
    }

    /// Creates `QUIT`, the last command of a session. Java I2P and emissary free its id and key at
    /// once.
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// assert_eq!(Command::quit().as_str(), "QUIT\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn quit() -> Self {
        Self {
            line: Wiped::new("QUIT\n".to_owned()),
            words: "QUIT".into(),
            secrets: Vec::new(),
        }
    }

    /// Reads a command from its line, with the rules of the builder: it accepts the lines that this type
    /// writes, and no others. So the command has one line end and is within [`MAX_COMMAND`], one blank
    /// separates its parts, values are in quotes only if they need them, and none is empty. The words
    /// are those of any client.
    ///
    /// A bridge accepts more than that, in ways that differ from router to router. This is for programs
    /// that test or record a client.
    ///
    /// # Errors
    ///
    /// Returns a [`ParseError`] with the place of the fault: [`ParseErrorKind::TooLong`] if there is no
    /// line end within the limit, [`ParseErrorKind::Utf8`], [`ParseErrorKind::Empty`],
    /// [`ParseErrorKind::UnterminatedQuote`], and [`ParseErrorKind::Form`] for everything that a client
    /// would have written otherwise.
    ///
    /// ```
    /// use i2p_sam::wire::{Command, ParseErrorKind};
    ///
    /// let command = Command::parse(b"NAMING LOOKUP NAME=stats.i2p\n")?;
    /// assert_eq!(command, Command::naming_lookup("stats.i2p").unwrap());
    /// assert_eq!(command.message()?.value("NAME").unwrap().raw(), "stats.i2p");
    ///
    /// let error = Command::parse(b"NAMING LOOKUP NAME=\"stats.i2p\"\n").unwrap_err();
    /// assert_eq!((error.kind(), error.offset()), (ParseErrorKind::Form, 19));
    /// # Ok::<(), i2p_sam::wire::ParseError>(())
    /// ```
    pub fn parse(line: &[u8]) -> Result<Self, ParseError> {
        if line.len() > MAX_COMMAND || !line.ends_with(b"\n") {
            return Err(ParseError::new(ParseErrorKind::TooLong, line.len()));
        }
        let command = Self::rebuild(&Message::parse(line)?, line)?;
        command.check_prefix(line)?;
        match command.line.len() == line.len() {
            true => Ok(command),
            false => Err(ParseError::new(
                ParseErrorKind::Form,
                command.line.len() - 1,
            )),
        }
    }

    /// Compares what is written so far with the start of a line.
    fn check_prefix(&self, line: &[u8]) -> Result<(), ParseError> {
        let written = self.line.trim_end_matches('\n').as_bytes();
        let mut pairs = written.iter().zip(line);
        match pairs.position(|(own, other)| own != other) {
            Some(offset) => Err(ParseError::new(ParseErrorKind::Form, offset)),
            None => Ok(()),
        }
    }

    /// Returns the command with the words and pairs of a message, as a client writes it.
    fn rebuild(message: &Message<'_>, line: &[u8]) -> Result<Self, ParseError> {
        let form = |offset| ParseError::new(ParseErrorKind::Form, offset);
        let topic = message.topic();
        if let Some(text) = message.text() {
            return Self::free_text(topic, text).map_err(|_| form(topic.len() + 1));
        }
        if check_key(topic).is_err() {
            return Err(form(0));
        }
        let start = match message.action() {
            Some(action) if check_key(action).is_err() => return Err(form(topic.len() + 1)),
            Some(action) => format!("{topic} {action}\n"),
            None => format!("{topic}\n"),
        };
        let mut command = Self {
            line: Wiped::new(start),
            words: topic.to_owned().into(),
            secrets: Vec::new(),
        };
        command.check_prefix(line)?;
        for param in message.params() {
            let param = param?;
            let offset = command.line.len();
            // A client sends no pairs without an action, and none without a value.
            let value = param.value().filter(|_| message.action().is_some());
            let value = value.ok_or(form(offset))?.unescape();
            if (topic, param.key()) == ("HELLO", "USER") {
                command.secrets.push(Secret::name(&value));
            }
            command = command
                .pair(param.key(), &value)
                .map_err(|_| form(offset))?;
            command.check_prefix(line)?;
        }
        Ok(command)
    }

    /// Returns the parts of the command, parsed in place.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Message::parse`], which a command causes only if its words do: they are
    /// not checked.
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// let command = Command::naming_lookup("stats.i2p")?;
    /// let name = command.message()?.value("NAME").map(|value| value.unescape().into_owned());
    /// assert_eq!(name.as_deref(), Some("stats.i2p"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn message(&self) -> Result<Message<'_>, ParseError> {
        Message::parse(self.as_bytes())
    }

    fn free_text(word: &str, text: &str) -> Result<Self, CommandError> {
        check_text(word, text)?;
        let line = match text {
            "" => format!("{word}\n"),
            text => format!("{word} {text}\n"),
        };
        let command = Self {
            line: Wiped::new(line),
            words: word.to_owned().into(),
            secrets: Vec::new(),
        };
        command.within_limit(word)
    }

    /// Adds `key=value`, quoted and escaped if necessary.
    ///
    /// # Errors
    ///
    /// Returns [`CommandError`] if the key is empty or contains a blank, `=`, a quote, a backslash
    /// or a control character; if the value is empty (Java I2P reads an empty value as `true`) or
    /// contains CR, LF or NUL; or if the line would exceed [`MAX_COMMAND`].
    ///
    /// ```
    /// use i2p_sam::wire::Command;
    ///
    /// let command = Command::new("AUTH", "ADD").pair("USER", "joe")?.pair("PASSWORD", "correct horse")?;
    /// assert_eq!(command.as_str(), "AUTH ADD USER=joe PASSWORD=\"correct horse\"\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pair(mut self, key: &str, value: &str) -> Result<Self, CommandError> {
        check_key(key)?;
        let is_plain = is_plain(value);
        if !is_plain {
            check_text(key, value)?;
        }
        if value.is_empty() {
            return Err(CommandError::new(key, CommandFault::Empty));
        }
        self.secrets.extend(Secret::of_pair(key, value));
        // Two quotes, and as many backslashes as the value needs.
        self.line.make_room(key.len() + 2 * value.len() + 4);
        self.line.pop();
        self.line.push(' ');
        self.line.push_str(key);
        self.line.push('=');
        if !is_plain && needs_quotes(value) {
            self.push_quoted(value);
        } else {
            self.line.push_str(value);
        }
        self.line.push('\n');
        self.within_limit(key)
    }

    fn port(self, key: &str, port: Option<u16>) -> Result<Self, CommandError> {
        match port {
            None => Ok(self),
            Some(port) => self.plain_pair(key, port),
        }
    }

    /// Adds a pair whose value is a number or a version.
    fn plain_pair(mut self, key: &str, value: impl fmt::Display) -> Result<Self, CommandError> {
        self.line.make_room(key.len() + LONGEST_PLAIN);
        self.line.pop();
        // Writing to a string does not fail.
        let _ = writeln!(self.line, " {key}={value}");
        self.within_limit(key)
    }

    fn push_quoted(&mut self, value: &str) {
        self.line.push('"');
        for char in value.chars() {
            if matches!(char, '"' | '\\') {
                self.line.push('\\');
            }
            self.line.push(char);
        }
        self.line.push('"');
    }

    fn within_limit(self, key: &str) -> Result<Self, CommandError> {
        if self.line.len() > MAX_COMMAND {
            return Err(CommandError::new(key, CommandFault::TooLong(MAX_COMMAND)));
        }
        Ok(self)
    }

    /// Returns the passwords in the command, and the names that belong to them.
    pub(crate) fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// Returns the line with its line end. It may contain a private key or a password: do not log
    /// it.
    pub fn as_str(&self) -> &str {
        &self.line
    }

    /// Returns the bytes of [`as_str`](Command::as_str).
    pub fn as_bytes(&self) -> &[u8] {
        self.line.as_bytes()
    }
}

/// Two commands are equal if their lines are.
impl PartialEq for Command {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Command {}

/// Shows only the words and the length of the command.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({} …, {} bytes)", self.words, self.line.len())
    }
}

/// A field that cannot be sent in one line, and the reason. It never contains the field's text.
///
/// ```
/// use i2p_sam::wire::{Command, CommandFault};
///
/// let error = Command::naming_lookup("a\rb").unwrap_err();
/// assert_eq!(error.fault(), CommandFault::Character { offset: 1 });
/// assert_eq!(error.to_string(), "NAME cannot be sent: a forbidden character at byte 1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} cannot be sent: {fault}")]
pub struct CommandError {
    field: Box<str>,
    fault: CommandFault,
}

impl CommandError {
    pub(crate) fn new(field: &str, fault: CommandFault) -> Self {
        Self {
            field: redact(field).into(),
            fault,
        }
    }

    /// Returns the name of the field, such as `NAME` or `inbound.length`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Returns the kind of the fault.
    pub fn fault(&self) -> CommandFault {
        self.fault
    }
}

/// The kinds of [`CommandError`]. More may be added, so match with a wildcard.
///
/// ```
/// use i2p_sam::wire::{Command, CommandFault};
///
/// let reason = |name: &str| match Command::naming_lookup(name).map_err(|error| error.fault()) {
///     Ok(_) => "it can be sent",
///     Err(CommandFault::Empty) => "no name",
///     Err(CommandFault::TooLong(_)) => "too long",
///     Err(_) => "cannot be sent",
/// };
/// assert_eq!(reason("stats.i2p"), "it can be sent");
/// assert_eq!(reason("two\nlines.i2p"), "cannot be sent");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CommandFault {
    /// The field contains a character at this byte that no line can carry there.
    #[error("a forbidden character at byte {offset}")]
    Character {
        /// The offset of the character, from 0.
        offset: usize,
    },
    /// The field is empty. Java I2P would read that as `true`.
    #[error("it is empty")]
    Empty,
    /// The field, or the line with it, is longer than this many bytes.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// The field would need quotes, which this version of the protocol, or this kind of field on
    /// some routers, does not support.
    #[error("it contains a blank, quote or backslash, which not every router can receive")]
    Quotes,
    /// The field is outside the range that the protocol allows.
    #[error("outside {min} to {max}")]
    Range {
        /// The smallest value.
        min: i64,
        /// The largest value.
        max: i64,
    },
    /// The field is not a whole number of milliseconds, the unit of routers.
    #[error("not a whole number of milliseconds")]
    Fraction,
    /// The client sets the field itself; set it through its own method.
    #[error("the client sets it itself")]
    Reserved,
}

/// Checks the name of an option: up to 255 bytes, valid as a key.
pub(crate) fn check_name(name: &str) -> Result<(), CommandError> {
    check_key(name)?;
    if name.len() > MAX_OPTION {
        return Err(CommandError::new("name", CommandFault::TooLong(MAX_OPTION)));
    }
    Ok(())
}

/// Checks the value of an option: 1 to 255 bytes that fit into one line.
pub(crate) fn check_value(name: &str, value: &str) -> Result<(), CommandError> {
    check_text(name, value)?;
    match value.len() {
        0 => Err(CommandError::new(name, CommandFault::Empty)),
        1..=MAX_OPTION => Ok(()),
        _ => Err(CommandError::new(name, CommandFault::TooLong(MAX_OPTION))),
    }
}

/// Returns true if a value can only be sent in quotes.
pub(crate) fn needs_quotes(value: &str) -> bool {
    value
        .chars()
        .any(|char| char.is_whitespace() || matches!(char, '"' | '\\'))
}

fn check_key(key: &str) -> Result<(), CommandError> {
    if key.is_empty() {
        return Err(CommandError::new("name", CommandFault::Empty));
    }
    if is_plain(key) && !key.contains('=') {
        return Ok(());
    }
    let forbidden =
        |char: char| char.is_control() || char.is_whitespace() || matches!(char, '=' | '"' | '\\');
    match key.find(forbidden) {
        Some(offset) => Err(CommandError::new(
            "name",
            CommandFault::Character { offset },
        )),
        None => Ok(()),
    }
}

fn check_text(field: &str, text: &str) -> Result<(), CommandError> {
    match text.find(['\r', '\n', '\0']) {
        Some(offset) => Err(CommandError::new(field, CommandFault::Character { offset })),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Message;

    fn pair(key: &str, value: &str) -> Result<String, CommandFault> {
        Command::new("A", "B")
            .pair(key, value)
            .map(|command| command.as_str().to_owned())
            .map_err(|error| error.fault())
    }

    #[test]
    fn plain_values_are_unquoted() {
        for value in ["x", "4,0", "ab~-==", "é", "a'b", "k=v"] {
            assert_eq!(pair("K", value), Ok(format!("A B K={value}\n")));
        }
    }

    #[test]
    fn special_characters_are_quoted_and_escaped() {
        assert_eq!(pair("K", "a b"), Ok("A B K=\"a b\"\n".to_owned()));
        assert_eq!(pair("K", "a\"b"), Ok("A B K=\"a\\\"b\"\n".to_owned()));
        assert_eq!(pair("K", "a\\"), Ok("A B K=\"a\\\\\"\n".to_owned()));
    }

    #[test]
    fn quoted_value_parses_back_unchanged() {
        for value in ["a b", "\"", "\\", "\\\"", " ", "a\\ b", "=\" \""] {
            let line = pair("K", value).unwrap();
            let message = Message::parse(line.as_bytes()).unwrap();
            assert_eq!(message.value("K").unwrap().unescape(), value);
        }
    }

    fn fault(line: &[u8]) -> (ParseErrorKind, usize) {
        let error = Command::parse(line).unwrap_err();
        (error.kind(), error.offset())
    }

    #[test]
    fn command_parses_back_from_its_line() {
        let commands = [
            Command::hello(Version::V3_1, Version::V3_3, Some(("a b", "c\"d"))).unwrap(),
            Command::dest_generate(7).unwrap(),
            Command::stream_connect("id", "é.i2p", Some(1), None).unwrap(),
            Command::ping("").unwrap(),
            Command::pong(" 1  a=\"b ").unwrap(),
            Command::quit(),
        ];
        for command in commands {
            let parsed = Command::parse(command.as_bytes()).unwrap();
            assert_eq!(parsed, command);
            assert_eq!(parsed.secrets().len(), command.secrets().len());
            assert_eq!(format!("{parsed:?}"), format!("{command:?}"));
        }
    }

    #[test]
    fn line_that_no_client_writes_is_refused_at_its_place() {
        for (line, offset) in [
            (" A B\n", 0),
            ("A  B\n", 2),
            ("A B \n", 3),
            ("A B\r\n", 3),
            ("A B\tX=1\n", 3),
            ("A B X\n", 4),
            ("A B X=\n", 4),
            ("A B =1\n", 4),
            ("A B X=1 Y=\"2\"\n", 10),
            ("A B X=\"\\2\"\n", 6),
            ("A B X=a\"b\n", 6),
            ("A X=1\n", 2),
            ("A=1 B\n", 0),
            ("PING \n", 4),
            ("PING a\0\n", 5),
        ] {
            assert_eq!(
                fault(line.as_bytes()),
                (ParseErrorKind::Form, offset),
                "{line:?}"
            );
        }
    }

    #[test]
    fn line_without_its_end_is_refused() {
        assert_eq!(fault(b"A B"), (ParseErrorKind::TooLong, 3));
        let long = [&b"PING "[..], &[b'x'; MAX_COMMAND], b"\n"].concat();
        assert_eq!(fault(&long), (ParseErrorKind::TooLong, long.len()));
        assert_eq!(fault(b"A B X=\"1\n").0, ParseErrorKind::UnterminatedQuote);
        assert_eq!(fault(b"\n").0, ParseErrorKind::Empty);
        assert_eq!(fault(b"A B X=\xff\n"), (ParseErrorKind::Utf8, 6));
    }

    #[test]
    fn newlines_and_nul_are_refused_everywhere() {
        for bad in ['\n', '\r', '\0'] {
            for offset in 0..3 {
                let mut value = "abc".to_owned();
                value.insert(offset, bad);
                let fault = Err(CommandFault::Character { offset });
                assert_eq!(pair("K", &value), fault);
                assert_eq!(pair(&value, "v"), fault);
            }
        }
    }

    #[test]
    fn ambiguous_keys_are_refused() {
        for key in ["a b", "a=b", "a\"b", "a\\b", "a\tb"] {
            assert_eq!(pair(key, "v"), Err(CommandFault::Character { offset: 1 }));
        }
        assert_eq!(pair("", "v"), Err(CommandFault::Empty));
    }

    #[test]
    fn empty_value_is_refused_for_java() {
        assert_eq!(pair("K", ""), Err(CommandFault::Empty));
    }

    #[test]
    fn line_beyond_maximum_is_refused() {
        let longest = "x".repeat(MAX_COMMAND - "A B K=\n".len());
        assert_eq!(pair("K", &longest).unwrap().len(), MAX_COMMAND);
        let longer = format!("{longest}x");
        assert_eq!(pair("K", &longer), Err(CommandFault::TooLong(MAX_COMMAND)));
    }

    #[test]
    fn pong_repeats_ping_text() {
        let ping = Message::parse(b"PING 1795375816695 a  \"b\n").unwrap();
        let pong = Command::pong(ping.text().unwrap()).unwrap();
        assert_eq!(pong.as_str(), "PONG 1795375816695 a  \"b\n");
        assert_eq!(Command::pong("").unwrap().as_str(), "PONG\n");
    }

    #[test]
    fn hello_includes_credentials_if_set() {
        let hello = |credentials| {
            let command = Command::hello(Version::V3_1, Version::V3_3, credentials).unwrap();
            command.as_str().to_owned()
        };
        assert_eq!(hello(None), "HELLO VERSION MIN=3.1 MAX=3.3\n");
        assert_eq!(
            hello(Some(("me", "a b"))),
            "HELLO VERSION MIN=3.1 MAX=3.3 USER=me PASSWORD=\"a b\"\n"
        );
    }

    #[test]
    fn ports_are_included_if_set() {
        let line = Command::stream_connect("id", "x.i2p", Some(1), Some(80)).unwrap();
        assert_eq!(
            line.as_str(),
            "STREAM CONNECT ID=id DESTINATION=x.i2p SILENT=false FROM_PORT=1 TO_PORT=80\n"
        );
    }

    #[test]
    fn port_zero_is_left_out() {
        let line = Command::stream_connect("id", "x.i2p", Some(0), Some(0)).unwrap();
        assert_eq!(
            line.as_str(),
            "STREAM CONNECT ID=id DESTINATION=x.i2p SILENT=false\n"
        );
    }

    #[test]
    fn forward_host_is_included_if_set() {
        let line = |host| {
            let command = Command::stream_forward("id", 80, host, true).unwrap();
            command.as_str().to_owned()
        };
        assert_eq!(line(None), "STREAM FORWARD ID=id PORT=80 SILENT=true\n");
        assert_eq!(
            line(Some("::1")),
            "STREAM FORWARD ID=id PORT=80 HOST=::1 SILENT=true\n"
        );
    }

    #[test]
    fn commands_are_equal_if_their_lines_are() {
        let lookup = |name| Command::naming_lookup(name).unwrap();
        assert_eq!(lookup("a.i2p"), lookup("a.i2p"));
        assert_ne!(lookup("a.i2p"), lookup("b.i2p"));
        assert_eq!(lookup("a.i2p").as_bytes(), b"NAMING LOOKUP NAME=a.i2p\n");
    }

    #[test]
    fn debug_and_errors_conceal_values() {
        let command = Command::new("A", "B").pair("PASSWORD", "hunter2").unwrap();
        assert_eq!(format!("{command:?}"), "Command(A …, 21 bytes)");
        let error = Command::new("A", "B").pair("P", "hunter2\n").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}
