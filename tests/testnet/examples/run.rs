//! Runs a network in a process of its own until standard input closes.
//!
//! The first line on standard output is the address of the SAM bridge, the second the address it
//! takes datagrams at; progress goes to standard error.

use std::io;

use i2p_sam_testnet::Testnet;

fn main() -> io::Result<()> {
    let network = Testnet::start_with(|step| eprintln!("{step}"))?;
    println!("{}", network.sam_address());
    println!("{}", network.udp_address());
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
