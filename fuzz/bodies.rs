//! What has to hold for every input: the bodies of the fuzz targets, without a fuzzer.
//!
//! libFuzzer reaches them through `fuzz/fuzz_targets/`; `tests/it/corpus.rs` includes this file and
//! replays `fuzz/corpus/` through it under plain `cargo test`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a property that does not hold has to panic: so it is told to fuzzer and test alike"
)]
#![allow(
    unreachable_pub,
    reason = "the root of a library in fuzz/, a private module in tests/it/corpus.rs"
)]

mod control_script;

use std::borrow::Cow;
use std::fmt::Debug;
use std::io;
use std::iter::repeat_n;
use std::ops::Range;

use i2p_sam::wire::{
    Command, CommandError, CommandFault, DatagramHeader, Line, LineSource, MAX_COMMAND, MAX_LINE,
    Message, ParseErrorKind, RawHeader, StreamHeader, read_line,
};
use i2p_sam::{AddressError, B32, B33, Destination, Host, HostName, I2pAddr, PrivateKey, Version};

pub use control_script::control_script;

/// Which way an input went. The test demands of a corpus that its files go every way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was taken for what the word says.
    Read(&'static str),
    /// It was refused, with this variant of the error.
    Refused(String),
}

fn refused(error: &impl Debug) -> Outcome {
    let shown = format!("{error:?}");
    let variant = shown.split(|char: char| !char.is_alphanumeric()).next();
    Outcome::Refused(variant.unwrap_or_default().to_owned())
}

// ---------------------------------------------------------------------------------- message

/// The parts of a message lie in its line and leave nothing out but blanks, `=` and quotes; what
/// it says can be said again; and what it shows does not depend on any value.
pub fn message(line: &[u8]) -> Outcome {
    check_command(line);
    let message = match Message::parse(line) {
        Ok(message) => message,
        Err(error) => {
            let (before, _) = line.split_at(error.offset());
            match error.kind() {
                ParseErrorKind::Utf8 => assert!(std::str::from_utf8(before).is_ok()),
                kind => assert_eq!((kind, is_blank(before)), (ParseErrorKind::Empty, true)),
            }
            return refused(&error.kind());
        }
    };
    check_shown(&message);
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let place = |part: &str| place(text, part);

    let topic = place(message.topic());
    assert!(!topic.is_empty() && is_blank(&text[..topic.start]));
    let mut at = topic.end;
    if let Some(free) = message.text() {
        assert_eq!((message.action(), message.params().count()), (None, 0));
        check_ping(free, &text[at..]);
        return Outcome::Read("free text");
    }
    if let Some(action) = message.action().map(place) {
        assert!(!action.is_empty() && is_blank(&text[at..action.start]));
        at = action.end;
    }

    let mut masked = text.to_vec();
    let mut pairs = Vec::new();
    let mut params = message.params();
    let error = loop {
        let param = match params.next() {
            None => break None,
            Some(Err(error)) => break Some(error),
            Some(Ok(param)) => param,
        };
        let key = place(param.key());
        assert!(is_blank(&text[at..key.start]));
        at = key.end;
        if let Some(value) = param.value() {
            let raw = place(value.raw());
            let (open, close) = if value.is_quoted() {
                ("=\"", 1)
            } else {
                ("=", 0)
            };
            assert_eq!(&text[at..raw.start], open.as_bytes());
            at = raw.end + close;
            masked[raw].fill(b'x');
        }
        pairs.push((param.key(), param.value().map(|value| value.unescape())));
    };
    assert!(
        params.next().is_none() && params.next().is_none(),
        "not fused"
    );
    match error {
        None => assert!(is_blank(&text[at..])),
        Some(error) => {
            assert_eq!(error.kind(), ParseErrorKind::UnterminatedQuote);
            assert!(error.offset() >= at && text[error.offset()] == b'"');
            masked[error.offset() + 1..].fill(b'x');
        }
    }
    masked.extend(b"\r\n");
    check_masked(&message, &masked);
    check_said_again(&pairs);
    match error {
        None => Outcome::Read("pairs"),
        Some(error) => refused(&error.kind()),
    }
}

