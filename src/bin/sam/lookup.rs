//! `sam lookup`: the destination of a name or an address.

use i2p_sam::{Destination, Error, I2pAddr, Lookup, Version};

use crate::context::Context;
use crate::failure::Failure;
use crate::json::Object;

pub(crate) fn run(context: &Context, address: &I2pAddr, full: bool) -> Result<(), Failure> {
    let found = find(context, address)?;
    let destination = found.destination();
    if context.output.is_json() {
        return context.output.object(object(address, &found));
    }
    if full {
        return context.output.result(&destination.to_base64());
    }
    context.output.result(&destination.b32().to_string())
}

enum Found {
    Record(Lookup),
    Destination(Destination),
}

impl Found {
    fn destination(&self) -> &Destination {
        match self {
            Self::Record(lookup) => lookup.destination(),
            Self::Destination(destination) => destination,
        }
    }
}

fn find(context: &Context, address: &I2pAddr) -> Result<Found, Failure> {
    let progress = context.progress(&format!("Looking up {address}"));
    let error = match context.bridge.lookup_record(address) {
        Ok(found) => return Ok(Found::Record(found)),
        Err(error) => error,
    };
    drop(progress);
    // A full destination needs no router.
    if let Some(destination) = address.destination() {
        return Ok(Found::Destination(destination.clone()));
    }
    if !needs_session(context, address, &error)? {
        return Err(error.into());
    }
    let session = context.stream(context.session(None)?)?;
    let progress = context.progress(&format!("Looking up {address}"));
    let outcome = session.lookup(address);
    drop(progress);
    session.close();
    Ok(Found::Destination(outcome?))
}

/// Returns true if a session may find what the bridge alone did not find: i2pd finds other destinations than
/// its own only for a session, and emissary finds nothing else.
fn needs_session(context: &Context, address: &I2pAddr, error: &Error) -> Result<bool, Failure> {
    if !matches!(error, Error::Refused(_)) {
        return Ok(false);
    }
    Ok(address.b32().is_some() || context.bridge.version()? == Version::V3_2)
}

fn object(address: &I2pAddr, found: &Found) -> Object {
    let destination = found.destination();
    let object = Object::new()
        .string("name", &address.to_string())
        .string("b32", &destination.b32().to_string())
        .string("destination", &destination.to_base64())
        .number(
            "signature_type",
            u64::from(destination.signature_type_code()),
        );
    let Found::Record(lookup) = found else {
        return object.array("options", &[]);
    };
    let option = |(name, value)| {
        Object::new()
            .string("name", name)
            .string("value", value)
            .finish()
    };
    let options: Vec<String> = lookup.options().map(option).collect();
    object.array("options", &options)
}
