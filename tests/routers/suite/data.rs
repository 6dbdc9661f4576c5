//! Bytes in which a missing, doubled or misplaced part shows.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::SamStream;
use sha2::{Digest, Sha256};

use crate::router::LONG;

/// Returns `len` bytes that differ with the seed.
pub(crate) fn bytes(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

pub(crate) fn checksum(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Sends each side's bytes to the other at the same time, and compares what arrives.
pub(crate) fn exchange(near: &SamStream, far: &SamStream, len: usize) {
    thread::scope(|scope| {
        for (from, to, seed) in [(near, far, 1), (far, near, 2)] {
            let sent = bytes(len, seed);
            let expected = checksum(&sent);
            scope.spawn(move || { from }.write_all(&sent).unwrap());
            scope.spawn(move || {
                let mut received = vec![0; len];
                { to }.read_exact(&mut received).unwrap();
                assert_eq!(
                    checksum(&received),
                    expected,
                    "{len} bytes came, but not as sent"
                );
            });
        }
    });
}

/// Retries until it succeeds: a router may need more than one dial to find a lease set that was
/// just published.
pub(crate) fn persist<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let (_hold, clock) = mpsc::channel::<()>();
    let start = Instant::now();
    loop {
        if let Some(outcome) = attempt() {
            return outcome;
        }
        assert!(start.elapsed() < LONG, "it never came to this");
        let _ = clock.recv_timeout(Duration::from_millis(100));
    }
}

/// Reads exactly `len` bytes.
pub(crate) fn take(mut stream: &SamStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

pub(crate) fn put(mut stream: &SamStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
}

/// Reads to the end, and fails on a timeout.
pub(crate) fn rest(mut stream: &SamStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let outcome = stream.read_to_end(&mut bytes);
    assert!(outcome.is_ok(), "{outcome:?} after {} bytes", bytes.len());
    bytes
}

/// Checks that both directions of a stream work.
pub(crate) fn greet(near: &SamStream, far: &SamStream) {
    put(near, b"hello");
    assert_eq!(take(far, 5), b"hello");
    put(far, b"hello to you");
    assert_eq!(take(near, 12), b"hello to you");
}
