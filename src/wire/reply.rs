use std::fmt;

use super::message::{Message, ParseError};
use crate::address::Wiped;

/// A line of a bridge that has been checked to be a [`Message`], and that a program keeps.
///
/// `Debug` shows the names of the pairs alone, since a value may be a private key.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use i2p_sam::testing::TestBridge;
/// use i2p_sam::wire::Command;
///
/// let router = TestBridge::start()?;
/// let reply = router.bridge().request(&Command::naming_lookup("nobody.i2p")?)?;
/// let message = reply.message();
/// assert_eq!(message.value("RESULT").unwrap().raw(), "KEY_NOT_FOUND");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Reply {
    line: Wiped<Vec<u8>>,
}

impl Reply {
    /// Checks a line, with or without its line end.
    ///
    /// # Errors
    ///
    /// Those of [`Message::parse`].
    ///
    /// ```
    /// use i2p_sam::wire::Reply;
    ///
    /// let reply = Reply::new("SESSION STATUS RESULT=OK\n")?;
    /// assert_eq!(reply.message().topic(), "SESSION");
    /// assert!(Reply::new("\n").is_err());
    /// # Ok::<(), i2p_sam::wire::ParseError>(())
    /// ```
    pub fn new(line: impl Into<Vec<u8>>) -> Result<Self, ParseError> {
        let line = Wiped::new(line.into());
        Message::parse(&line)?;
        Ok(Self { line })
    }

    /// Returns the message.
    pub fn message(&self) -> Message<'_> {
        // It was checked.
        Message::parse(&self.line).unwrap_or(Message::EMPTY)
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").field(&self.message()).finish()
    }
}