/// Where in `line` a part of it lies. Fails for a part that was copied.
fn place(line: &[u8], part: &str) -> Range<usize> {
    let start = (part.as_ptr().addr())
        .checked_sub(line.as_ptr().addr())
        .expect("a part lies in front of its line");
    let place = start..start + part.len();
    assert!(place.end <= line.len(), "a part lies behind its line");
    place
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

fn check_ping(free: &str, behind_topic: &[u8]) {
    let free_at = behind_topic.len() - free.len();
    assert!(free_at <= 1 && is_blank(&behind_topic[..free_at]));
    assert_eq!(&behind_topic[free_at..], free.as_bytes());
    if let Ok(pong) = Command::pong(free) {
        check_line(&pong);
        let back = Message::parse(pong.as_bytes()).unwrap();
        assert_eq!((back.topic(), back.text()), ("PONG", Some(free)));
    }
}

/// Nothing that a message or its errors show can be a key or fill a log.
fn check_shown(message: &Message<'_>) {
    check_holds_no_key(&format!("{message:?}"));
    if let Some(explanation) = message.explanation() {
        check_holds_no_key(&explanation);
        assert!(!explanation.contains(char::is_control));
        assert!(explanation.len() < 1000, "an explanation without end");
    }
    if let Some(result) = message.result() {
        check_holds_no_key(&format!("{result} {result:?}"));
        assert!(result.to_string().len() < 1000, "a result without end");
    }
}

/// No run of base64 that is as long as a session id or a key, but for the label of a `.b32.i2p`
/// address.
fn check_holds_no_key(shown: &str) {
    let of_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"-~+/=_".contains(byte);
    let mut behind = shown;
    while !behind.is_empty() {
        let len = behind.bytes().take_while(of_key).count();
        let (run, rest) = behind.split_at(len);
        if len > LONGEST_RUN {
            // What is cut for its length may be cut within the suffix.
            let cut = rest.split_once('…').map(|(suffix, _)| suffix);
            let is_label = rest.starts_with(".b32.i2p")
                || cut.is_some_and(|suffix| ".b32.i2p".starts_with(suffix));
            assert!(len <= LONGEST_LABEL && is_label, "{run:?} in {shown:?}");
        }
        behind =
            rest.trim_start_matches(|char| !u8::try_from(char).is_ok_and(|byte| of_key(&byte)));
    }
}

/// One character less than the id of a session.
const LONGEST_RUN: usize = 25;
/// Characters of the address of an encrypted leaseset with the longest key.
const LONGEST_LABEL: usize = 220;

/// With every value replaced by as many `x` the message looks the same in `Debug`.
fn check_masked(message: &Message<'_>, masked: &[u8]) {
    let shown = |message: &Message<'_>| {
        let params: Vec<_> = message.params().collect();
        format!("{message:?} {params:?} {:?}", message.params())
    };
    let masked = Message::parse(masked).unwrap();
    assert_eq!(shown(message), shown(&masked), "a value is shown");
}

