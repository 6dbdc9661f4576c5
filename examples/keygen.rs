//! Makes a key file, and prints the address that it stands for.
//!
//! ```text
//! keygen FILE
//! ```
//!
//! A file that is there already is kept, and its address printed. The key itself is never printed.

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
    // Another process may have been faster: then the file holds its key, and ours is gone.
    if made.as_ref() == Some(key.destination()) {
        eprintln!("Made {path}, which its owner alone can read. Whoever has it is this address:");
    } else {
        eprintln!("{path} existed already. Its address:");
    }
    println!("{}", key.destination().b32());
    Ok(())
}
