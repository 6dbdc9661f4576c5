//! Replies of a bridge may contain a key; the texts that this crate shows may not.

use crate::address::is_base64_digit;

/// The length of the longest run of base64 characters that is shown. A session id has 26, a 32-byte
/// key 43 or 44; the words of a sentence and the labels of a host name have fewer.
const LONGEST_RUN: usize = 25;

/// The length of a base32 hash, which is public and useful in a message.
const B32: usize = 52;

/// The length of the label of an encrypted lease set's address with the longest key, of type P521.
const LONGEST_B33: usize = 220;

/// The length of the shortest part of a secret that is removed inside longer words.
const SHORTEST_PART: usize = 4;

/// Makes a text of a bridge suitable for an error message: anything that could be a key is replaced
/// by its length, control characters by a blank, and a text too long for a message is cut.
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

/// A text that a command sends to a bridge and no message may show: a password, or the user name of
/// a greeting, since programs confuse the two.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    text: Box<str>,
    /// If true, a short text is removed inside words too.
    everywhere: bool,
}

impl Secret {
    pub(crate) fn password(text: &str) -> Self {
        Self {
            text: text.into(),
            everywhere: true,
        }
    }

    pub(crate) fn name(text: &str) -> Self {
        Self {
            text: text.into(),
            everywhere: false,
        }
    }

    /// Returns the secret in a pair that is sent, if its key marks it as one.
    pub(crate) fn of_pair(key: &str, value: &str) -> Option<Self> {
        match key {
            "PASSWORD" | "i2cp.password" | "i2cp.leaseSetSecret" => Some(Self::password(value)),
            _ => None,
        }
    }

    /// Returns the texts in which a bridge may repeat it, and whether they count inside words.
    ///
    /// A bridge that reads it as several words repeats one of them: words end at blanks and control
    /// characters, at quotes and `=`. Escaping quotes leaves the same words.
    fn forms(&self) -> impl Iterator<Item = (&str, bool)> {
        let is_end = |char: char| {
            char.is_whitespace() || char.is_control() || matches!(char, '"' | '\\' | '\'' | '=')
        };
        let words = self.text.split(is_end).filter(|word| !word.is_empty());
        let words = words.map(|word| (word, word.chars().count() >= SHORTEST_PART));
        std::iter::once((
            &*self.text,
            self.everywhere || self.text.len() >= SHORTEST_PART,
        ))
        .chain(words)
    }
}

/// Removes the secrets that a bridge repeats from its text, in any form and case.
pub(crate) fn conceal(text: &str, secrets: &[Secret]) -> String {
    let folded = text.to_ascii_lowercase();
    let mut hidden = vec![false; text.len()];
    for (form, everywhere) in secrets.iter().flat_map(Secret::forms) {
        let form = form.to_ascii_lowercase();
        for (at, _) in folded.match_indices(&form) {
            let end = at + form.len();
            if everywhere || is_word(&folded, at, end) {
                hidden
                    .iter_mut()
                    .take(end)
                    .skip(at)
                    .for_each(|byte| *byte = true);
            }
        }
    }
    let mut shown = String::new();
    let mut before = false;
    for (at, char) in text.char_indices() {
        let now = hidden.get(at).copied().unwrap_or_default();
        match now {
            true if !before => shown.push_str("[concealed]"),
            true => {}
            false => shown.push(char),
        }
        before = now;
    }
    shown
}

/// Returns true if the text at this place is a separate word.
fn is_word(text: &str, start: usize, end: usize) -> bool {
    let before = text.get(..start).and_then(|text| text.chars().next_back());
    let behind = text.get(end..).and_then(|text| text.chars().next());
    let goes_on = |char: Option<char>| char.is_some_and(char::is_alphanumeric);
    !goes_on(before) && !goes_on(behind)
}

