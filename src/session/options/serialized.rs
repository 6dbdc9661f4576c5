//! The feature `serde`: session options are a map of names and values.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{self, Serialize, SerializeMap, Serializer};

use super::SessionOptions;

/// Parts of the names of options whose values are secret, of those with a method and of those to come.
const SECRETS: [&str; 5] = ["priv", "secret", "psk", "password", "leasesetkey"];

/// Writes a map of the names and values.
///
/// It fails if an option was refused, and if an option is secret: the private and shared keys of a lease set,
/// `i2cp.leaseSetSecret`, `i2cp.password`, and any other whose name contains `priv`, `secret`, `psk` or
/// `password`.
///
/// ```
/// use i2p_sam::SessionOptions;
///
/// let options = SessionOptions::bare().tunnel_length(1);
/// let text = r#"{"inbound.length":"1","outbound.length":"1"}"#;
/// assert_eq!(serde_json::to_string(&options)?, text);
/// # Ok::<(), serde_json::Error>(())
/// ```
impl Serialize for SessionOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(error) = &self.refused {
            return Err(ser::Error::custom(error));
        }
        let mut map = serializer.serialize_map(Some(self.pairs.len()))?;
        for (name, value) in &self.pairs {
            if is_secret(name) {
                let text = format!("{name} is secret, and is not written");
                return Err(ser::Error::custom(text));
            }
            map.serialize_entry(name.as_ref(), value.as_str())?;
        }
        map.end()
    }
}

/// Reads a map of names and values: texts, numbers, `true` and `false`. Only the options of the map are set, as
/// on [`SessionOptions::bare`].
///
/// It fails if [`SessionOptions::option`] refuses one.
///
/// ```
/// use i2p_sam::SessionOptions;
///
/// let text = r#"{"inbound.length": 1, "i2cp.dontPublishLeaseSet": true}"#;
/// let options: SessionOptions = serde_json::from_str(text)?;
/// assert!(format!("{options:?}").contains("inbound.length"));
/// # Ok::<(), serde_json::Error>(())
/// ```
impl<'de> Deserialize<'de> for SessionOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Options)
    }
}

/// Returns true if the value of the option is secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRETS.iter().any(|part| name.contains(part))
}

struct Options;

impl<'de> Visitor<'de> for Options {
    type Value = SessionOptions;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of session options")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SessionOptions, A::Error> {
        let mut options = SessionOptions::bare();
        while let Some(name) = map.next_key::<String>()? {
            let Value(value) = map.next_value()?;
            options = options.option(&name, &value);
            if let Some(error) = &options.refused {
                return Err(de::Error::custom(error));
            }
        }
        Ok(options)
    }
}

/// The text of a value.
struct Value(String);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl Visitor<'_> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number, true or false")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, on: bool) -> Result<Value, E> {
        Ok(Value(on.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value(number.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::SignatureType;
    use crate::session::EncryptionType;

    /// Base64 of 32 bytes.
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh~=";

    fn pairs(options: &SessionOptions) -> Vec<(&str, &str)> {
        options.pairs().unwrap().collect()
    }

    #[test]
    fn options_round_trip() {
        let options = SessionOptions::new().nickname("blog").reduce_on_idle(true);
        let json = serde_json::to_string(&options).unwrap();
        let read: SessionOptions = serde_json::from_str(&json).unwrap();
        assert_eq!(pairs(&read), pairs(&options));
    }

    #[test]
    fn numbers_and_flags_are_read() {
        let json = r#"{"a": 1, "b": -1, "c": true, "d": "x"}"#;
        let options: SessionOptions = serde_json::from_str(json).unwrap();
        let expected = [("a", "1"), ("b", "-1"), ("c", "true"), ("d", "x")];
        assert_eq!(pairs(&options), expected);
    }

    #[test]
    fn secret_options_are_not_written() {
        for options in [
            SessionOptions::new().lease_set_decryption_key(KEY),
            SessionOptions::new().lease_set_secret(KEY),
            SessionOptions::new().lease_set_client_psk("alice", KEY),
            SessionOptions::new().lease_set_private_keys(&[(EncryptionType::EciesX25519, KEY)]),
            SessionOptions::new().lease_set_signing_private_key(SignatureType::Ed25519, KEY),
            SessionOptions::new().lease_set_key(KEY),
            SessionOptions::new().i2cp_password("hunter2"),
        ] {
            let error = serde_json::to_string(&options).unwrap_err();
            assert!(error.to_string().contains("is secret"), "{error}");
        }
    }

    #[test]
    fn reserved_name_is_refused() {
        let outcome = serde_json::from_str::<SessionOptions>(r#"{"DESTINATION": "x"}"#);
        assert!(outcome.unwrap_err().to_string().contains("DESTINATION"));
    }

    #[test]
    fn refused_options_are_not_written() {
        let options = SessionOptions::new().option("STYLE", "x");
        assert!(serde_json::to_string(&options).is_err());
    }

    #[test]
    fn list_is_no_value() {
        assert!(serde_json::from_str::<SessionOptions>(r#"{"a": [1]}"#).is_err());
    }
}
