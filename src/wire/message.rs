use std::borrow::Cow;
use std::fmt;

use super::scan::find_any;
use crate::wire::{ResultCode, redact};

/// One message of a bridge, parsed in place: every part borrows from the line.
///
/// A message consists of a topic, usually an action, and pairs in any order:
///
/// ```text
/// SESSION STATUS RESULT=I2P_ERROR MESSAGE="duplicate destination"
/// ^topic  ^action ^pair           ^pair, its value quoted
/// ```
///
/// `PING` and `PONG` carry free text instead of pairs ([`text`](Message::text)).
///
/// The parser is lenient where real routers are inexact: Java I2P repeats the name of a failed
/// lookup without quotes, so a reply can contain a token that is no pair; it becomes a key without
/// a value. Unknown keys are kept. `Debug` names the keys and never shows their values, since
/// `SESSION STATUS` and `DEST REPLY` carry private keys.
///
/// ```
/// use i2p_sam::wire::Message;
///
/// let message = Message::parse(b"NAMING REPLY RESULT=OK NAME=ME VALUE=abc")?;
/// assert_eq!((message.topic(), message.action()), ("NAMING", Some("REPLY")));
/// assert_eq!(message.value("VALUE").unwrap().raw(), "abc");
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Message<'a> {
    topic: &'a str,
    action: Option<&'a str>,
    rest: &'a str,
    rest_offset: usize,
}

impl<'a> Message<'a> {
    pub(super) const EMPTY: Self = Self {
        topic: "",
        action: None,
        rest: "",
        rest_offset: 0,
    };

    /// Reads one line, with or without its line end.
    ///
    /// # Errors
    ///
    /// Returns [`ParseErrorKind::Utf8`] if the line is not UTF-8, and [`ParseErrorKind::Empty`] if
    /// it contains only blanks. Pairs are parsed on access, so that a malformed one does not
    /// invalidate the `RESULT` before it.
    ///
    /// ```
    /// use i2p_sam::wire::Message;
    ///
    /// let message = Message::parse(b"HELLO REPLY RESULT=OK VERSION=3.3")?;
    /// assert_eq!((message.topic(), message.action()), ("HELLO", Some("REPLY")));
    /// # Ok::<(), i2p_sam::wire::ParseError>(())
    /// ```
    pub fn parse(line: &'a [u8]) -> Result<Self, ParseError> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line)
            .map_err(|error| ParseError::new(ParseErrorKind::Utf8, error.valid_up_to()))?;

        let mut cursor = Cursor::new(text);
        cursor.skip_blanks();
        let topic = cursor.word();
        if topic.is_empty() {
            return Err(ParseError::new(ParseErrorKind::Empty, cursor.offset));
        }
        if matches!(topic, "PING" | "PONG") {
            cursor.skip_one_blank();
            return Ok(Self::new(topic, None, cursor));
        }
        cursor.skip_blanks();
        let before_action = cursor;
        let action = cursor.word();
        if action.is_empty() || action.contains(['=', '"']) {
            return Ok(Self::new(topic, None, before_action));
        }
        Ok(Self::new(topic, Some(action), cursor))
    }

    fn new(topic: &'a str, action: Option<&'a str>, cursor: Cursor<'a>) -> Self {
        Self {
            topic,
            action,
            rest: cursor.rest,
            rest_offset: cursor.offset,
        }
    }