/// What a client can say with these pairs is read as these pairs.
fn check_said_again(pairs: &[(&str, Option<Cow<'_, str>>)]) {
    let pairs: Option<Vec<_>> = (pairs.iter())
        .map(|(key, value)| Some((*key, value.as_deref()?)))
        .collect();
    if let Some(pairs) = pairs
        && let Ok(command) = say("TOPIC", "ACTION", &pairs)
    {
        check_read_back(&command, "TOPIC", "ACTION", &pairs);
    }
}

/// A line that is a command is what a client writes for its words and pairs; another one is refused at a
/// place in it.
fn check_command(line: &[u8]) {
    let command = match Command::parse(line) {
        Ok(command) => command,
        Err(error) => return assert!(error.offset() <= line.len()),
    };
    assert_eq!(command.as_bytes(), line);
    let message = command.message().unwrap();
    if let Some(text) = message.text() {
        let space = if text.is_empty() { "" } else { " " };
        let written = format!("{}{space}{text}\n", message.topic());
        return assert_eq!(written.as_bytes(), line);
    }
    let words = [Some(message.topic()), message.action()];
    let words: Vec<_> = words.into_iter().flatten().map(str::to_owned).collect();
    let pairs = message.params().map(|param| {
        let param = param.unwrap();
        let value = param.value().unwrap().unescape();
        let quoted = value.contains(|char: char| char.is_whitespace() || "\"\\".contains(char));
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
        match quoted {
            true => format!("{}=\"{escaped}\"", param.key()),
            false => format!("{}={value}", param.key()),
        }
    });
    let written = words.into_iter().chain(pairs).collect::<Vec<_>>().join(" ");
    assert_eq!(format!("{written}\n").as_bytes(), line);
}

// ---------------------------------------------------------------------------------- command

/// What can be said is one line that reads as what was meant; what cannot is refused, where and
/// because it says.
///
/// The first byte chooses the command, fields follow, with 0xff between them.
pub fn command(input: &[u8]) -> Outcome {
    let (kind, fields) = input.split_first().unwrap_or((&0, &[]));
    let fields: Vec<_> = match fields {
        [] => Vec::new(),
        fields => fields
            .split(|byte| *byte == 0xff)
            .map(String::from_utf8_lossy)
            .collect(),
    };
    let field = |at: usize| fields.get(at).map_or("", |field| &**field);
    let port = |at: usize| field(at).parse::<u16>().ok();
    // Port 0 is no port.
    let named = |at: usize| port(at).filter(|port| *port != 0);
    let ports = [named(2), named(3)].map(|port| port.map(|port| port.to_string()));
    let number = port(0).unwrap_or_default();
    let number_text = number.to_string();
    let versions = [("MIN", "3.1"), ("MAX", "3.3")];
    let (min, max) = (Version::V3_1, Version::V3_3);

    let (topic, action, pairs, typed) = match kind {
        b'i' => return check_free_text(Command::ping(field(0)), "PING", field(0)),
        b'o' => return check_free_text(Command::pong(field(0)), "PONG", field(0)),
        b'q' => return check_free_text(Ok(Command::quit()), "QUIT", ""),
        b'n' => (
            "HELLO",
            "VERSION",
            versions.to_vec(),
            Command::hello(min, max, None),
        ),
        b'h' => (
            "HELLO",
            "VERSION",
            [&versions[..], &[("USER", field(0)), ("PASSWORD", field(1))]].concat(),
            Command::hello(min, max, Some((field(0), field(1)))),
        ),
        b'g' => (
            "DEST",
            "GENERATE",
            vec![("SIGNATURE_TYPE", &*number_text)],
            Command::dest_generate(number),
        ),
        b'l' => (
            "NAMING",
            "LOOKUP",
            vec![("NAME", field(0))],
            Command::naming_lookup(field(0)),
        ),
        b'a' => (
            "STREAM",
            "ACCEPT",
            vec![("ID", field(0)), ("SILENT", "false")],
            Command::stream_accept(field(0)),
        ),
        b'c' => {
            let mut pairs = vec![
                ("ID", field(0)),
                ("DESTINATION", field(1)),
                ("SILENT", "false"),
            ];
            pairs.extend(ports[0].as_deref().map(|port| ("FROM_PORT", port)));
            pairs.extend(ports[1].as_deref().map(|port| ("TO_PORT", port)));
            let typed = Command::stream_connect(field(0), field(1), port(2), port(3));
            ("STREAM", "CONNECT", pairs, typed)
        }
        _ => {
            let pairs: Vec<_> = (0..fields.len())
                .step_by(2)
                .map(|at| (field(at), field(at + 1)))
                .collect();
            let said = say("SESSION", "CREATE", &pairs);
            ("SESSION", "CREATE", pairs, said)
        }
    };
    assert_eq!(typed, say(topic, action, &pairs));
    check_values_unseen(&typed, topic, action, &pairs);
    match typed {
        Ok(command) => {
            assert!(!pairs.iter().any(|(key, value)| is_unsayable(key, value)));
            check_read_back(&command, topic, action, &pairs);
            Outcome::Read(action)
        }
        Err(error) => {
            check_refusal(&error, &pairs);
            refused(&error.fault())
        }
    }
}

fn say(
    topic: &'static str,
    action: &'static str,
    pairs: &[(&str, &str)],
) -> Result<Command, CommandError> {
    (pairs.iter()).try_fold(Command::new(topic, action), |command, (key, value)| {
        command.pair(key, value)
    })
}

fn check_line(command: &Command) {
    let line = command.as_str();
    assert_eq!(line.as_bytes(), command.as_bytes());
    assert!(line.len() <= MAX_COMMAND);
    assert_eq!(line.find(['\n', '\r', '\0']), Some(line.len() - 1));
    assert!(line.ends_with('\n'));
}

fn check_read_back(command: &Command, topic: &str, action: &str, pairs: &[(&str, &str)]) {
    check_line(command);
    assert_eq!(Command::parse(command.as_bytes()).as_ref(), Ok(command));
    let message = Message::parse(command.as_bytes()).unwrap();
    assert!(message.is(topic, action));
    let params: Vec<_> = message.params().map(Result::unwrap).collect();
    assert_eq!(params.len(), pairs.len());
    for (param, (key, value)) in params.iter().zip(pairs) {
        let read = param.value().unwrap();
        assert_eq!((param.key(), &*read.unescape()), (*key, *value));
        // i2pd has no quotes, so they stand only where nothing else will do.
        let must = |char: char| char.is_whitespace() || matches!(char, '"' | '\\');
        assert_eq!(read.is_quoted(), value.contains(must));
    }
}

fn check_free_text(
    said: Result<Command, CommandError>,
    topic: &'static str,
    text: &str,
) -> Outcome {
    let ends = |char: char| matches!(char, '\n' | '\r' | '\0');
    match said {
        Ok(command) => {
            check_line(&command);
            assert_eq!(Command::parse(command.as_bytes()), Ok(command.clone()));
            let message = Message::parse(command.as_bytes()).unwrap();
            assert_eq!(message.topic(), topic);
            assert_eq!(message.text().unwrap_or_default(), text);
            Outcome::Read(topic)
        }
        Err(error) => {
            match error.fault() {
                CommandFault::Character { offset } => assert_eq!(text.find(ends), Some(offset)),
                fault => {
                    assert_eq!(fault, CommandFault::TooLong(MAX_COMMAND));
                    assert!(topic.len() + text.len() + 2 > MAX_COMMAND);
                }
            }
            refused(&error.fault())
        }
    }
}

fn forbidden_in_key(char: char) -> bool {
    char.is_control() || char.is_whitespace() || matches!(char, '=' | '"' | '\\')
}

fn forbidden_in_value(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\0')
}

fn is_unsayable(key: &str, value: &str) -> bool {
    key.is_empty()
        || value.is_empty()
        || key.contains(forbidden_in_key)
        || value.contains(forbidden_in_value)
}

/// The first pair that cannot be said is the one that is blamed, and at the right byte.
fn check_refusal(error: &CommandError, pairs: &[(&str, &str)]) {
    let first = pairs.iter().find(|(key, value)| is_unsayable(key, value));
    match (error.fault(), first) {
        (CommandFault::Character { offset }, Some((key, value))) => {
            let in_key = key.find(forbidden_in_key);
            assert_eq!(Some(offset), in_key.or(value.find(forbidden_in_value)));
        }
        (CommandFault::Empty, Some((key, value))) => assert!(key.is_empty() || value.is_empty()),
        (CommandFault::TooLong(limit), _) => {
            assert_eq!(limit, MAX_COMMAND);
            let longest = |(key, value): &(&str, &str)| key.len() + 2 * value.len() + 4;
            assert!(pairs.iter().map(longest).sum::<usize>() + 30 > MAX_COMMAND);
        }
        other => panic!("refused for no reason: {other:?}"),
    }
}

/// With other letters in the values, command and error look the same.
fn check_values_unseen(
    said: &Result<Command, CommandError>,
    topic: &'static str,
    action: &'static str,
    pairs: &[(&str, &str)],
) {
    let mask = |value: &str| {
        let mut masked = String::with_capacity(value.len());
        for char in value.chars() {
            match char.is_alphanumeric() {
                true => masked.extend(repeat_n('x', char.len_utf8())),
                false => masked.push(char),
            }
        }
        masked
    };
    let masked: Vec<_> = (pairs.iter())
        .map(|(key, value)| (*key, mask(value)))
        .collect();
    let masked: Vec<_> = masked.iter().map(|(key, value)| (*key, &**value)).collect();
    let other = say(topic, action, &masked);
    assert_eq!(
        format!("{said:?}"),
        format!("{other:?}"),
        "a value is shown"
    );
    if let (Err(error), Err(other)) = (said, other) {
        assert_eq!(error.to_string(), other.to_string(), "a value is shown");
        check_holds_no_key(&error.to_string());
    }
}

// ---------------------------------------------------------------------------------- line

/// However the bytes arrive, the lines are those of the bytes, and nothing behind a line end is
/// taken with it.
///
/// The first byte holds the number of portion sizes (low four bits), whether more arrives between
/// looking and taking (0x80), and whether the source ends in an error (0x40). The sizes follow;
/// 0 is an interrupted call. Then comes a byte that says how often 1 KiB without a line end stands
/// in front of the rest, which is the stream; a large one means none, since long lines are slow.
pub fn line(input: &[u8]) -> Outcome {
    let (flags, input) = input.split_first().unwrap_or((&0, &[]));
    let (sizes, input) = input.split_at(usize::from(flags & 0x0f).min(input.len()));
    let (filler, bytes) = input.split_first().unwrap_or((&0, &[]));
    let filler = match usize::from(*filler) {
        kib @ 0..=70 => vec![b'x'; kib * 1024],
        _ => Vec::new(),
    };
    let stream = [&filler, bytes].concat();

    let mut source = Portions {
        stream: &stream,
        sizes,
        calls: 0,
        arrived: 0,
        taken: 0,
        eager: flags & 0x80 != 0,
        breaks: flags & 0x40 != 0,
    };
    let first = take_one(&mut source);
    for _ in 0..16 {
        take_one(&mut source);
    }
    first
}

struct Portions<'a> {
    stream: &'a [u8],
    sizes: &'a [u8],
    calls: usize,
    arrived: usize,
    taken: usize,
    eager: bool,
    breaks: bool,
}

impl Portions<'_> {
    fn arrive(&mut self) -> io::Result<()> {
        let left = self.stream.len() - self.arrived;
        let size = match self.sizes {
            sizes if sizes.iter().all(|size| *size == 0) => left,
            sizes => usize::from(sizes[self.calls % sizes.len()]),
        };
        self.calls += 1;
        self.arrived += size.min(left);
        match (left, size) {
            (0, _) if self.breaks => Err(io::ErrorKind::ConnectionReset.into()),
            (0, _) => Ok(()),
            (_, 0) => Err(io::ErrorKind::Interrupted.into()),
            _ => Ok(()),
        }
    }

    fn waiting(&self) -> &[u8] {
        &self.stream[self.taken..self.arrived]
    }
}

