//! Creates a key file, and prints its address.
//!
//! ```text
//! keygen FILE
//! ```
//!
//! An existing file is kept, and its address is printed. The key itself is never printed.

mod common;

use common::{Outcome, Place};
use i2p_sam::{PrivateKey, SignatureType};

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let Some(path) = std::env::args().nth(1) else {
        return Err("usage: keygen FILE".into());
    };
    let mut made = None;
    let key = PrivateKey::load_or_generate(&path, || -> Outcome<PrivateKey> {
        let key = Place::find()?.bridge.generate(SignatureType::Ed25519)?;
        made = Some(key.destination().clone());
        Ok(key)
    })?;
    // If another process was faster, the file contains its key, and the key of this process was
    // dropped.
    if made.as_ref() == Some(key.destination()) {
        eprintln!(
            "Made {path}, which only its owner can read. Any program that has it can act as this address:"
        );
    } else {
        eprintln!("{path} existed already. Its address:");
    }
    println!("{}", key.destination().b32());
    Ok(())
}
