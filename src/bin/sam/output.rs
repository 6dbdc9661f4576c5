//! Standard output and standard error. Neither causes a panic if it is closed.

use std::io::{self, Write};

use crate::failure::Failure;
use crate::json::Object;

#[derive(Clone, Copy)]
pub(crate) struct Output {
    quiet: bool,
    json: bool,
}

impl Output {
    pub(crate) fn new(quiet: bool, json: bool) -> Self {
        Self { quiet, json }
    }

    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    pub(crate) fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Prints a result, on standard output.
    pub(crate) fn result(self, line: &str) -> Result<(), Failure> {
        self.bytes(format!("{line}\n").as_bytes())
    }

    pub(crate) fn object(self, object: Object) -> Result<(), Failure> {
        self.result(&object.finish())
    }

    /// Writes bytes to standard output.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        written.map_err(output_failure)
    }

    /// Prints a note for a person, on standard error, unless the user wants none.
    pub(crate) fn note(self, line: &str) {
        if !self.quiet {
            self.error(line);
        }
    }

    /// Prints an error of a part of the work, on standard error.
    pub(crate) fn error(self, line: &str) {
        let _ = writeln!(io::stderr().lock(), "{line}");
    }

    /// Prints the reason for which the command fails, and the remedy.
    pub(crate) fn failure(self, failure: &Failure) {
        if let Some(text) = failure.text() {
            self.error(&format!("sam: {text}"));
        }
        if let Some(remedy) = failure.remedy() {
            self.error(&format!("Remedy: {remedy}."));
        }
    }
}

/// Distinguishes a closed output, which is no failure, from others.
pub(crate) fn output_failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ClosedOutput,
        _ => Failure::io("standard output cannot be written")(error),
    }
}
