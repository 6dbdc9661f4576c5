//! The line in front of a datagram, read by `DatagramHeader` and `RawHeader`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    bodies::datagram_header(input);
});
