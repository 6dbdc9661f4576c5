//! Lines taken from a socket that delivers in portions, by `read_line`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    bodies::line(input);
});
