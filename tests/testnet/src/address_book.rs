use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{PoisonError, RwLock};

use emissary_core::crypto::sha256::Sha256;
use emissary_core::crypto::{base32_encode, base64_decode};
use emissary_core::runtime;

/// Offset of the certificate. A destination is two public keys, in 256 and 128 bytes, and a certificate:
/// its type in one byte, the length of the rest in two, and the rest.
const CERTIFICATE: usize = 384;
const CERTIFICATE_HEADER: usize = 3;

/// The names that resolve in one network.
///
/// The routers need an address book: without it, a dial to any `.i2p` name fails one of their assertions
/// and ends the whole bridge.
#[derive(Debug, Default)]
pub(crate) struct AddressBook {
    entries: RwLock<HashMap<String, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    base64: String,
    hash: String,
}

impl AddressBook {
    /// Assigns `name` to `destination`, in place of any earlier destination.
    pub(crate) fn insert(&self, name: &str, destination: &str) -> io::Result<()> {
        let entry = Entry {
            base64: destination.to_owned(),
            hash: hash_of(destination)?,
        };
        self.entries
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key(name)?, entry);
        Ok(())
    }

    fn get(&self, name: &str) -> Option<Entry> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&name.to_ascii_lowercase())
            .cloned()
    }
}

impl runtime::AddressBook for AddressBook {
    fn resolve_base64(&self, host: String) -> Pin<Box<dyn Future<Output = Option<String>> + Send>> {
        let found = self.get(&host).map(|entry| entry.base64);
        Box::pin(std::future::ready(found))
    }

    fn resolve_base32(&self, host: &str) -> Option<String> {
        self.get(host).map(|entry| entry.hash)
    }
}

/// Returns the name in the form in which it is stored: host names ignore upper and lower case.
fn key(name: &str) -> io::Result<String> {
    let name = name.to_ascii_lowercase();
    let usable = name.ends_with(".i2p")
        && !name.ends_with(".b32.i2p")
        && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    if !usable {
        return Err(invalid(
            "a host name ends in .i2p, not .b32.i2p, and has no blanks",
        ));
    }
    Ok(name)
}

/// Returns the base32 hash of a base64 destination, without the `.b32.i2p`.
fn hash_of(destination: &str) -> io::Result<String> {
    let bytes = base64_decode(destination)
        .filter(|bytes| is_destination(bytes))
        .ok_or_else(|| invalid("not a destination in base64"))?;
    Ok(base32_encode(Sha256::new().update(bytes).finalize_new()))
}

/// Returns true if the bytes end where the certificate does: those of a private key continue.
fn is_destination(bytes: &[u8]) -> bool {
    let Some(&[_type, high, low]) = bytes.get(CERTIFICATE..CERTIFICATE + CERTIFICATE_HEADER) else {
        return false;
    };
    let rest = usize::from(u16::from_be_bytes([high, low]));
    bytes.len() == CERTIFICATE + CERTIFICATE_HEADER + rest
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