    /// Returns the first word, such as `SESSION`.
    pub fn topic(&self) -> &'a str {
        self.topic
    }

    /// Returns the second word, such as `STATUS`, if there is one that is not a pair.
    pub fn action(&self) -> Option<&'a str> {
        self.action
    }

    /// Returns true if the topic and the action are these.
    ///
    /// ```
    /// use i2p_sam::wire::Message;
    ///
    /// let message = Message::parse(b"STREAM STATUS RESULT=OK")?;
    /// assert!(message.is("STREAM", "STATUS"));
    /// # Ok::<(), i2p_sam::wire::ParseError>(())
    /// ```
    pub fn is(&self, topic: &str, action: &str) -> bool {
        self.topic == topic && self.action == Some(action)
    }

    /// Returns the free text after `PING` or `PONG`, and `None` for any other message.
    ///
    /// One blank separates the text from the word; everything after the blank belongs to the text.
    pub fn text(&self) -> Option<&'a str> {
        matches!(self.topic, "PING" | "PONG").then_some(self.rest)
    }

    /// Returns the pairs, in the order of the line. There are none for `PING` and `PONG`.
    pub fn params(&self) -> Params<'a> {
        let rest = match self.text() {
            Some(_) => "",
            None => self.rest,
        };
        Params {
            cursor: Cursor {
                rest,
                offset: self.rest_offset,
            },
        }
    }

    /// Returns the value of the first pair with this key.
    ///
    /// A key without `=` has no value. The part after a malformed pair is not searched.
    ///
    /// ```
    /// use i2p_sam::wire::Message;
    ///
    /// let message = Message::parse(br#"STREAM STATUS RESULT=I2P_ERROR MESSAGE="no route""#)?;
    /// assert_eq!(message.value("MESSAGE").unwrap().unescape(), "no route");
    /// assert!(message.value("NAME").is_none());
    /// # Ok::<(), i2p_sam::wire::ParseError>(())
    /// ```
    pub fn value(&self, key: &str) -> Option<Value<'a>> {
        self.params()
            .map_while(Result::ok)
            .find(|param| param.key == key)
            .and_then(|param| param.value)
    }

    /// Returns the value that a message with this key must have.
    pub(crate) fn require(&self, key: &str) -> Result<Cow<'a, str>, ParseError> {
        let missing = ParseError::new(ParseErrorKind::MissingPair, 0);
        Ok(self.value(key).ok_or(missing)?.unescape())
    }

    /// Returns the bridge's result for the command: the value of `RESULT`.
    pub fn result(&self) -> Option<ResultCode> {
        let value = self.value("RESULT")?;
        Some(ResultCode::from_wire(&value.unescape()))
    }

    /// Returns the explanation of the bridge (`MESSAGE=`) in a form that may be shown: control
    /// characters are replaced, and anything long enough to be a key is cut out.
    pub fn explanation(&self) -> Option<String> {
        self.value("MESSAGE").map(|value| redact(&value.unescape()))
    }
}

/// Shows the topic, the action and the names of the pairs; never a value.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &redact(self.topic))
            .field("action", &self.action.map(redact))
            .field("params", &self.params())
            .finish()
    }
}

/// The pairs of a [`Message`], read one by one.
///
/// The iterator yields an error for the first malformed pair, and nothing after it. A clone is
/// cheap and continues at the place of the original.
///
/// ```
/// use i2p_sam::wire::Message;
///
/// let message = Message::parse(br#"NAMING REPLY RESULT=OK OPTION:a="b c" LONE"#)?;
/// let keys: Vec<_> = message.params().map(|p| p.map(|p| p.key())).collect::<Result<_, _>>()?;
/// assert_eq!(keys, ["RESULT", "OPTION:a", "LONE"]);
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone)]
#[must_use = "iterators do nothing until they are asked for an item"]
pub struct Params<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Params<'a> {
    type Item = Result<Param<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.skip_blanks();
        if self.cursor.rest.is_empty() {
            return None;
        }
        let param = self.cursor.param();
        if param.is_err() {
            self.cursor.rest = "";
        }
        Some(param)
    }
}

impl std::iter::FusedIterator for Params<'_> {}

/// Shows the names of the pairs, never a value.
impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.clone().map_while(Result::ok).map(|p| redact(p.key)))
            .finish()
    }
}

/// One `KEY=value` of a message; the value is missing if there is no `=`.
///
/// ```
/// use i2p_sam::wire::Message;
///
/// let message = Message::parse(b"A B KEY EMPTY= FULL=1")?;
/// let params: Vec<_> = message.params().collect::<Result<_, _>>()?;
/// assert!(params[0].value().is_none());
/// assert_eq!(params[1].value().unwrap().raw(), "");
/// assert_eq!(params[2].value().unwrap().raw(), "1");
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Param<'a> {
    key: &'a str,
    value: Option<Value<'a>>,
}

impl<'a> Param<'a> {
    /// Returns the name as in the line. It is empty for `=value`, which Java I2P can echo.
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// Returns the value, if there is a `=`.
    pub fn value(&self) -> Option<Value<'a>> {
        self.value
    }
}

/// Shows the name, never the value.
impl fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Param")
            .field("key", &redact(self.key))
            .field("value", &self.value)
            .finish()
    }
}

