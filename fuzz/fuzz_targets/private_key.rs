//! Private keys, binary and base64: `PrivateKey`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    bodies::private_key(input);
});
