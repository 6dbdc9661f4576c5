//! The line in front of an accepted stream, read by `StreamHeader`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    bodies::header(input);
});
