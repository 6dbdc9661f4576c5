use std::net::SocketAddr;

use crate::support::{Running, closed_port, run, sam_at};

fn start(arguments: &[&str]) -> (Running, SocketAddr) {
    // It does not use a bridge: the variable must not matter.
    let bridge = Running::start(&mut sam_at(
        closed_port(),
        ["bridge"].iter().chain(arguments),
    ));
    let address = bridge
        .line()
        .strip_prefix("I2P_SAM_ADDRESS=")
        .unwrap()
        .parse()
        .unwrap();
    assert!(bridge.line().starts_with("I2P_SAM_UDP_ADDRESS=127.0.0.1:"));
    (bridge, address)
}

#[test]
fn bridge_serves_other_programs_until_interrupt() {
    let (bridge, address) = start(&[]);
    assert_eq!(run(&mut sam_at(address, ["doctor"])).code, Some(0));
    bridge.interrupt();
    assert_eq!(bridge.finish().code, Some(0));
    assert_eq!(run(&mut sam_at(address, ["doctor"])).code, Some(3));
}

#[test]
fn bridge_behaves_like_its_profile() {
    for (profile, name) in [("emissary", "emissary"), ("i2pd-2-45", "i2pd 2.45")] {
        let (_bridge, address) = start(&["--profile", profile]);
        let done = run(&mut sam_at(address, ["doctor"]));
        assert!(
            done.stdout.contains(&format!("✓ router: {name}")),
            "{done:?}"
        );
    }
}

#[test]
fn bridge_at_given_address_listens_there() {
    let given = closed_port();
    let (_bridge, address) = start(&["--address", &given.to_string()]);
    assert_eq!(address, given);
    assert_eq!(run(&mut sam_at(given, ["doctor"])).code, Some(0));
}
