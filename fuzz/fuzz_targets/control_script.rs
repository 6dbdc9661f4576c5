//! Anything that a bridge may say to a live session.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    bodies::control_script(input);
});
