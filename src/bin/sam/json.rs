//! JSON objects on one line.

use std::fmt::Write;
use std::time::Duration;

/// An object under construction.
#[derive(Default)]
pub(crate) struct Object {
    text: String,
}

impl Object {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn string(self, name: &str, value: &str) -> Self {
        self.raw(name, &quoted(value))
    }

    /// Adds a string, or `null`.
    pub(crate) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        let text = value.map_or_else(|| "null".to_owned(), quoted);
        self.raw(name, &text)
    }

    pub(crate) fn boolean(self, name: &str, value: bool) -> Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    pub(crate) fn number(self, name: &str, value: u64) -> Self {
        self.raw(name, &value.to_string())
    }

    /// Adds a time in milliseconds, or `null`.
    pub(crate) fn milliseconds(self, name: &str, value: Option<Duration>) -> Self {
        let text = value.map_or_else(|| "null".to_owned(), milliseconds);
        self.raw(name, &text)
    }

    /// Adds an array of values that are JSON already.
    pub(crate) fn array(self, name: &str, values: &[String]) -> Self {
        self.raw(name, &format!("[{}]", values.join(",")))
    }

    pub(crate) fn finish(self) -> String {
        format!("{{{}}}", self.text)
    }

    fn raw(mut self, name: &str, value: &str) -> Self {
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str(&quoted(name));
        self.text.push(':');
        self.text.push_str(value);
        self
    }
}

pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => {
                out.push('\\');
                out.push(char);
            }
            char if char.is_control() => {
                // A string accepts every write.
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_escapes_quotes_and_control_characters() {
        let object = Object::new().string("a\"", "b\\\n").boolean("c", true);
        assert_eq!(object.finish(), r#"{"a\"":"b\\\u000a","c":true}"#);
    }

    #[test]
    fn array_contains_values_in_order() {
        let object = Object::new().array("times", &["1".to_owned(), "2".to_owned()]);
        assert_eq!(object.finish(), r#"{"times":[1,2]}"#);
    }
}