impl LineSource for Portions<'_> {
    fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!buf.is_empty(), "an empty look cannot be told from the end");
        if self.waiting().is_empty() {
            self.arrive()?;
        }
        let len = self.waiting().len().min(buf.len());
        buf[..len].copy_from_slice(&self.waiting()[..len]);
        Ok(len)
    }

    fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.eager && self.arrived < self.stream.len() {
            self.arrive()?;
        }
        let len = self.peek(buf)?;
        self.taken += len;
        Ok(len)
    }
}

fn take_one(source: &mut Portions<'_>) -> Outcome {
    let stream = &source.stream[source.taken..];
    let before = source.taken;
    let mut line = b"left over".to_vec();
    let end = read_line(source, &mut line);
    let taken = source.taken - before;

    let within = &stream[..stream.len().min(MAX_LINE)];
    if let Some(at) = within.iter().position(|byte| *byte == b'\n') {
        assert_eq!((end.unwrap(), taken), (Line::Complete, at + 1));
        assert_eq!(line, &stream[..at]);
        return Outcome::Read("line");
    }
    assert_eq!((&*line, taken), (within, within.len()));
    match end {
        Ok(end) => {
            assert!(stream.len() < MAX_LINE && !source.breaks);
            assert_eq!(end == Line::End, stream.is_empty());
            refused(&end)
        }
        Err(error) => {
            let too_long = stream.len() >= MAX_LINE;
            assert_eq!(error.kind() == io::ErrorKind::InvalidData, too_long);
            assert!(too_long || source.breaks);
            refused(&error.kind())
        }
    }
}