/// A value as in the line, and its meaning.
///
/// Inside quotes `\"` means a quote and `\\` a backslash (SAM 3.2). A value without quotes has no
/// escapes.
///
/// ```
/// use i2p_sam::wire::Message;
///
/// let message = Message::parse(br#"A B M="say \"hi\"" N=plain"#)?;
/// let quoted = message.value("M").unwrap();
/// assert_eq!(quoted.raw(), r#"say \"hi\""#);
/// assert_eq!(quoted.unescape(), r#"say "hi""#);
/// assert_eq!(message.value("N").unwrap().unescape(), "plain");
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    raw: &'a str,
    quoted: bool,
}

impl<'a> Value<'a> {
    /// Returns the bytes of the line between the quotes, or up to the next blank.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Returns true if the value is in quotes.
    pub fn is_quoted(&self) -> bool {
        self.quoted
    }

    /// Returns the value with its escapes resolved. It borrows unless there is an escape.
    pub fn unescape(&self) -> Cow<'a, str> {
        if !self.quoted || !self.raw.contains('\\') {
            return Cow::Borrowed(self.raw);
        }
        let mut text = String::with_capacity(self.raw.len());
        let mut chars = self.raw.chars();
        while let Some(char) = chars.next() {
            text.extend(match char {
                '\\' => chars.next(),
                char => Some(char),
            });
        }
        Cow::Owned(text)
    }
}

/// Shows only the length: a value may be a private key.
impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.raw.len())
    }
}

/// The reason why a line is not a message, and the offset of the fault.
///
/// ```
/// use i2p_sam::wire::{Message, ParseErrorKind};
///
/// //                     byte 9 v
/// let line = br#"NAMING REPLY VALUE="no end"#;
/// let message = Message::parse(line)?;
/// let error = message.params().next().unwrap().unwrap_err();
/// assert_eq!(error.kind(), ParseErrorKind::UnterminatedQuote);
/// assert_eq!(line[error.offset()], b'"');
/// # Ok::<(), i2p_sam::wire::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct ParseError {
    kind: ParseErrorKind,
    offset: usize,
}

impl ParseError {
    pub(crate) fn new(kind: ParseErrorKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// Returns the kind of the fault.
    pub fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// Returns the offset of the fault in the line, in bytes from 0.
    pub fn offset(&self) -> usize {
        self.offset
    }
}

/// The kinds of [`ParseError`]. More may be added, so match with a wildcard.
///
/// ```
/// use i2p_sam::wire::{Message, ParseErrorKind};
///
/// let error = Message::parse(b"PING \xFF").unwrap_err();
/// assert_eq!(error.kind(), ParseErrorKind::Utf8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The line is not UTF-8 from this byte on.
    #[error("not UTF-8")]
    Utf8,
    /// The line contains no word.
    #[error("an empty line")]
    Empty,
    /// A quote opens here and is never closed.
    #[error("a quote that is not closed")]
    UnterminatedQuote,
    /// More bytes than [`MAX_LINE`](crate::wire::MAX_LINE) arrived without a line end.
    #[error("no end of line")]
    TooLong,
    /// A reply lacks a pair that it must have.
    #[error("a reply without a pair it must have")]
    MissingPair,
    /// A reply to another command arrived.
    #[error("a reply to something else")]
    Unexpected,
    /// A command is not written as a client writes it.
    #[error("not the form of a command")]
    Form,
    /// A destination, key, port or version in a reply is malformed.
    #[error("a malformed value")]
    Value,
}

