//! The lines for the facade `log`. Without the feature `log`, none of this is compiled.
//!
//! A line contains our own public address, addresses of bridges and peers, and errors, which contain no secret. It never
//! contains a key, a password, the id of a session, or a byte that was transferred. No lock is held while a line is written,
//! because the logger is code of the program.

#[cfg(feature = "log")]
use std::fmt;
#[cfg(feature = "log")]
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Writes a line of this level of `log`.
#[cfg(feature = "log")]
macro_rules! event {
    ($level:ident, $($text:tt)+) => {
        if ::log::Level::$level <= ::log::max_level() {
            $crate::logging::write(::log::Level::$level, format_args!($($text)+));
        }
    };
}
#[cfg(not(feature = "log"))]
macro_rules! event {
    ($level:ident, $($text:tt)+) => {
        if false {
            let _ = format_args!($($text)+);
        }
    };
}
pub(crate) use event;

#[cfg(feature = "log")]
pub(crate) fn write(level: log::Level, text: fmt::Arguments<'_>) {
    // A panic of the program's logger does not end a thread of the library.
    let _ = catch_unwind(AssertUnwindSafe(
        || log::log!(target: "i2p_sam", level, "{text}"),
    ));
}

/// Shows an error with all its sources.
pub(crate) struct Full<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl std::fmt::Display for Full<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Implements `Debug` of an error as the name of the variant, the error and its sources: the text that `main` prints
/// if it returns the error, and that `unwrap` and `expect` print.
macro_rules! debug_as_sentence {
    ($error:ident: $($variant:ident)+) => {
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                let variant = match self {
                    $(Self::$variant { .. } => stringify!($variant),)+
                };
                write!(f, "{variant}: {}", $crate::logging::Full(self))
            }
        }
    };
}
pub(crate) use debug_as_sentence;
