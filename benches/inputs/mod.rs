//! The bytes on which the benchmarks work, and the calls that they measure.

use std::io::{self, Read};

use i2p_sam::wire::{Command, DatagramHeader, LineSource, Message, StreamHeader, read_line};
use i2p_sam::{B32, Destination, PrivateKey, ResultCode, Version};

/// Returns a key as a router of today makes it: Ed25519, 679 bytes.
pub fn key() -> PrivateKey {
    let mut bytes: Vec<u8> = (0..384_u32).map(|at| (at * 37 + 11) as u8).collect();
    bytes.extend([5, 0, 4, 0, 7, 0, 0]);
    bytes.extend((0..256 + 32_u32).map(|at| (at * 53 + 7) as u8));
    PrivateKey::from_bytes(&bytes).expect("a well-formed key")
}

pub fn destination() -> String {
    key().destination().to_base64()
}

pub fn hello_reply() -> Vec<u8> {
    b"HELLO REPLY RESULT=OK VERSION=3.3".to_vec()
}

pub fn session_status() -> Vec<u8> {
    let key = key().expose_base64();
    format!("SESSION STATUS RESULT=OK DESTINATION={key}").into_bytes()
}

pub fn naming_reply() -> Vec<u8> {
    let value = destination();
    format!("NAMING REPLY RESULT=OK NAME=stats.i2p VALUE={value}").into_bytes()
}

pub fn stream_status() -> Vec<u8> {
    b"STREAM STATUS RESULT=OK".to_vec()
}

pub fn stream_refusal() -> Vec<u8> {
    br#"STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE="Connection timed out \"later\"""#.to_vec()
}

/// Returns the line that precedes an accepted stream.
pub fn peer_line() -> Vec<u8> {
    format!("{} FROM_PORT=0 TO_PORT=80", destination()).into_bytes()
}

/// Returns a datagram of 1000 bytes as a bridge forwards it.
pub fn datagram() -> Vec<u8> {
    let mut packet = format!("{} FROM_PORT=1 TO_PORT=2\n", destination()).into_bytes();
    packet.resize(packet.len() + 1000, 7);
    packet
}

/// Returns a line with its end, and a payload after it.
pub fn with_payload(mut line: Vec<u8>) -> Vec<u8> {
    line.extend(b"\npayload");
    line
}

/// The least that any parser does: it finds the end of the line and checks that the line is text.
pub fn floor(bytes: &[u8]) -> usize {
    let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    bytes
        .get(..end)
        .and_then(|line| std::str::from_utf8(line).ok())
        .map_or(0, str::len)
}

/// Parses a reply and looks at the result, as each call of the library does.
pub fn reply(line: &[u8]) -> bool {
    Message::parse(line).is_ok_and(|reply| reply.result() == Some(ResultCode::Ok))
}

/// Parses a reply and looks at the result and at one value.
pub fn reply_with(line: &[u8], key: &str) -> usize {
    let reply = Message::parse(line)
        .ok()
        .filter(|reply| reply.result() == Some(ResultCode::Ok));
    let value = reply.and_then(|reply| reply.value(key));
    value.map_or(0, |value| value.raw().len())
}

pub fn stream_header(line: &[u8]) -> bool {
    matches!(StreamHeader::parse(line), Ok(StreamHeader::Peer { .. }))
}

pub fn datagram_header(packet: &[u8]) -> usize {
    DatagramHeader::split(packet).map_or(0, |(_, payload)| payload.len())
}

/// Takes the first line out of `bytes`.
pub fn line(bytes: &[u8], into: &mut Vec<u8>) -> bool {
    read_line(&mut Bytes(bytes), into).is_ok()
}

struct Bytes<'a>(&'a [u8]);

impl LineSource for Bytes<'_> {
    fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.0;
        rest.read(buf)
    }

    fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

pub fn hello() -> Option<Command> {
    Command::hello(Version::V3_1, Version::V3_3, None).ok()
}

pub fn session_create() -> Option<Command> {
    let pairs = [
        ("STYLE", "STREAM"),
        ("ID", "i2p-sam-0123456789abcdef"),
        ("DESTINATION", "TRANSIENT"),
        ("SIGNATURE_TYPE", "7"),
        ("inbound.nickname", "a name"),
        ("i2cp.leaseSetEncType", "4,0"),
    ];
    let create = Command::new("SESSION", "CREATE");
    pairs.iter().try_fold(create, |command, (key, value)| {
        command.pair(key, value).ok()
    })
}

pub fn stream_connect(destination: &str) -> Option<Command> {
    Command::stream_connect("i2p-sam-0123456789abcdef", destination, None, Some(80)).ok()
}

pub fn stream_accept() -> Option<Command> {
    Command::stream_accept("i2p-sam-0123456789abcdef").ok()
}

pub fn read_destination(base64: &str) -> Option<Destination> {
    Destination::from_base64(base64).ok()
}

pub fn write_destination(destination: &Destination) -> String {
    destination.to_base64()
}

pub fn read_key(base64: &str) -> Option<PrivateKey> {
    PrivateKey::from_base64(base64).ok()
}

/// Hashes a destination and writes the hash.
pub fn b32(destination: &Destination) -> String {
    destination.b32().to_string()
}

pub fn read_b32(text: &str) -> Option<B32> {
    text.parse().ok()
}
