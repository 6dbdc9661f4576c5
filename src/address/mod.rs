//! Identities in I2P: public destinations, private keys, and the addresses that users type.
//!
//! Public and private keys are different types, so that neither can be dialled, logged or published
//! in place of the other: a [`Destination`] can be printed, a [`PrivateKey`] cannot.

mod b32;
mod destination;
mod encoding;
mod error;
mod file_access;
mod host;
mod i2p_addr;
mod key;
mod key_error;
mod key_file;
mod link;
#[cfg(feature = "serde")]
mod serialized;
mod signature;
mod wiped;

pub use b32::{B32, B33};
pub use destination::Destination;
pub(crate) use encoding::{base64_encode, is_base64_digit, parse_number};
pub use error::{AddressError, UrlPart};
pub use host::{Host, HostName};
pub use i2p_addr::{I2pAddr, ToI2pAddr};
pub use key::{OfflineSignature, PrivateKey};
pub use key_error::{KeyError, KeyFileError};
pub use signature::{SignatureType, SignatureTypeError};
pub(crate) use wiped::{Wiped, append};

/// Keys for the tests of this folder: only their types and lengths matter, not their bytes.
#[cfg(test)]
mod tests {
    /// Returns the same `len` bytes for the same seed, and never a run of zeros.
    pub(super) fn pattern(len: usize, seed: u32) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    pub(super) fn destination_bytes(certificate: &[u8]) -> Vec<u8> {
        [&pattern(384, 0), certificate].concat()
    }

    pub(super) fn ed25519() -> Vec<u8> {
        destination_bytes(&[5, 0, 4, 0, 7, 0, 0])
    }

    pub(super) fn key_bytes(
        certificate: &[u8],
        encryption: usize,
        signing: usize,
        seed: u32,
    ) -> Vec<u8> {
        let private = pattern(encryption + signing, seed);
        [destination_bytes(certificate), private].concat()
    }

    pub(super) fn ed25519_key(seed: u32) -> Vec<u8> {
        key_bytes(&[5, 0, 4, 0, 7, 0, 0], 256, 32, seed)
    }

    /// Returns a blank signing key and an Ed25519 transient key that is valid until 0x70000001
    /// (2029).
    pub(super) fn offline_key(certificate: &[u8], encryption: usize) -> Vec<u8> {
        let (signing, signature) = if certificate.len() > 7 {
            (66, 132)
        } else {
            (32, 64)
        };
        [
            key_bytes(certificate, encryption, 0, 2),
            vec![0; signing],
            vec![0x70, 0, 0, 1, 0, 7],
            pattern(32 + signature + 32, 3),
        ]
        .concat()
    }
}
