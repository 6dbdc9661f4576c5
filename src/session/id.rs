use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

/// Returns a session id that nobody can guess: 128 bits as 26 characters.
///
/// Any local process that knows the id of a session can dial and accept in its name, and on Java I2P
/// end it by a request for the same id. Every router accepts lower-case letters and digits; i2pd
/// refuses some other characters.
pub(crate) fn unguessable() -> String {
    let mut hash = Sha256::new();
    hash.update(system_randomness());
    // Not the source of the secret: it only makes two ids differ if the system has no randomness.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    hash.update(COUNT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    let hash = hash.finalize();
    let half = hash.iter().take(16).copied().collect::<Vec<_>>();
    data_encoding::BASE32_NOPAD
        .encode(&half)
        .to_ascii_lowercase()
}

/// Returns 32 random bytes of the operating system. If it has no device for them, they come from the
/// standard library's hash keys, which the system seeds for each thread and which never leave it.
fn system_randomness() -> [u8; 32] {
    let mut bytes = [0; 32];
    let device = std::fs::File::open("/dev/urandom");
    if device
        .and_then(|mut device| device.read_exact(&mut bytes))
        .is_ok()
    {
        return bytes;
    }
    for chunk in bytes.chunks_mut(8) {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let word = RandomState::new().hash_one((time.ok(), std::process::id()));
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn id_has_128_bits_in_base32() {
        let id = unguessable();
        assert_eq!(id.len(), 26);
        assert!(
            id.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        );
    }

    #[test]
    fn no_two_ids_are_alike() {
        let ids: HashSet<_> = (0..1000).map(|_| unguessable()).collect();
        assert_eq!(ids.len(), 1000);
    }
}