// ---------------------------------------------------------------------------------- header

/// A peer is the destination that stands in the line, with the ports that stand behind it.
pub fn header(line: &[u8]) -> Outcome {
    let header = match StreamHeader::parse(line) {
        Ok(header) => header,
        Err(error) => {
            assert!(error.offset() <= line.len());
            return refused(&error.kind());
        }
    };
    let text = std::str::from_utf8(line).unwrap();
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let first = words.next().unwrap();
    match header {
        StreamHeader::Status(message) => {
            assert_eq!((message.topic(), first), ("STREAM", "STREAM"));
            Outcome::Read("status")
        }
        StreamHeader::Peer {
            destination,
            from_port,
            to_port,
        } => {
            assert_eq!(destination.to_base64(), first);
            check_destination(&destination);
            let words: Vec<_> = words.collect();
            // With quotes, or a key that stands alone, it takes more than words to know.
            let plain = (words.iter())
                .all(|word| !word.contains('"') && !["FROM_PORT", "TO_PORT"].contains(word));
            if plain {
                let port = |key: &str| {
                    let value = words.iter().find_map(|word| word.strip_prefix(key));
                    let port = value.map(|value| value.parse::<u16>().unwrap());
                    // Port 0 is no port.
                    port.filter(|port| *port != 0)
                };
                assert_eq!((from_port, to_port), (port("FROM_PORT="), port("TO_PORT=")));
            }
            match (from_port, to_port) {
                (None, None) => Outcome::Read("peer"),
                _ => Outcome::Read("peer with ports"),
            }
        }
        _ => Outcome::Read("something new"),
    }
}

