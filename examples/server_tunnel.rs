//! Makes a local TCP service reachable over I2P.
//!
//! ```text
//! server_tunnel SERVICE_ADDR [KEYFILE]      such as 127.0.0.1:8080
//! ```
//!
//! With a key file the service keeps its address; the file is created if it does not exist. The
//! service may be restarted at any time, and so may the router. It runs until it is killed.

mod common;

use common::{Outcome, Place};
use i2p_sam::{PrivateKey, ServerTunnel, SignatureType, TunnelExit, TunnelOptions};

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let mut args = std::env::args().skip(1);
    let Some(service) = args.next() else {
        return Err("usage: server_tunnel SERVICE_ADDR [KEYFILE]".into());
    };
    let place = Place::find()?;
    let mut builder = place.session("server-tunnel");
    if let Some(path) = args.next() {
        let make = || place.bridge.generate(SignatureType::Ed25519);
        builder = builder.key(&PrivateKey::load_or_generate::<i2p_sam::Error>(path, make)?);
    }
    eprintln!("Building tunnels for server-tunnel");
    let session = builder.healing()?;
    let options = TunnelOptions::new().on_failure(|failure| eprintln!("{failure}"));
    let tunnel = ServerTunnel::start(session.listener()?, &service, &options)?;
    let address = session.destination().b32();
    println!("{service} is {address}");
    println!(
        "Try: {}cargo run --example client_tunnel 127.0.0.1:0 {address}",
        place.environment()
    );
    match tunnel.wait(None) {
        Some(TunnelExit::Lost(error)) => Err(error.into()),
        _ => Ok(()),
    }
}