fn is_key_char(char: char) -> bool {
    is_base64_digit(char) || matches!(char, '+' | '/' | '=' | '_')
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

    fn concealed(text: &str, password: &str) -> String {
        redact(&conceal(text, &[Secret::password(password)]))
    }

    #[test]
    fn password_is_concealed_in_every_encoding() {
        let run = "Zq7wX2kP9vN4bT6yR1mL8cJ3hF5d";
        for (password, repeated) in [
            ("hunter2", "bad password hunter2"),
            ("hunter2", "unknown parameter HUNTER2="),
            ("hunter2", "(PASSWORD=hunter2)"),
            ("x", "a password x is short"),
            ("hunt\ter2x", "bad hunt\ter2x"),
            ("hunt\ter2x", "bad hunt er2x"),
            ("hunt\ter2x", r"bad hunt\ter2x"),
            ("hunt\ter2x", "bad er2x"),
            ("hunt\tx2", "unknown word x2"),
            ("cor\"rect\\x9", r#"bad cor\"rect\\x9"#),
            ("cor\"rect\\x9", r#"bad "cor\\\"rect\\\\x9""#),
            ("cor\"rect\\x9", "bad rect"),
            ("tr0ub horse", "bad tr0ub"),
            (run, &format!("bad {run}")),
            (run, &format!("bad abc{run}def")),
            (&format!("p!{run}!q"), &format!("bad p!{run}!q")),
        ] {
            let shown = concealed(repeated, password);
            let ends = |char: char| !char.is_alphanumeric();
            for part in password.split(ends).filter(|part| !part.is_empty()) {
                let alone = shown.split(ends).any(|word| word == part);
                let inside = part.len() > 2 && shown.contains(part);
                assert!(
                    !alone && !inside,
                    "{part:?} of {password:?} stands in {shown:?}"
                );
            }
        }
    }

    #[test]
    fn harmless_text_stays() {
        let text = "Authorization failed";
        assert_eq!(concealed(text, "hunter2"), text);
        assert_eq!(conceal(text, &[Secret::name("a")]), text);
        assert_eq!(
            conceal("no user a", &[Secret::name("a")]),
            "no user [concealed]"
        );
        assert_eq!(
            conceal("Ünïcode", &[Secret::password("ï")]),
            "Ün[concealed]code"
        );
    }

    #[test]
    fn password_of_pair_is_secret() {
        for key in ["PASSWORD", "i2cp.password", "i2cp.leaseSetSecret"] {
            assert!(Secret::of_pair(key, "hunter2") == Some(Secret::password("hunter2")));
        }
        assert!(Secret::of_pair("USER", "hunter2").is_none());
    }

    #[test]
    fn adjoining_secrets_are_concealed_once() {
        let secrets = [Secret::password("hunter2"), Secret::password("tr0ub")];
        assert_eq!(conceal("a hunter2tr0ub b", &secrets), "a [concealed] b");
        assert_eq!(
            conceal("hunter2 tr0ub", &secrets),
            "[concealed] [concealed]"
        );
    }

    #[test]
    fn text_over_500_bytes_is_cut() {
        let dots = |count| ".".repeat(count);
        assert_eq!(redact(&dots(501)), dots(501));
        assert_eq!(redact(&dots(502)), dots(501) + "…");
        assert_eq!(redact(&dots(500)), dots(500));
    }

    #[test]
    fn ordinary_words_stay() {
        let text = r#"Host name not found: stats.i2p ("no such host")"#;
        assert_eq!(redact(text), text);
    }

    #[test]
    fn key_is_replaced_by_its_length() {
        let key = "Ab~-".repeat(227);
        assert_eq!(
            redact(&format!("bad key: {key}!")),
            "bad key: [908 characters]!"
        );
    }

    #[test]
    fn b32_address_stays() {
        let text = format!("no lease set for {}.b32.i2p", "a".repeat(52));
        assert_eq!(redact(&text), text);
    }

    #[test]
    fn base32_lookalike_is_concealed() {
        assert_eq!(redact(&"a".repeat(52)), "[52 characters]");
    }

    #[test]
    fn malformed_b32_address_is_concealed() {
        let label = "a".repeat(52);
        assert!(!redact(&format!("{label}.b32.i2paaa")).contains(&label));
        assert!(!redact(&format!("{}.b32.i2p", "a".repeat(300))).contains(&label));
    }

    #[test]
    fn newlines_and_escapes_are_neutralised() {
        assert_eq!(redact("a\nb\x1b[31mc"), "a b [31mc");
    }

    #[test]
    fn overlong_text_is_truncated() {
        let shown = redact(&"word ".repeat(1000));
        assert!(shown.len() < 600 && shown.ends_with('…'));
    }
}