// ---------------------------------------------------------------------------------- datagram header

/// Header and payload lie in the packet, one line end between them, and the sender has no blank.
pub fn datagram_header(packet: &[u8]) -> Outcome {
    if let Ok((_, payload)) = RawHeader::split(packet) {
        assert!(packet.ends_with(payload));
        assert!(packet[..packet.len() - payload.len()].ends_with(b"\n"));
    }
    let (header, payload) = match DatagramHeader::split(packet) {
        Ok(split) => split,
        Err(error) => return refused(&error.kind()),
    };
    assert!(packet.ends_with(payload));
    let line = &packet[..packet.len() - payload.len()];
    assert_eq!(
        line.iter().position(|byte| *byte == b'\n'),
        Some(line.len() - 1)
    );
    let line = std::str::from_utf8(line).unwrap().trim_end_matches('\n');
    let mut words = line
        .split([' ', '\t', '\r'])
        .filter(|word| !word.is_empty());
    assert_eq!(words.next(), Some(header.sender));
    let words: Vec<_> = words.collect();
    let port = |key: &str| {
        let mut values = words.iter().filter_map(|word| word.strip_prefix(key));
        let port = values.next_back().map(|port| port.parse::<u16>().unwrap());
        port.filter(|port| *port != 0)
    };
    assert_eq!(header.from_port, port("FROM_PORT="));
    assert_eq!(header.to_port, port("TO_PORT="));
    match (header.from_port, header.to_port) {
        (None, None) => Outcome::Read("sender"),
        _ => Outcome::Read("sender with ports"),
    }
}

