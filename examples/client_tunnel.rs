//! A local TCP port that leads to an address inside I2P, for programs that know nothing of I2P.
//!
//! ```text
//! client_tunnel LISTEN_ADDR I2P_ADDRESS      such as 127.0.0.1:8080 stats.i2p
//! ```
//!
//! Any program that can connect to the port dials from this destination, so listen on loopback. It
//! runs until it is killed.

mod common;

use common::{Outcome, Place};
use i2p_sam::{ClientTunnel, I2pAddr, TunnelExit, TunnelOptions};

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let mut args = std::env::args().skip(1);
    let (Some(listen), Some(peer)) = (args.next(), args.next()) else {
        return Err("usage: client_tunnel LISTEN_ADDR I2P_ADDRESS".into());
    };
    let peer: I2pAddr = peer.parse()?;
    let place = Place::find()?;
    eprintln!("Building tunnels for client-tunnel");
    let session = place.session("client-tunnel").healing()?;
    let options = TunnelOptions::new().on_failure(|failure| eprintln!("{failure}"));
    let tunnel = ClientTunnel::start(session, &*listen, &peer, &options)?;
    println!("{} is {peer}", tunnel.local_addr());
    println!("Try: curl http://{}/", tunnel.local_addr());
    match tunnel.wait(None) {
        Some(TunnelExit::Lost(error)) => Err(error.into()),
        _ => Ok(()),
    }
}
