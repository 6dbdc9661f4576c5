//! Public keys and addresses: `Destination`, `I2pAddr` and their kin.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    bodies::destination(input);
});
