//! The feature `serde`: addresses are written as their texts, and read from them.
//!
//! A private key is not among them: a structure with a key in it would write the key wherever it is written.
//!
//! ```
//! fn write<T: serde::Serialize>() {}
//! fn read<T: serde::de::DeserializeOwned>() {}
//! write::<i2p_sam::Destination>();
//! read::<i2p_sam::Destination>();
//! ```
//!
//! ```compile_fail,E0277
//! fn write<T: serde::Serialize>() {}
//! write::<i2p_sam::PrivateKey>();
//! ```
//!
//! ```compile_fail,E0277
//! fn read<T: serde::de::DeserializeOwned>() {}
//! read::<i2p_sam::PrivateKey>();
//! ```

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{B32, B33, Destination, Host, HostName, I2pAddr, SignatureType};

/// Implements both traits by `Display` and `FromStr`.
macro_rules! as_text {
    ($($type:ident: $expected:literal;)+) => {$(
        /// Writes the text of `Display`.
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        /// Reads a text as `FromStr` does.
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text {
                    expected: $expected,
                    read: PhantomData,
                })
            }
        }
    )+};
}

as_text! {
    I2pAddr: "an I2P address";
    Host: "an I2P host";
    HostName: "a host name that ends in .i2p";
    B32: "a .b32.i2p address";
    B33: "the .b32.i2p address of an encrypted lease set";
    Destination: "a destination in base64";
    SignatureType: "the name or the number of a signature type";
}

/// Reads one text. Errors repeat no text, which may be a private key by mistake.
struct Text<T> {
    expected: &'static str,
    read: PhantomData<T>,
}

impl<T> Visitor<'_> for Text<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::ed25519;
    use super::*;

    fn check<T>(text: &str)
    where
        T: Serialize + for<'de> Deserialize<'de> + FromStr + PartialEq + fmt::Debug,
        T::Err: fmt::Debug,
    {
        let value: T = text.parse().unwrap();
        let json = serde_json::to_string(&value).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<T>(&json).unwrap(), value);
    }

    #[test]
    fn every_type_round_trips_as_its_text() {
        let destination = Destination::from_bytes(&ed25519()).unwrap();
        let (b32, b33) = (destination.b32().to_string(), destination.b33().unwrap());
        check::<I2pAddr>("stats.i2p:80");
        check::<Host>(&b32);
        check::<HostName>("stats.i2p");
        check::<B32>(&b32);
        check::<B33>(&b33.to_string());
        check::<Destination>(&destination.to_base64());
        check::<SignatureType>("EdDSA_SHA512_Ed25519");
    }

    #[test]
    fn invalid_text_fails_with_the_reason() {
        let error = serde_json::from_str::<I2pAddr>("\"exa mple.i2p\"").unwrap_err();
        let reason = "exa mple.i2p".parse::<I2pAddr>().unwrap_err();
        assert!(
            error.to_string().starts_with(&reason.to_string()),
            "{error}"
        );
    }

    #[test]
    fn number_is_no_address() {
        let error = serde_json::from_str::<I2pAddr>("7").unwrap_err();
        assert!(
            error.to_string().contains("expected an I2P address"),
            "{error}"
        );
    }
}
