//! The texts of a script: bytes with places for keys, ports, numbers and free text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use i2p_sam::{Destination, PrivateKey};

use crate::support::key;

/// The length of a private key of the old kind, DSA, which the library does not read.
const DSA_PRIVATE_KEY: usize = 884;

/// The text of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Text(Vec<Piece>);

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Bytes(Vec<u8>),
    /// A form of a key, and how much of it.
    Key(Form, String, Option<usize>),
    /// A key that the bridge makes, with its length and its end.
    NewKey(Form, String, Option<usize>, String),
    Number(String),
    NewNumber(String),
    Any,
    Port(PortOf, String),
}

/// The form of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Private,
    Destination,
    B32,
    UpperB32,
    Hash,
}

/// The owner of a port.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PortOf {
    Udp,
    Tcp,
    Nobody,
}

/// The keys and numbers of a scenario, by name.
#[derive(Default)]
pub struct Values {
    keys: BTreeMap<String, Key>,
    numbers: BTreeMap<String, String>,
}

struct Key {
    private: Option<String>,
    destination: String,
}

impl Text {
    /// Reads the notation: escapes, and places in braces.
    pub fn parse(source: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut bytes = Vec::new();
        let mut rest = source;
        while let Some(first) = rest.chars().next() {
            if first == '{' {
                let end = rest.find('}').ok_or("a brace without its end")?;
                let piece = parse_place(&rest[1..end])?;
                rest = &rest[end + 1..];
                match piece {
                    Piece::Bytes(more) => bytes.extend(more),
                    piece => {
                        if !bytes.is_empty() {
                            pieces.push(Piece::Bytes(std::mem::take(&mut bytes)));
                        }
                        pieces.push(piece);
                    }
                }
            } else if first == '\\' {
                let (byte, len) = parse_escape(&rest[1..])?;
                bytes.push(byte);
                rest = &rest[1 + len..];
            } else {
                let len = first.len_utf8();
                bytes.extend(&rest.as_bytes()[..len]);
                rest = &rest[len..];
            }
        }
        if !bytes.is_empty() {
            pieces.push(Piece::Bytes(bytes));
        }
        Ok(Self(pieces))
    }

    /// Reports whether it is a greeting, in any case.
    pub fn is_hello(&self) -> bool {
        self.starts_with("HELLO")
    }

    /// Reports whether it is a command of a control socket, in any case.
    pub fn is_session_command(&self) -> bool {
        self.starts_with("SESSION")
    }

    /// Returns the bytes to send.
    pub fn expand(
        &self,
        values: &mut Values,
        port: &mut dyn FnMut(PortOf, &str) -> u16,
    ) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Port(of, name) => bytes.extend(port(*of, name).to_string().into_bytes()),
                piece => bytes.extend(values.known(piece).expect("a place of a text to receive")),
            }
        }
        bytes
    }

    /// Returns the number of bytes, if it is known.
    pub fn len(&self, values: &mut Values) -> Option<usize> {
        let lens = self.0.iter().map(|piece| Some(values.known(piece)?.len()));
        lens.sum()
    }

    /// Compares what arrived, and keeps the new keys and numbers in it.
    pub fn matches(&self, mut actual: &[u8], values: &mut Values) -> bool {
        for (at, piece) in self.0.iter().enumerate() {
            let matched = match piece {
                Piece::NewKey(form, name, len, end) => {
                    let found = run(actual, |byte| {
                        byte.is_ascii_alphanumeric() || b"~-=".contains(&byte)
                    });
                    let fits = len.is_none_or(|len| len == found.len()) && found.ends_with(end);
                    (fits && values.keep(*form, name, found)).then_some(found.len())
                }
                Piece::NewNumber(name) => {
                    let found = run(actual, |byte| byte.is_ascii_digit());
                    values.numbers.insert(name.clone(), found.to_owned());
                    (!found.is_empty()).then_some(found.len())
                }
                Piece::Any => self.any_len(at, actual, values),
                piece => values
                    .known(piece)
                    .filter(|expected| actual.starts_with(expected))
                    .map(|expected| expected.len()),
            };
            let Some(len) = matched else { return false };
            actual = &actual[len..];
        }
        actual.is_empty()
    }

    fn starts_with(&self, word: &str) -> bool {
        let Some(Piece::Bytes(bytes)) = self.0.first() else {
            return false;
        };
        let start = bytes.trim_ascii_start().get(..word.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Free text ends where the next piece begins.
    fn any_len(&self, at: usize, actual: &[u8], values: &mut Values) -> Option<usize> {
        let Some(next) = self.0.get(at + 1) else {
            return Some(actual.len());
        };
        let next = values.known(next)?;
        actual.windows(next.len()).position(|window| window == next)
    }
}

impl Values {
    /// Returns the bytes of a piece, except of one that only what arrives determines.
    fn known(&mut self, piece: &Piece) -> Option<Vec<u8>> {
        match piece {
            Piece::Bytes(bytes) => Some(bytes.clone()),
            Piece::Key(form, name, cut) => {
                let text = self.key(*form, name);
                let len = cut.unwrap_or(text.len()).min(text.len());
                Some(text.as_bytes()[..len].to_vec())
            }
            Piece::Number(name) => self.numbers.get(name).map(|text| text.clone().into_bytes()),
            _ => None,
        }
    }

    /// Returns a destination, which is new if nobody has named it.
    pub fn destination(&mut self, name: &str) -> Destination {
        let text = self.key(Form::Destination, name);
        Destination::from_base64(&text).expect("a destination")
    }

    fn key(&mut self, form: Form, name: &str) -> String {
        let seed = self.keys.len() as u8;
        let entry = self.keys.entry(name.to_owned()).or_insert_with(|| {
            let key = key(seed);
            Key {
                private: Some(key.expose_base64()),
                destination: key.destination().to_base64(),
            }
        });
        match form {
            Form::Private => entry.private.clone().expect("a key of the client"),
            Form::Destination => entry.destination.clone(),
            form => {
                let destination =
                    Destination::from_base64(&entry.destination).expect("a destination");
                match form {
                    Form::B32 => destination.b32().to_string(),
                    Form::UpperB32 => destination.b32().to_string().to_uppercase(),
                    _ => i2p_base64(&destination.hash()),
                }
            }
        }
    }

    /// Keeps a key that the bridge made. A private key must belong to the destination of its name.
    fn keep(&mut self, form: Form, name: &str, text: &str) -> bool {
        let destination = match form {
            Form::Private => destination_of(text),
            _ => Some(text.to_owned()),
        };
        let Some(destination) = destination else {
            return false;
        };
        let fits = match self.keys.get(name) {
            Some(known) if form == Form::Private && known.private.is_none() => {
                known.destination == destination
            }
            _ => true,
        };
        let private = (form == Form::Private).then(|| text.to_owned());
        self.keys.insert(
            name.to_owned(),
            Key {
                private,
                destination,
            },
        );
        fits
    }
}

/// Returns bytes in a form to read: keys are replaced by their lengths, long runs by their counts.
pub fn readable(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|byte| *byte == first).count();
        let key = run(rest, |byte| {
            byte.is_ascii_alphanumeric() || b"~-=".contains(&byte)
        })
        .len();
        if same >= 40 {
            let _ = write!(text, "{{{}*{same}}}", first.escape_ascii());
            rest = &rest[same..];
        } else if key >= 100 {
            let _ = write!(text, "{{{key} of base64}}");
            rest = &rest[key..];
        } else {
            let _ = write!(text, "{}", first.escape_ascii());
            rest = &rest[1..];
        }
    }
    text.replace("\\\"", "\"").replace("\\'", "'")
}

