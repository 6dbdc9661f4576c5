//! What a caller may say, written by `Command` and read back by `Message`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    bodies::command(input);
});
