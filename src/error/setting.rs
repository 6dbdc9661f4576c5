use std::fmt;

use crate::wire::redact;

/// A setting that cannot be used: its name, its value, and the reason. Nothing was sent.
///
/// The value is cut at any place that could be a key, and before an `@`, where a password could be.
///
/// ```
/// use i2p_sam::{Error, SamBridge};
///
/// let Err(Error::InvalidConfig(error)) = SamBridge::new("localhost") else {
///     panic!("an address without a port");
/// };
/// assert_eq!(error.setting(), "address");
/// assert_eq!(error.value(), "localhost");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} `{value}` is refused: {reason}")]
pub struct ConfigError {
    setting: &'static str,
    value: Box<str>,
    reason: &'static str,
}

impl ConfigError {
    pub(crate) fn new(
        setting: &'static str,
        value: impl fmt::Display,
        reason: &'static str,
    ) -> Self {
        Self {
            setting,
            value: shown(&value.to_string()).into(),
            reason,
        }
    }

    /// Returns the name of the setting: usually that of the method or of the environment variable
    /// that set it.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// Returns the refused value in a form that may be shown.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Returns the value of a setting in a form that may be shown.
pub(crate) fn shown(value: &str) -> String {
    match value.rsplit_once('@') {
        Some((_, host)) => redact(&format!("…@{host}")),
        None => redact(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> String {
        ConfigError::new("address", text, "why").value().to_owned()
    }

    #[test]
    fn error_names_setting_value_and_reason() {
        let error = ConfigError::new("backlog", 0, "it is 1 to 4096");
        assert_eq!(error.to_string(), "backlog `0` is refused: it is 1 to 4096");
    }

    #[test]
    fn value_with_user_info_shows_host_only() {
        assert_eq!(value("joe:hunter2@router.lan:7656"), "…@router.lan:7656");
        assert_eq!(value("joe:hunt@er2@router.lan:1"), "…@router.lan:1");
    }

    #[test]
    fn value_resembling_key_shows_length_only() {
        assert_eq!(value(&"Ab3~".repeat(20)), "[80 characters]");
    }
}
