//! The page `troubleshooting` quotes every text of an error, and no other.

use std::fs;
use std::path::Path;

const PAGE: &str = include_str!("../../docs/guide/troubleshooting.md");

/// Returns the library's source, without the program `sam`, the test bridge and this folder.
fn source() -> String {
    fn read(folder: &Path, into: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir()
                && !["bin", "testing", "guide"]
                    .iter()
                    .any(|name| path.ends_with(name))
            {
                read(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push_str(&fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut source = String::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    read(&folder, &mut source);
    source
}

/// Returns the value of the string literal that begins after its quote.
fn literal(source: &str) -> String {
    let mut value = String::new();
    let mut rest = source.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '"' => break,
            '\\' if rest.next_if_eq(&'\n').is_some() => {
                while rest.next_if(|next| next.is_whitespace()).is_some() {}
            }
            // The page quotes the first line.
            '\\' if rest.next_if_eq(&'n').is_some() => break,
            '\\' => value.extend(rest.next()),
            other => value.push(other),
        }
    }
    value
}

/// Replaces each placeholder of a format string by `…`.
fn shown(format: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for character in format.chars() {
        match character {
            '{' => inside = true,
            '}' => {
                inside = false;
                text.push('…');
            }
            other if !inside => text.push(other),
            _ => {}
        }
    }
    text
}

/// Returns the texts of all derived errors, without those that only pass on another text.
fn error_texts(source: &str) -> Vec<String> {
    let attributes = source.split("#[error(").skip(1);
    attributes
        .filter_map(|rest| rest.trim_start().strip_prefix('"'))
        .map(|rest| shown(&literal(rest)))
        .filter(|text| text != "…")
        .collect()
}

/// Returns the code with which a row of a table begins, for each row that begins with code.
fn quoted() -> Vec<&'static str> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|rest| match rest.strip_prefix('`') {
        Some(rest) => rest.split_once("``").unwrap().0.trim_start(),
        None => rest.split_once('`').unwrap().0,
    })
    .collect()
}

/// Returns true if the quote is the text, or its beginning with `…` after it.
fn quotes(quote: &str, text: &str) -> bool {
    let beginning = quote.strip_suffix('…');
    quote == text || beginning.is_some_and(|beginning| text.starts_with(beginning))
}

#[test]
fn error_text_is_quoted_on_page() {
    let texts = error_texts(&source());
    assert!(texts.len() > 70, "{}", texts.len());
    let quoted = quoted();
    let missing: Vec<_> = texts
        .iter()
        .filter(|text| !quoted.iter().any(|quote| quotes(quote, text)))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn quoted_text_is_in_source() {
    let source = source();
    let literals: Vec<_> = source
        .match_indices('"')
        .map(|(at, _)| literal(&source[at + 1..]))
        .map(|format| shown(&format))
        .collect();
    let surplus: Vec<_> = quoted()
        .into_iter()
        .filter(|quote| !literals.iter().any(|text| quotes(quote, text)))
        .collect();
    assert!(surplus.is_empty(), "{surplus:#?}");
}
