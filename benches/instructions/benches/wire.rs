//! The instructions of the parsers and writers of text. `floor` is what no parser can do without; it
//! runs on the same bytes.

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group, main};
use i2p_sam::PrivateKey;

/// Makes the call once before it is counted: the first call in a process also looks up the abilities of
/// the processor and binds the functions of the C library.
fn warm<T, R>(input: T, call: impl Fn(&T) -> R) -> T {
    black_box(call(&input));
    input
}

fn warm_line(line: Vec<u8>) -> Vec<u8> {
    black_box(inputs::floor(&line));
    black_box(inputs::reply(&line));
    black_box(inputs::stream_header(&line));
    black_box(inputs::datagram_header(&line));
    black_box(inputs::line(&line, &mut Vec::new()));
    line
}

#[library_benchmark]
#[bench::hello_reply(warm_line(inputs::hello_reply()))]
#[bench::session_status(warm_line(inputs::session_status()))]
#[bench::naming_reply(warm_line(inputs::naming_reply()))]
#[bench::stream_status(warm_line(inputs::stream_status()))]
#[bench::stream_refusal(warm_line(inputs::stream_refusal()))]
#[bench::peer_line(warm_line(inputs::peer_line()))]
#[bench::datagram(warm_line(inputs::datagram()))]
fn floor(line: Vec<u8>) -> Vec<u8> {
    black_box(inputs::floor(black_box(&line)));
    line
}

#[library_benchmark]
#[bench::hello_reply(warm_line(inputs::hello_reply()), "VERSION")]
#[bench::session_status(warm_line(inputs::session_status()), "DESTINATION")]
#[bench::naming_reply(warm_line(inputs::naming_reply()), "VALUE")]
fn parse_with_value(line: Vec<u8>, key: &str) -> Vec<u8> {
    black_box(inputs::reply_with(black_box(&line), key));
    line
}

#[library_benchmark]
#[bench::stream_status(warm_line(inputs::stream_status()))]
#[bench::stream_refusal(warm_line(inputs::stream_refusal()))]
fn parse(line: Vec<u8>) -> Vec<u8> {
    black_box(inputs::reply(black_box(&line)));
    line
}

#[library_benchmark]
#[bench::peer_line(warm_line(inputs::peer_line()))]
fn parse_stream_header(line: Vec<u8>) -> Vec<u8> {
    black_box(inputs::stream_header(black_box(&line)));
    line
}

#[library_benchmark]
#[bench::datagram(warm_line(inputs::datagram()))]
fn parse_datagram_header(packet: Vec<u8>) -> Vec<u8> {
    black_box(inputs::datagram_header(black_box(&packet)));
    packet
}

#[library_benchmark]
#[bench::short(
    inputs::with_payload(inputs::stream_status()),
    Vec::with_capacity(1024)
)]
#[bench::long(
    inputs::with_payload(inputs::session_status()),
    Vec::with_capacity(1024)
)]
fn read_line(bytes: Vec<u8>, mut line: Vec<u8>) -> (Vec<u8>, Vec<u8>) {
    black_box(inputs::line(black_box(&bytes), &mut line));
    (bytes, line)
}

#[library_benchmark]
#[bench::hello(warm(inputs::hello, |write| write()))]
#[bench::session_create(warm(inputs::session_create, |write| write()))]
#[bench::stream_accept(warm(inputs::stream_accept, |write| write()))]
fn write(command: fn() -> Option<i2p_sam::wire::Command>) -> Option<i2p_sam::wire::Command> {
    black_box(command)()
}

#[library_benchmark]
#[bench::stream_connect(warm(inputs::destination(), |peer| inputs::stream_connect(peer)))]
fn write_connect(destination: String) -> (String, Option<i2p_sam::wire::Command>) {
    let command = inputs::stream_connect(black_box(&destination));
    (destination, command)
}

#[library_benchmark]
#[bench::destination(warm(inputs::destination(), |text| inputs::read_destination(text)))]
fn from_base64(text: String) -> (String, Option<i2p_sam::Destination>) {
    let destination = inputs::read_destination(black_box(&text));
    (text, destination)
}

#[library_benchmark]
#[bench::destination(warm(inputs::key(), |key| inputs::write_destination(key.destination())))]
fn to_base64(key: PrivateKey) -> (PrivateKey, String) {
    let text = inputs::write_destination(black_box(key.destination()));
    (key, text)
}

#[library_benchmark]
#[bench::private_key(warm(inputs::key().expose_base64(), |text| inputs::read_key(text)))]
fn key_from_base64(text: String) -> (String, Option<PrivateKey>) {
    let key = inputs::read_key(black_box(&text));
    (text, key)
}

#[library_benchmark]
#[bench::destination(warm(inputs::key(), |key| inputs::b32(key.destination())))]
fn b32(key: PrivateKey) -> (PrivateKey, String) {
    let text = inputs::b32(black_box(key.destination()));
    (key, text)
}

#[library_benchmark]
#[bench::b32(warm(inputs::key().destination().b32().to_string(), |text| inputs::read_b32(text)))]
fn b32_from_text(text: String) -> (String, Option<i2p_sam::B32>) {
    let b32 = inputs::read_b32(black_box(&text));
    (text, b32)
}

library_benchmark_group!(
    name = wire,
    benchmarks = [
        floor,
        parse_with_value,
        parse,
        parse_stream_header,
        parse_datagram_header,
        read_line,
        write,
        write_connect,
        from_base64,
        to_base64,
        key_from_base64,
        b32,
        b32_from_text
    ]
);

main!(library_benchmark_groups = wire);
