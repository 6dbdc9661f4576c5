//! Searches in lines. Keys and destinations have hundreds of characters, so many bytes are compared at once.

/// The number of bytes that are compared at once, by the processor's vectors where it has them.
const CHUNK: usize = 64;

/// The number of bytes that are compared as one number, where a chunk is too many.
const WORD: usize = 8;

/// Returns the offset of the first of these bytes.
pub(super) fn find_any<const N: usize>(bytes: &[u8], any: [u8; N]) -> Option<usize> {
    // Most words are short, and the others are keys.
    let mut rest = match bytes.split_first_chunk::<WORD>() {
        Some((word, rest)) => match first_in_word(*word, any) {
            None => rest,
            found => return found,
        },
        None => bytes,
    };
    while let Some((chunk, behind)) = rest.split_first_chunk::<CHUNK>() {
        // Without an early end, so that all bytes are compared at once.
        let found = chunk
            .iter()
            .fold(0, |found, byte| found | u8::from(is_any(*byte, any)));
        if found != 0 {
            break;
        }
        rest = behind;
    }
    while let Some((word, behind)) = rest.split_first_chunk::<WORD>() {
        if let Some(offset) = first_in_word(*word, any) {
            return Some(bytes.len() - rest.len() + offset);
        }
        rest = behind;
    }
    let offset = rest.iter().position(|byte| is_any(*byte, any))?;
    Some(bytes.len() - rest.len() + offset)
}

/// Returns the offset of the first of these bytes among eight, which are compared as one number.
#[inline]
fn first_in_word<const N: usize>(word: [u8; WORD], any: [u8; N]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; WORD]);
    const HIGHEST: u64 = u64::from_le_bytes([0x80; WORD]);
    let word = u64::from_le_bytes(word);
    let found = any.iter().fold(0, |found, byte| {
        // Zero where the byte is. Subtracting one sets the highest bit there, and in no byte before the first
        // such one; in bytes behind it that may be wrong.
        let differs = word ^ (ONES * u64::from(*byte));
        found | (differs.wrapping_sub(ONES) & !differs & HIGHEST)
    });
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

#[inline]
fn is_any<const N: usize>(byte: u8, any: [u8; N]) -> bool {
    any.iter()
        .fold(false, |found, other| found | (byte == *other))
}

/// Returns true if every character is a visible one of ASCII, other than a quote and a backslash.
pub(super) fn is_plain(text: &str) -> bool {
    // Without an early end, this is done for many bytes at once.
    let is_plain = |byte: u8| byte.is_ascii_graphic() & (byte != b'"') & (byte != b'\\');
    text.bytes()
        .fold(true, |plain, byte| plain & is_plain(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_of_several_bytes_is_found_anywhere() {
        for len in 0..100 {
            let plain = vec![b'x'; len];
            assert_eq!(find_any(&plain, [b' ', b'\t']), None);
            for place in 0..len {
                for byte in [b' ', b'\t'] {
                    let mut bytes = plain.clone();
                    bytes[place..].fill(b'\t');
                    bytes[place] = byte;
                    assert_eq!(find_any(&bytes, [b' ', b'\t']), Some(place));
                }
            }
        }
    }

    #[test]
    fn plain_text_has_no_blank_quote_control_or_other_character() {
        assert!(is_plain("") && is_plain("ab~-=!,.Z9"));
        for other in [" ", "\"", "\\", "\t", "\n", "\0", "\x7f", "é", "\u{2028}"] {
            assert!(!is_plain(other) && !is_plain(&format!("abc{other}def")));
        }
    }
}