#[derive(Clone, Copy)]
struct Cursor<'a> {
    rest: &'a str,
    offset: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            offset: 0,
        }
    }

    /// Splits off `len` bytes. A length inside a character, or past the end, takes everything.
    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        self.offset += taken.len();
        taken
    }

    fn skip_blanks(&mut self) {
        let bytes = self.rest.as_bytes();
        let mut bytes = bytes.iter();
        let blanks = bytes.position(|byte| !matches!(byte, b' ' | b'\t'));
        self.take(blanks.unwrap_or(self.rest.len()));
    }

    fn skip_one_blank(&mut self) {
        if self.rest.starts_with(is_blank) {
            self.take(1);
        }
    }

    fn word(&mut self) -> &'a str {
        let len = find_any(self.rest.as_bytes(), [b' ', b'\t']);
        self.take(len.unwrap_or(self.rest.len()))
    }

    fn param(&mut self) -> Result<Param<'a>, ParseError> {
        let key_len = find_any(self.rest.as_bytes(), [b'=', b' ', b'\t']);
        let key = self.take(key_len.unwrap_or(self.rest.len()));
        if !self.rest.starts_with('=') {
            return Ok(Param { key, value: None });
        }
        self.take(1);
        let value = if self.rest.starts_with('"') {
            self.quoted()?
        } else {
            Value {
                raw: self.word(),
                quoted: false,
            }
        };
        Ok(Param {
            key,
            value: Some(value),
        })
    }

    fn quoted(&mut self) -> Result<Value<'a>, ParseError> {
        let unterminated = ParseError::new(ParseErrorKind::UnterminatedQuote, self.offset);
        self.take(1);
        let mut escaped = false;
        let end = self.rest.bytes().position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        let raw = self.take(end.ok_or(unterminated)?);
        self.take(1);
        Ok(Value { raw, quoted: true })
    }
}

