//! What a bridge says may hold a key; what we show may not.

/// Longest run of base64 characters that is shown. A session id has 26, a 32-byte key 43 or 44
/// of them; the words of a sentence and the labels of a host name have fewer.
const LONGEST_RUN: usize = 25;

/// Length of a base32 hash, which is public and of use in a message.
const B32: usize = 52;

/// Length of the label of an encrypted lease set's address with the longest key, of type P521.
const LONGEST_B33: usize = 220;

/// Text of a bridge made fit for an error message: whatever could be a key is replaced by its
/// length, control characters by a blank, and what is too long for a message is cut.
pub(crate) fn redact(text: &str) -> String {
    const LONGEST_TEXT: usize = 500;

    let mut shown = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if shown.len() > LONGEST_TEXT {
            shown.push('…');
            break;
        }
        let run = rest.find(|char| !is_key_char(char)).unwrap_or(rest.len());
        if run == 0 {
            shown.push(if first.is_control() { ' ' } else { first });
            rest = rest.get(first.len_utf8()..).unwrap_or("");
            continue;
        }
        let (word, behind) = rest.split_at_checked(run).unwrap_or((rest, ""));
        if word.len() <= LONGEST_RUN || is_b32(word, behind) {
            shown.push_str(word);
        } else {
            shown.push_str(&format!("[{} characters]", word.len()));
        }
        rest = behind;
    }
    shown
}

fn is_key_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '~' | '+' | '/' | '=' | '_')
}

fn is_b32(word: &str, behind: &str) -> bool {
    let Some(behind) = behind.strip_prefix(".b32.i2p") else {
        return false;
    };
    matches!(word.len(), B32 | 56..=LONGEST_B33)
        && !behind.starts_with(is_key_char)
        && word
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_words_stay() {
        let text = r#"Host name not found: stats.i2p ("no such host")"#;
        assert_eq!(redact(text), text);
    }

    #[test]
    fn a_key_is_replaced_by_its_length() {
        let key = "Ab~-".repeat(227);
        assert_eq!(
            redact(&format!("bad key: {key}!")),
            "bad key: [908 characters]!"
        );
    }

    #[test]
    fn a_b32_address_stays() {
        let text = format!("no lease set for {}.b32.i2p", "a".repeat(52));
        assert_eq!(redact(&text), text);
    }

    #[test]
    fn a_word_that_only_looks_like_base32_goes() {
        assert_eq!(redact(&"a".repeat(52)), "[52 characters]");
    }

    #[test]
    fn a_b32_address_that_goes_on_or_has_no_end_goes() {
        let label = "a".repeat(52);
        assert!(!redact(&format!("{label}.b32.i2paaa")).contains(&label));
        assert!(!redact(&format!("{}.b32.i2p", "a".repeat(300))).contains(&label));
    }

    #[test]
    fn line_ends_and_escapes_cannot_reach_a_log() {
        assert_eq!(redact("a\nb\x1b[31mc"), "a b [31mc");
    }

    #[test]
    fn what_is_too_long_for_a_message_is_cut() {
        let shown = redact(&"word ".repeat(1000));
        assert!(shown.len() < 600 && shown.ends_with('…'));
    }
}