// ---------------------------------------------------------------------------------- destination

/// One destination has one binary form, one text and one hash; an address that is shown names the
/// service that was read, and a router can be told it without quotes.
pub fn destination(input: &[u8]) -> Outcome {
    let read = Destination::from_bytes(input);
    assert_eq!(read, Destination::try_from(input));
    if let Ok(destination) = read {
        assert_eq!(destination.as_bytes(), input);
        check_destination(&destination);
        return Outcome::Read("bytes");
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return refused(&read.unwrap_err());
    };
    if let Ok(hash) = B32::from_base64(text) {
        assert_eq!(text.len(), 44);
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }
    match (text.parse(), I2pAddr::from_url(text)) {
        (Ok(addr), link) => {
            assert_eq!(link.as_ref(), Ok(&addr));
            check_addr(text, &addr)
        }
        (Err(error), Ok(addr)) => {
            assert!(
                matches!(error, AddressError::SurplusPart { .. }),
                "{error:?}"
            );
            check_link(text, &addr)
        }
        (Err(error), Err(_)) => refused(&error),
    }
}

/// The address is in the link, or in its helper.
fn check_link(text: &str, addr: &I2pAddr) -> Outcome {
    assert_eq!(addr.to_string().parse().as_ref(), Ok(addr));
    let link = text.to_ascii_lowercase();
    if link.contains("i2paddresshelper=") {
        return Outcome::Read("link with a helper");
    }
    assert!(link.contains(&addr.to_sam().to_ascii_lowercase()));
    Outcome::Read("link")
}

fn check_destination(destination: &Destination) {
    let text = destination.to_base64();
    assert_eq!(text.len(), destination.as_bytes().len().div_ceil(3) * 4);
    assert_eq!(destination.to_string(), text);
    assert_eq!(Destination::from_base64(&text).as_ref(), Ok(destination));
    assert_eq!(
        Destination::from_bytes(destination.as_bytes()).as_ref(),
        Ok(destination)
    );
    if let Some(signature_type) = destination.signature_type() {
        assert_eq!(signature_type.code(), destination.signature_type_code());
        let excess = signature_type.public_key_len().saturating_sub(128);
        let certificate = &destination.as_bytes()[384..];
        let is_null = certificate == [0; 3];
        assert!(is_null || certificate.len() == 7 + excess);
    }

    let b32 = B32::from(destination);
    assert_eq!(b32.hash(), destination.hash());
    assert_eq!(destination.b32(), b32);
    assert_eq!(format!("{destination:?}"), format!("Destination({b32})"));

    let addr = I2pAddr::from(destination);
    assert_eq!((addr.to_string(), addr.b32()), (b32.to_string(), Some(b32)));
    assert_eq!(addr.to_sam().parse().as_ref(), Ok(&addr));
}