fn is_blank(char: char) -> bool {
    matches!(char, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> Vec<(String, Option<String>)> {
        let message = Message::parse(line.as_bytes()).unwrap();
        message
            .params()
            .map(|param| {
                let param = param.unwrap();
                let value = param.value().map(|value| value.unescape().into_owned());
                (param.key().to_owned(), value)
            })
            .collect()
    }

    fn pair(key: &str, value: &str) -> (String, Option<String>) {
        (key.to_owned(), Some(value.to_owned()))
    }

    fn lone(key: &str) -> (String, Option<String>) {
        (key.to_owned(), None)
    }

    #[test]
    fn debug_shows_names_and_lengths() {
        let message = Message::parse(br#"A B KEY="two words" LONE"#).unwrap();
        let params: Vec<_> = message.params().map(Result::unwrap).collect();
        let shown = r#"[Param { key: "KEY", value: Some(Value(9 bytes)) }, Param { key: "LONE", value: None }]"#;
        assert_eq!(format!("{params:?}"), shown);
    }

    #[test]
    fn value_knows_if_it_is_quoted() {
        let message = Message::parse(br#"A B Q="1" N=1"#).unwrap();
        assert!(message.value("Q").unwrap().is_quoted());
        assert!(!message.value("N").unwrap().is_quoted());
    }

    #[test]
    fn message_is_what_both_of_its_words_are() {
        let message = Message::parse(b"NAMING REPLY RESULT=OK").unwrap();
        assert!(message.is("NAMING", "REPLY"));
        assert!(!message.is("NAMING", "STATUS"));
        assert!(!message.is("STREAM", "REPLY"));
        assert!(!Message::parse(b"NAMING").unwrap().is("NAMING", "REPLY"));
    }

    #[test]
    fn topic_action_and_pairs_are_separated() {
        let message = Message::parse(b"HELLO REPLY RESULT=OK VERSION=3.3\n").unwrap();
        assert!(message.is("HELLO", "REPLY"));
        assert_eq!(
            pairs("HELLO REPLY RESULT=OK VERSION=3.3"),
            [pair("RESULT", "OK"), pair("VERSION", "3.3")]
        );
    }

    #[test]
    fn surplus_blanks_are_ignored() {
        assert_eq!(
            pairs("  A   B  X=1\t Y=2  "),
            [pair("X", "1"), pair("Y", "2")]
        );
    }

    #[test]
    fn bare_topic_has_no_action_or_pairs() {
        let message = Message::parse(b"QUIT").unwrap();
        assert_eq!((message.topic(), message.action()), ("QUIT", None));
        assert_eq!(message.params().count(), 0);
    }

    #[test]
    fn pair_after_topic_is_no_action() {
        let message = Message::parse(b"HELLO RESULT=OK").unwrap();
        assert_eq!(message.action(), None);
        assert_eq!(message.result(), Some(ResultCode::Ok));
    }

    #[test]
    fn key_forms_are_distinguished() {
        assert_eq!(
            pairs(r#"A B KEY EMPTY= QUOTED="" =x"#),
            [
                lone("KEY"),
                pair("EMPTY", ""),
                pair("QUOTED", ""),
                pair("", "x")
            ]
        );
    }

    #[test]
    fn repeated_key_keeps_both_first_wins() {
        let message = Message::parse(b"A B X=1 X=2").unwrap();
        assert_eq!(message.value("X").unwrap().raw(), "1");
        assert_eq!(message.params().count(), 2);
    }

    #[test]
    fn base64_padding_belongs_to_value() {
        assert_eq!(pairs("DEST REPLY PUB=ab=="), [pair("PUB", "ab==")]);
    }

    #[test]
    fn escapes_apply_inside_quotes_only() {
        assert_eq!(
            pairs(r#"A B Q="a \"b\" \\ c" R=a\b"#),
            [pair("Q", r#"a "b" \ c"#), pair("R", r"a\b")]
        );
    }

    #[test]
    fn echoed_name_with_blank_keeps_result() {
        // Java I2P does not quote the name that it repeats.
        let line = "NAMING REPLY RESULT=KEY_NOT_FOUND NAME=a b.i2p";
        assert_eq!(
            pairs(line),
            [
                pair("RESULT", "KEY_NOT_FOUND"),
                pair("NAME", "a"),
                lone("b.i2p")
            ]
        );
    }

    #[test]
    fn echoed_name_with_quote_is_bare_value() {
        assert_eq!(
            pairs(r#"NAMING REPLY NAME=a"b X=1"#),
            [pair("NAME", "a\"b"), pair("X", "1")]
        );
    }

    #[test]
    fn ping_text_follows_one_blank() {
        for (line, text) in [
            ("PING", ""),
            ("PING ", ""),
            ("PING  two", " two"),
            (r#"PING 1 some  text "q" a=b "#, r#"1 some  text "q" a=b "#),
        ] {
            let message = Message::parse(line.as_bytes()).unwrap();
            assert_eq!(message.text(), Some(text), "{line:?}");
            assert_eq!(message.params().count(), 0);
        }
    }

    #[test]
    fn word_starting_with_ping_is_no_ping() {
        assert_eq!(Message::parse(b"PINGS x").unwrap().text(), None);
    }

    #[test]
    fn unclosed_quote_is_refused_at_its_offset() {
        let message = Message::parse(br#"A B X=1 Y="z"#).unwrap();
        let mut params = message.params();
        assert!(params.next().unwrap().is_ok());
        let error = params.next().unwrap().unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::UnterminatedQuote);
        assert_eq!(error.offset(), 10);
        assert!(params.next().is_none());
        assert_eq!(message.value("X").unwrap().raw(), "1");
    }

    #[test]
    fn backslash_does_not_escape_line_end() {
        let message = Message::parse(br#"A B X="\"#).unwrap();
        assert!(message.params().next().unwrap().is_err());
    }

    #[test]
    fn non_utf8_text_is_refused_at_its_offset() {
        let error = Message::parse(b"A B X=\xff").unwrap_err();
        assert_eq!((error.kind(), error.offset()), (ParseErrorKind::Utf8, 6));
    }

    #[test]
    fn empty_line_is_refused() {
        for line in [&b""[..], b"\n", b"\r\n", b"   "] {
            let error = Message::parse(line).unwrap_err();
            assert_eq!(error.kind(), ParseErrorKind::Empty);
        }
    }

    #[test]
    fn non_ascii_names_are_kept() {
        assert_eq!(pairs("NAMING REPLY NAME=é.i2p"), [pair("NAME", "é.i2p")]);
    }

    #[test]
    fn parsed_values_borrow_from_line() {
        let line = br#"SESSION STATUS RESULT=OK MESSAGE="plain text""#;
        let range = line.as_ptr_range();
        let inside = |text: &str| range.contains(&text.as_ptr());
        let message = Message::parse(line).unwrap();
        assert!(inside(message.topic()) && inside(message.action().unwrap()));
        for param in message.params() {
            let param = param.unwrap();
            let value = param.value().unwrap();
            assert!(inside(param.key()) && inside(value.raw()));
            assert!(matches!(value.unescape(), Cow::Borrowed(text) if inside(text)));
        }
    }

    #[test]
    fn debug_conceals_values() {
        let message = Message::parse(b"DEST REPLY PUB=pubpubpub PRIV=privpriv").unwrap();
        let shown = format!("{message:?} {:?}", message.value("PRIV"));
        assert!(shown.contains("PRIV"));
        assert!(!shown.contains("privpriv"), "{shown}");
    }
}
