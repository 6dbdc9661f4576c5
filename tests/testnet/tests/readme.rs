//! The test in the README, as a user writes it.

use std::io::{Read, Write};

use i2p_sam::{SamBridge, SessionOptions};
use i2p_sam_testnet::Testnet;

#[test]
fn greeting_arrives_over_i2p() {
    let network = Testnet::start().unwrap();
    let bridge = SamBridge::new(&network.sam_address().to_string()).unwrap();
    // Tunnels of one hop: the network has three routers.
    let options = Testnet::OPTIONS
        .iter()
        .fold(SessionOptions::new(), |options, (name, value)| {
            options.option(name, value)
        });
    let session = || bridge.session().options(options.clone()).stream().unwrap();

    let (server, client) = (session(), session());
    let listener = server.listener().unwrap();
    let mut near = client.connect(server.destination()).unwrap();
    let (mut far, peer) = listener.accept().unwrap();
    assert_eq!(peer.destination(), Some(client.destination()));

    near.write_all(b"hello").unwrap();
    let mut text = [0; 5];
    far.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"hello");
}