fn check_addr(text: &str, addr: &I2pAddr) -> Outcome {
    let (host_text, port_text) = match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    let port: Option<u16> = port_text.map(|port| port.parse().unwrap());
    assert_eq!(addr.port(), port.filter(|port| *port != 0));
    let host: Host = host_text.parse().unwrap();
    assert_eq!(
        (addr.host(), &I2pAddr::from(host.clone())),
        (&host, &addr.clone().without_port())
    );

    // What is shown names the same service, and shows itself as it is.
    let shown = addr.to_string();
    let again: I2pAddr = shown.parse().unwrap();
    assert_eq!(
        (again.to_string(), again.port(), again.b32()),
        (shown, addr.port(), addr.b32())
    );
    assert_eq!(again, *addr);
    // What a router is told is the service in full, in one plain word.
    let sam = addr.to_sam();
    assert_eq!(sam.parse().as_ref(), Ok(&host));
    let lookup = Command::naming_lookup(&sam).unwrap();
    assert_eq!(lookup.as_str(), format!("NAMING LOOKUP NAME={sam}\n"));

    // Exactly one of the types reads it; none reads a destination with `.i2p` behind it.
    let readers = (
        host_text.parse::<Destination>().is_ok(),
        host_text.parse::<B32>().is_ok(),
        host_text.parse::<B33>().is_ok(),
        host_text.parse::<HostName>().is_ok(),
    );
    let (expected, outcome) = match &host {
        Host::Destination(destination) => {
            check_destination(destination);
            assert_eq!(addr.destination(), Some(destination));
            let base64 = destination.to_base64();
            if base64 != host_text {
                let suffix = host_text.strip_prefix(&base64).unwrap();
                assert!(suffix.eq_ignore_ascii_case(".i2p"));
                return check_readers(readers, (false, false, false, false), "base64.i2p");
            }
            return check_readers(readers, (true, false, false, false), "base64");
        }
        Host::B32(_) => ((false, true, false, false), "b32"),
        Host::B33(b33) => {
            assert_eq!(
                b33.public_key().len(),
                b33.signature_type().public_key_len()
            );
            ((false, false, true, false), "b33")
        }
        Host::Name(name) => {
            assert!(name.as_str().len() <= 255);
            ((false, false, false, true), "name")
        }
        _ => return Outcome::Read("something new"),
    };
    assert_eq!(host.to_string(), host_text.to_ascii_lowercase());
    check_readers(readers, expected, outcome)
}

fn check_readers<T: Debug + PartialEq>(readers: T, expected: T, outcome: &'static str) -> Outcome {
    assert_eq!(readers, expected);
    Outcome::Read(outcome)
}

// ---------------------------------------------------------------------------------- private_key

/// A private key comes back byte for byte, begins with its destination, has exactly the parts that
/// its types ask for, and shows nothing of itself.
pub fn private_key(input: &[u8]) -> Outcome {
    let read = PrivateKey::from_bytes(input);
    assert_eq!(read, PrivateKey::try_from(input));
    if let Ok(key) = read {
        assert_eq!(key.expose_bytes(), input);
        return check_key(&key);
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return refused(&read.unwrap_err());
    };
    match text.parse::<PrivateKey>() {
        Ok(key) => {
            assert_eq!(key.expose_base64(), text);
            assert!(
                text.parse::<I2pAddr>().is_err(),
                "a private key can be dialled"
            );
            check_key(&key);
            Outcome::Read("base64")
        }
        Err(error) => refused(&error),
    }
}

fn check_key(key: &PrivateKey) -> Outcome {
    let bytes = key.expose_bytes();
    assert_eq!(PrivateKey::from_bytes(bytes).as_ref(), Ok(key));
    assert_eq!(
        PrivateKey::from_base64(&key.expose_base64()).as_ref(),
        Ok(key)
    );

    let destination = key.destination();
    check_destination(destination);
    let secret = bytes.strip_prefix(destination.as_bytes()).unwrap();
    assert_eq!(Some(key.signature_type()), destination.signature_type());
    assert!(
        Destination::from_bytes(bytes).is_err(),
        "a private key passes for a destination"
    );

    let signs = key.signature_type();
    let (behind, outcome) = match key.offline_signature() {
        None => (0, "key"),
        Some(offline) => {
            let transient = offline.transient_type();
            let keys = transient.public_key_len() + transient.private_key_len();
            (4 + 2 + keys + signs.signature_len(), "offline key")
        }
    };
    let encryption = (secret.len()).checked_sub(signs.private_key_len() + behind);
    let short = destination.crypto_type_code() == 4;
    assert!(encryption == Some(256) || (short && encryption == Some(32)));
    let signing = &secret[encryption.unwrap()..][..signs.private_key_len()];
    let blank = signing.iter().all(|byte| *byte == 0);
    assert_eq!(blank, key.offline_signature().is_some());

    // Not a run of the secret, then, of whatever length: nothing but the address is shown.
    let shown = format!("PrivateKey({})", destination.b32());
    assert_eq!(
        (format!("{key:?}"), format!("{key:#?}")),
        (shown.clone(), shown)
    );
    Outcome::Read(outcome)
}
