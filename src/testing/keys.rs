use crate::address::{KeyError, PrivateKey, SignatureType};

use super::random::Random;

/// The part of a signing key that fits before the certificate.
const SIGNING_KEY_ROOM: usize = 128;

/// The encryption key of a destination is 32 random bytes, repeated, as in the I2P of today.
const PATTERN: usize = 32;

/// Makes a well-formed private key. Its parts do not belong together, so no router could use it.
pub(super) fn generate(
    random: &mut Random,
    signature_type: SignatureType,
) -> Result<PrivateKey, KeyError> {
    let pattern = random.bytes(PATTERN);
    let mut bytes: Vec<u8> = pattern.into_iter().cycle().take(256).collect();
    let public = random.bytes(signature_type.public_key_len());
    let (in_front, excess) = public.split_at(public.len().min(SIGNING_KEY_ROOM));
    bytes.extend(random.bytes(SIGNING_KEY_ROOM - in_front.len()));
    bytes.extend_from_slice(in_front);
    bytes.extend(certificate(signature_type, excess));
    bytes.extend(random.bytes(256));
    bytes.extend(random.bytes(signature_type.private_key_len()));
    PrivateKey::from_bytes(&bytes)
}

/// A NULL certificate for DSA, and a KEY certificate for all other types.
fn certificate(signature_type: SignatureType, excess: &[u8]) -> Vec<u8> {
    if signature_type == SignatureType::DsaSha1 {
        return vec![0, 0, 0];
    }
    let len = (4 + excess.len()) as u16;
    let mut certificate = vec![5];
    certificate.extend(len.to_be_bytes());
    certificate.extend(signature_type.code().to_be_bytes());
    certificate.extend([0, 0]);
    certificate.extend_from_slice(excess);
    certificate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_of_every_type_is_well_formed() {
        let mut random = Random::new(1);
        for code in [0, 1, 2, 3, 7, 11] {
            let signature_type = SignatureType::from_code(code).unwrap();
            let key = generate(&mut random, signature_type).unwrap();
            assert_eq!(key.signature_type(), signature_type);
            assert_eq!(key.offline_signature(), None);
        }
    }

    #[test]
    fn same_seed_makes_same_keys() {
        let key = |seed| generate(&mut Random::new(seed), SignatureType::Ed25519).unwrap();
        assert_eq!(key(1).expose_bytes(), key(1).expose_bytes());
        assert_ne!(key(1).expose_bytes(), key(2).expose_bytes());
    }
}
