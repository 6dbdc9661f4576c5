//! Replays the committed corpus of the fuzz targets through the fuzz targets' own code.
//!
//! A finding of the fuzzer becomes a file of `fuzz/corpus/`, and from then on a test of every run.

#[path = "../../fuzz/bodies.rs"]
mod bodies;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use bodies::Outcome;

/// Larger corpora belong in a fuzzer's own folder, not in the repository.
const MOST_FILES: usize = 100;
const MOST_BYTES: usize = 160 * 1024;

/// Runs `body` on every file of the target's corpus. The corpus must have at least `least` files,
/// which together must produce exactly the named outcomes: inputs read, and errors.
fn replay(target: &str, body: fn(&[u8]) -> Outcome, least: usize, read: &[&str], refused: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files: Vec<_> = fs::read_dir(folder.join(target))
        .expect("the corpus is there")
        .map(|entry| entry.expect("the corpus can be listed").path())
        .collect();
    files.sort();
    assert!(files.len() >= least, "only {} files", files.len());
    assert!(files.len() <= MOST_FILES, "{} files", files.len());

    let mut bytes = 0;
    let mut failed = Vec::new();
    let mut seen = BTreeSet::new();
    for file in &files {
        let input = fs::read(file).expect("a file of the corpus can be read");
        bytes += input.len();
        match catch_unwind(|| body(&input)) {
            Ok(outcome) => _ = seen.insert(outcome),
            Err(_) => failed.push(file.file_name().expect("a file has a name")),
        }
    }
    assert!(failed.is_empty(), "a property fails for {failed:?}");
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");

    let read = read.iter().map(|way| format!("Read({way:?})"));
    let refused = refused.iter().map(|way| format!("Refused({way:?})"));
    let wanted: BTreeSet<_> = read.chain(refused).collect();
    let seen: BTreeSet<_> = seen.iter().map(|way| format!("{way:?}")).collect();
    assert_eq!(
        seen, wanted,
        "the ways the corpus goes are not those it has to go"
    );
}

#[test]
fn message_corpus_replays() {
    let read = ["free text", "pairs"];
    let refused = ["Empty", "UnterminatedQuote", "Utf8"];
    replay("message", bodies::message, 60, &read, &refused);
}

#[test]
fn command_corpus_replays() {
    let read = [
        "ACCEPT", "CONNECT", "CREATE", "GENERATE", "LOOKUP", "PING", "PONG", "QUIT", "VERSION",
    ];
    let refused = ["Character", "Empty", "TooLong"];
    replay("command", bodies::command, 30, &read, &refused);
}

#[test]
fn line_corpus_replays() {
    let refused = ["ConnectionReset", "End", "InvalidData", "Unterminated"];
    replay("line", bodies::line, 15, &["line"], &refused);
}

#[test]
fn header_corpus_replays() {
    let read = ["peer", "peer with ports", "status"];
    replay(
        "header",
        bodies::header,
        20,
        &read,
        &["Empty", "UnterminatedQuote", "Utf8", "Value"],
    );
}

#[test]
fn datagram_header_corpus_replays() {
    let read = ["sender", "sender with ports"];
    let refused = ["Empty", "TooLong", "Utf8", "Value"];
    replay(
        "datagram_header",
        bodies::datagram_header,
        12,
        &read,
        &refused,
    );
}

#[test]
fn control_script_corpus_replays() {
    let read = ["datagram", "malformed datagram", "raw datagram", "stream"];
    let refused = [
        "Disconnected",
        "Empty",
        "ProtocolViolation",
        "Protocol",
        "Refused",
        "Timeout",
        "UnexpectedEof",
    ];
    replay(
        "control_script",
        bodies::control_script,
        15,
        &read,
        &refused,
    );
}

#[test]
fn destination_corpus_replays() {
    let read = [
        "b32",
        "b33",
        "base64",
        "base64.i2p",
        "bytes",
        "link",
        "link with a helper",
        "name",
    ];
    let refused = [
        "B32Length",
        "B33Checksum",
        "Base64Length",
        "EmptyLabel",
        "InvalidBase32",
        "InvalidBase64",
        "InvalidCertificate",
        "InvalidCharacter",
        "InvalidPort",
        "LabelTooLong",
        "MissingB32Suffix",
        "NameTooLong",
        "NonAscii",
        "NotAnAddress",
        "SurplusPart",
        "TrailingBytes",
        "Truncated",
    ];
    replay("destination", bodies::destination, 40, &read, &refused);
}

#[test]
fn private_key_corpus_replays() {
    let read = ["base64", "key", "offline key"];
    let refused = [
        "Base64Length",
        "Destination",
        "InvalidBase64",
        "InvalidOfflineSignature",
        "Length",
        "PublicOnly",
        "UnsupportedSignatureType",
    ];
    replay("private_key", bodies::private_key, 25, &read, &refused);
}
