//! I2P's base64 and base32, CRC-32, and a cursor over binary keys.

use std::fmt;
use std::mem;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet::Alphabet;
use base64::display::Base64Display;
use base64::engine::general_purpose::{GeneralPurpose, PAD};
use data_encoding::BASE32_NOPAD;

use super::wiped::Wiped;

const ALPHABET: Alphabet =
    match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~") {
        Ok(alphabet) => alphabet,
        // The compiler evaluates this, so the panic can only stop a build.
        #[allow(clippy::panic)]
        Err(_) => panic!("the alphabet has 64 different characters"),
    };

/// Padding is required and unused bits are zero, so that one value has exactly one text.
const BASE64: GeneralPurpose = GeneralPurpose::new(&ALPHABET, PAD);

/// Reads a decimal number of digits only: `parse` alone also accepts a leading `+`.
pub(crate) fn parse_number<T: FromStr>(text: &str) -> Option<T> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

/// Returns true for the 64 characters of I2P's base64, which are all but the padding.
pub(crate) fn is_base64_digit(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '~')
}

/// The reason why a text is not base64; it contains no byte of the text, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base64Fault {
    Character { offset: usize },
    Length { length: usize },
}

pub(crate) fn base64_encode(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Returns a value that displays the base64 text piece by piece, without an allocation.
pub(super) fn base64_shown(bytes: &[u8]) -> impl fmt::Display {
    Base64Display::new(bytes, &BASE64)
}

pub(super) fn base64_decode(text: &str) -> Result<Vec<u8>, Base64Fault> {
    base64_decode_wiped(text).map(|mut bytes| mem::take(&mut *bytes))
}

/// Decodes a text that may be a private key, by mistake too.
pub(super) fn base64_decode_wiped(text: &str) -> Result<Wiped<Vec<u8>>, Base64Fault> {
    // The decoder allocates no other buffer if this one has the room that it estimates.
    let room = base64::decoded_len_estimate(text.len());
    let mut bytes = Wiped::new(Vec::with_capacity(room));
    let outcome = BASE64.decode_vec(text, &mut bytes);
    outcome.map(|()| bytes).map_err(|error| match error {
        base64::DecodeError::InvalidByte(offset, _)
        | base64::DecodeError::InvalidLastSymbol { offset, .. } => {
            Base64Fault::Character { offset }
        }
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => {
            Base64Fault::Length { length: text.len() }
        }
    })
}

pub(super) fn base32_encode(bytes: &[u8]) -> String {
    let mut text = BASE32_NOPAD.encode(bytes);
    text.make_ascii_lowercase();
    text
}

/// Writes base32 into `text`, which must have exactly the length that these bytes need.
pub(super) fn base32_encode_into(bytes: &[u8], text: &mut [u8]) {
    BASE32_NOPAD.encode_mut(bytes, text);
    text.make_ascii_lowercase();
}

/// Decodes base32 in either case; the error is the offset of the first invalid character.
pub(super) fn base32_decode(text: &str) -> Result<Vec<u8>, usize> {
    BASE32_NOPAD
        .decode(text.to_ascii_uppercase().as_bytes())
        .map_err(|error| error.position)
}

/// Returns the CRC-32 as in zip and gzip. It goes bit by bit, since its input is only a b33
/// address.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            let polynomial = if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
            (crc >> 1) ^ polynomial
        })
    })
}

/// Reads a binary key from the start and never reads past its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_has_only_digits() {
        assert_eq!(parse_number::<u16>("007"), Some(7));
        for text in ["", "+7", "-7", " 7", "7 ", "0x7", "65536", "\u{663}"] {
            assert_eq!(parse_number::<u16>(text), None, "{text:?}");
        }
    }

    #[test]
    fn base64_uses_minus_and_tilde() {
        assert_eq!(base64_encode(&[0xfb, 0xef, 0xff]), "--~~");
        assert_eq!(base64_decode("--~~"), Ok(vec![0xfb, 0xef, 0xff]));
    }

    #[test]
    fn base64_is_padded() {
        assert_eq!(base64_encode(b"i2"), "aTI=");
        assert_eq!(base64_decode("aTI="), Ok(b"i2".to_vec()));
    }

    #[test]
    fn standard_base64_alphabet_is_refused() {
        for (text, offset) in [
            ("aa+a", 2),
            ("a/aa", 1),
            ("_aaa", 0),
            ("aaa\n", 3),
            ("aé=a", 1),
        ] {
            let fault = Base64Fault::Character { offset };
            assert_eq!(base64_decode(text), Err(fault), "{text:?}");
        }
    }

    #[test]
    fn base64_with_wrong_padding_is_refused() {
        for text in ["aTI", "aQ", "aQ=", "a"] {
            assert!(base64_decode(text).is_err(), "{text:?}");
        }
        assert!(base64_decode("aTI==").is_err());
        assert!(base64_decode("aTI=====").is_err());
    }

    #[test]
    fn base64_with_stray_bits_is_refused() {
        let fault = Base64Fault::Character { offset: 2 };
        assert_eq!(base64_decode("aTJ="), Err(fault));
    }

    #[test]
    fn base32_is_lower_case_and_unpadded() {
        assert_eq!(base32_encode(b"foobar"), "mzxw6ytboi");
    }

    #[test]
    fn base32_parses_in_either_case() {
        assert_eq!(base32_decode("mZxW6YtBoI"), Ok(b"foobar".to_vec()));
    }

    #[test]
    fn base32_errors_name_the_offset() {
        assert_eq!(base32_decode("mzxw1ytboi"), Err(4));
        assert_eq!(base32_decode("mzxw6ytboj"), Err(9), "stray bits");
    }

    #[test]
    fn crc32_matches_zip() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn cursor_at_end_keeps_remaining_bytes() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.u16(), Some(0x0102));
        assert_eq!(cursor.u32(), None);
        assert_eq!(cursor.rest(), [3]);
    }
}
