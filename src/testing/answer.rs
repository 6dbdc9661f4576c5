use super::link::Link;

/// The answer of a router to a command that it does not carry out.
///
/// A text may contain the fields `{topic}`, `{id}`, `{name}`, `{style}` and `{value}`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    /// A line; the connection stays usable.
    Line(&'static str),
    /// A line and the end of the connection.
    Last(&'static str),
    /// A line that lacks its line end, and the end of the connection.
    Unfinished(&'static str),
    /// The end of the connection.
    Close,
    /// None, now or later.
    Nothing,
}

impl Answer {
    /// Gives the answer, and returns true if the connection stays usable.
    pub(super) fn give(self, link: &Link, fields: &[(&str, &str)]) -> bool {
        match self {
            Self::Line(text) => link.send_line(&fill(text, fields)),
            Self::Last(text) => {
                link.send_line(&fill(text, fields));
                false
            }
            Self::Unfinished(text) => {
                link.send(fill(text, fields).as_bytes());
                false
            }
            Self::Close => false,
            Self::Nothing => true,
        }
    }
}

fn fill(text: &str, fields: &[(&str, &str)]) -> String {
    let mut line = text.to_owned();
    for (field, value) in fields {
        line = line.replace(&format!("{{{field}}}"), value);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_text_are_filled_in() {
        let text = fill(
            "{topic} STATUS ID={id} {other}",
            &[("topic", "A"), ("id", "7")],
        );
        assert_eq!(text, "A STATUS ID=7 {other}");
    }
}
