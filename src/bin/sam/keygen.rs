//! `sam keygen`: a new key file.

use std::fs;
use std::path::Path;

use i2p_sam::{KeyFileError, PrivateKey, SignatureType};

use crate::context::Context;
use crate::failure::Failure;
use crate::json::Object;

/// Creates the file; without a path, prints the key on standard output.
pub(crate) fn run(context: &Context, file: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = file else {
        let key = generate(context)?;
        context.output.note(&key.destination().b32().to_string());
        return context.output.result(&key.expose_base64());
    };
    // Before the bridge is asked. `save` finds a file that appears in the meantime.
    if fs::symlink_metadata(path).is_ok() {
        return Err(exists(path));
    }
    let key = generate(context)?;
    key.save(path).map_err(|error| match error {
        KeyFileError::DifferentKey(_) => exists(path),
        error => error.into(),
    })?;
    let address = key.destination().b32().to_string();
    let note = "Anyone who has this file can act as its address. Keep it, and make a copy of it.";
    context.output.note(note);
    if !context.output.is_json() {
        return context.output.result(&address);
    }
    let object = Object::new().string("file", &path.display().to_string());
    context.output.object(object.string("b32", &address))
}

fn generate(context: &Context) -> Result<PrivateKey, Failure> {
    let _progress = context.progress("Generating a key");
    Ok(context.bridge.generate(SignatureType::Ed25519)?)
}

fn exists(path: &Path) -> Failure {
    Failure::KeyFileExists(format!(
        "{} exists already, and was not changed",
        path.display()
    ))
}
