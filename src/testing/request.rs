use crate::wire::Message;

use super::profile::LineFacts;

/// One command of a client, as its router understands it.
pub(super) struct Request {
    pub(super) topic: String,
    pub(super) action: Option<String>,
    pairs: Vec<(String, String)>,
    /// The free text after PING and PONG.
    pub(super) text: String,
}

/// The reason why a router refuses a line, and the words that its reply begins with.
pub(super) struct Malformed {
    pub(super) topic: String,
    pub(super) reason: String,
}

impl Request {
    /// Reads a line. An empty one is no request.
    pub(super) fn read(line: &str, facts: &LineFacts) -> Result<Option<Self>, Malformed> {
        if facts.single_blanks && line.contains("  ") {
            return Ok(None);
        }
        let message = match Message::parse(line.as_bytes()) {
            Ok(message) => message,
            Err(_) => return Ok(None),
        };
        let word = |word: &str| match facts.quotes {
            true => word.to_uppercase(),
            false => word.to_owned(),
        };
        let topic = word(message.topic());
        if matches!(topic.as_str(), "PING" | "PONG") {
            return Ok(Some(Self::text(topic, line)));
        }
        // A topic is no pair.
        if topic.contains('=') {
            return Ok(None);
        }
        let mut request = Self {
            topic,
            action: message.action().map(word),
            pairs: Vec::new(),
            text: String::new(),
        };
        match facts.quotes {
            true => request.read_quoted(&message)?,
            false => request.read_plain(line),
        }
        Ok(Some(request))
    }

    fn text(topic: String, line: &str) -> Self {
        let text = line.trim_start().get(topic.len()..).unwrap_or_default();
        Self {
            topic,
            action: None,
            pairs: Vec::new(),
            text: text.strip_prefix(' ').unwrap_or(text).to_owned(),
        }
    }

    /// Values may be in quotes, and backslashes escape outside of quotes as well.
    fn read_quoted(&mut self, message: &Message<'_>) -> Result<(), Malformed> {
        for param in message.params() {
            let Ok(param) = param else {
                return Err(self.malformed("Unterminated quote"));
            };
            let key = param.key();
            if key.is_empty() {
                return Err(self.malformed("Empty parameter name"));
            }
            let value = match param.value() {
                Some(value) if value.is_quoted() => value.unescape().into_owned(),
                Some(value) => match unescape(value.raw()) {
                    Some(value) => value,
                    None => return Err(self.malformed("Unterminated escape")),
                },
                None => String::new(),
            };
            if self.pairs.iter().any(|(known, _)| known == key) {
                return Err(self.malformed(&format!("Duplicate parameter {key}")));
            }
            self.pairs.push((key.to_owned(), value));
        }
        Ok(())
    }

    /// Quotes are characters of values like any other.
    fn read_plain(&mut self, line: &str) {
        let words = line.split_ascii_whitespace().skip(2);
        let pairs = words.filter_map(|word| word.split_once('='));
        self.pairs = pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
    }

    pub(super) fn is(&self, topic: &str, action: &str) -> bool {
        self.topic == topic && self.action.as_deref() == Some(action)
    }

    pub(super) fn action(&self) -> &str {
        self.action.as_deref().unwrap_or_default()
    }

    /// Returns the value of a pair; empty if it has none.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let mut pairs = self.pairs.iter();
        pairs
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// Returns the value of a pair that has one.
    pub(super) fn filled(&self, key: &str) -> Option<&str> {
        self.value(key).filter(|value| !value.is_empty())
    }

    /// Returns the values of the pairs whose keys begin with this.
    pub(super) fn values<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self
            .pairs
            .iter()
            .filter(move |(key, _)| key.starts_with(start));
        pairs.map(|(_, value)| value.as_str())
    }

    pub(super) fn is_true(&self, key: &str) -> bool {
        self.value(key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn malformed(&self, reason: &str) -> Malformed {
        let kind = match self.topic.as_str() {
            "HELLO" | "DEST" | "NAMING" => "REPLY",
            _ => "STATUS",
        };
        Malformed {
            topic: format!("{} {kind}", self.topic),
            reason: reason.to_owned(),
        }
    }
}

/// Resolves the escapes of a value without quotes. Returns `None` if it ends within one.
fn unescape(raw: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = raw.chars();
    while let Some(char) = chars.next() {
        text.push(match char {
            '\\' => chars.next()?,
            char => char,
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::profile::Profile;
    use super::*;

    fn read(profile: Profile, line: &str) -> Result<Request, String> {
        match Request::read(line, &profile.facts().lines) {
            Ok(request) => request.ok_or_else(|| "nothing".to_owned()),
            Err(malformed) => Err(format!("{}: {}", malformed.topic, malformed.reason)),
        }
    }

    #[test]
    fn quotes_are_characters_to_i2pd_alone() {
        let id = |profile| {
            read(profile, r#"A B ID="a""#)
                .unwrap()
                .value("ID")
                .unwrap()
                .to_owned()
        };
        assert_eq!(id(Profile::Java), "a");
        assert_eq!(id(Profile::I2pd), "\"a\"");
    }

    #[test]
    fn faults_of_lines_are_named_by_java() {
        let error = |line| read(Profile::Java, line).err().unwrap();
        assert_eq!(
            error("SESSION CREATE ID=a ID=b"),
            "SESSION STATUS: Duplicate parameter ID"
        );
        assert_eq!(
            error("HELLO VERSION MIN=\"3.1"),
            "HELLO REPLY: Unterminated quote"
        );
        assert_eq!(error("A B =x"), "A STATUS: Empty parameter name");
        assert_eq!(error("A B ID=a\\"), "A STATUS: Unterminated escape");
        assert_eq!(error("FOO=1"), "nothing");
    }

    #[test]
    fn text_of_ping_is_kept_whole() {
        let text = |line| read(Profile::Java, line).unwrap().text;
        assert_eq!(text("PING 1  two \"q\" a=b"), "1  two \"q\" a=b");
        assert_eq!(text("ping"), "");
    }
}