fn parse_place(place: &str) -> Result<Piece, String> {
    let mut words = place.split(' ');
    let kind = words.next().unwrap_or_default();
    if let Some((unit, count)) = kind.split_once('*') {
        let count = count.parse().map_err(|_| format!("no count: {place}"))?;
        return Ok(Piece::Bytes(unit.as_bytes().repeat(count)));
    }
    let name = words.next().unwrap_or_default().to_owned();
    let form = match kind.trim_end_matches('?') {
        "any" => return Ok(Piece::Any),
        "num" if kind.ends_with('?') => return Ok(Piece::NewNumber(name)),
        "num" => return Ok(Piece::Number(name)),
        "udp" => return Ok(Piece::Port(PortOf::Udp, name)),
        "tcp" => return Ok(Piece::Port(PortOf::Tcp, name)),
        "closed" => return Ok(Piece::Port(PortOf::Nobody, name)),
        "priv" => Form::Private,
        "dest" => Form::Destination,
        "b32" => Form::B32,
        "B32" => Form::UpperB32,
        "hash" => Form::Hash,
        _ => return Err(format!("an unknown place: {place}")),
    };
    if name.is_empty() {
        return Err(format!("a key without a name: {place}"));
    }
    let len = words.next().unwrap_or_default();
    let number = |len: &str| {
        len.parse::<usize>()
            .map_err(|_| format!("no length: {place}"))
    };
    match (kind.ends_with('?'), len) {
        (true, "") => Ok(Piece::NewKey(form, name, None, String::new())),
        (true, len) => {
            let end = words.next().unwrap_or_default().to_owned();
            Ok(Piece::NewKey(form, name, Some(number(len)?), end))
        }
        (false, "") => Ok(Piece::Key(form, name, None)),
        (false, len) => Ok(Piece::Key(
            form,
            name,
            Some(number(len.trim_start_matches(".."))?),
        )),
    }
}

/// Returns the byte, and the length of its notation behind the backslash.
fn parse_escape(rest: &str) -> Result<(u8, usize), String> {
    match rest.as_bytes() {
        [b'n', ..] => Ok((b'\n', 1)),
        [b'r', ..] => Ok((b'\r', 1)),
        [b't', ..] => Ok((b'\t', 1)),
        [b'\\', ..] => Ok((b'\\', 1)),
        [b'x', _, _, ..] => match u8::from_str_radix(rest.get(1..3).unwrap_or_default(), 16) {
            Ok(byte) => Ok((byte, 3)),
            Err(_) => Err(format!("an unknown escape: {rest}")),
        },
        _ => Err(format!("an unknown escape: {rest}")),
    }
}

/// Returns the bytes at the beginning that fulfil a condition, which only ASCII does.
fn run(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> &str {
    let len = bytes.iter().take_while(|byte| is_part(**byte)).count();
    std::str::from_utf8(&bytes[..len]).unwrap_or_default()
}

fn destination_of(private_key: &str) -> Option<String> {
    if private_key.len() == DSA_PRIVATE_KEY {
        return Some(private_key[..516].to_owned());
    }
    let key = PrivateKey::from_base64(private_key).ok()?;
    Some(key.destination().to_base64())
}

fn i2p_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).replace('+', "-").replace('/', "~")
}
