/// The type of end-to-end encryption of messages to a session.
///
/// ```
/// use i2p_sam::{EncryptionType, SessionOptions};
///
/// let options = SessionOptions::new().lease_set_encryption(&[EncryptionType::EciesX25519]);
/// assert_eq!(EncryptionType::EciesX25519.code(), 4);
/// # drop(options);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncryptionType {
    /// Type 0: ElGamal with AES and session tags. Every peer supports it; it is slow and dated.
    ElGamal,
    /// Type 4: ECIES on X25519 with ratchets. The network uses it.
    EciesX25519,
    /// Type 5: ML-KEM-512 with X25519, against quantum computers. Routers since 0.9.67.
    MlKem512X25519,
    /// Type 6: ML-KEM-768 with X25519, against quantum computers. Routers since 0.9.67.
    MlKem768X25519,
    /// Type 7: ML-KEM-1024 with X25519, against quantum computers. Routers since 0.9.67.
    MlKem1024X25519,
}

impl EncryptionType {
    /// Returns the number that routers use for the type.
    ///
    /// ```
    /// assert_eq!(i2p_sam::EncryptionType::MlKem768X25519.code(), 6);
    /// ```
    pub const fn code(self) -> u8 {
        match self {
            Self::ElGamal => 0,
            Self::EciesX25519 => 4,
            Self::MlKem512X25519 => 5,
            Self::MlKem768X25519 => 6,
            Self::MlKem1024X25519 => 7,
        }
    }
}
