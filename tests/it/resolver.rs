//! No name that ends in `.i2p` reaches the system's resolver, which would ask the name servers of
//! the network; and the bridge that the environment names is used or refused.

use std::env;
use std::process::{Command, Output};

use i2p_sam::{
    ClientTunnel, DatagramStyle, DatagramTransport, Error, ForwardOptions, SamBridge, ServerTunnel,
    TunnelOptions, UdpOptions,
};

use crate::support::{ScriptedBridge, Stage, key};

const NAMES: [&str; 4] = ["stats.i2p", "Stats.I2P", "stats.i2p.", "a.b32.i2p"];

/// Set in a child process that gives credentials to the bridge of its environment.
const WITH_PASSWORD: &str = "I2P_SAM_TEST_WITH_PASSWORD";

fn check_refused<T>(outcome: Result<T, Error>, setting: &str, name: &str) {
    let Err(Error::InvalidConfig(error)) = outcome else {
        panic!("{setting} {name} was not refused");
    };
    assert_eq!(error.setting(), setting);
    assert!(error.value().contains(name), "{error}");
}

fn router() -> ScriptedBridge {
    ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => drop(visit.rest()),
        Stage::Command(_) => {
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.rest();
        }
    })
}

#[test]
fn bridge_name_in_i2p_is_refused() {
    for name in NAMES {
        let address = format!("{name}:80");
        check_refused(SamBridge::new(&address), "address", name);
        let builder = SamBridge::builder().address("127.0.0.1:1");
        check_refused(builder.udp_address(address).build(), "udp_address", name);
    }
}

#[test]
fn tunnel_tcp_address_in_i2p_is_refused() {
    let scripted = router();
    let session = scripted.bridge().session().key(&key(1)).stream().unwrap();
    let options = TunnelOptions::new();
    for name in NAMES {
        let listener = session.listener().unwrap();
        let address = format!("{name}:80");
        let server = ServerTunnel::start(listener, address, &options);
        check_refused(server, "TCP address", name);
        let client = ClientTunnel::start(session.clone(), (name, 80), "peer.i2p", &options);
        check_refused(client, "TCP address", name);
    }
}

#[test]
fn forward_host_in_i2p_is_refused() {
    let scripted = router();
    let session = scripted.bridge().session().key(&key(1)).stream().unwrap();
    for name in NAMES {
        let forwarding = session.forward_to(80, &ForwardOptions::new().host(name));
        check_refused(forwarding, "host", name);
        let transport = DatagramTransport::Udp(UdpOptions::new().advertise(name, 0));
        let builder = scripted.bridge().session().datagram_transport(transport);
        let datagrams = builder.datagram(DatagramStyle::Datagram);
        check_refused(datagrams, "advertise", name);
    }
}

#[test]
#[ignore = "the others run it with another environment"]
fn child_prints_bridges_of_environment() {
    let bridge = SamBridge::builder();
    let bridge = match env::var_os(WITH_PASSWORD) {
        Some(_) => bridge.credentials("joe", "hunter2"),
        None => bridge,
    };
    match bridge.build() {
        Ok(bridge) => println!("bridges: {}", bridge.routers().len()),
        Err(error) => println!("error: {error}"),
    }
}

fn with_environment(set: impl FnOnce(&mut Command)) -> String {
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "resolver::child_prints_bridges_of_environment",
            "--ignored",
            "--nocapture",
        ])
        .env_remove("I2P_SAM_UDP_ADDRESS");
    set(&mut child);
    let Output { stdout, .. } = child.output().unwrap();
    String::from_utf8(stdout).unwrap()
}

#[test]
#[cfg(unix)]
fn non_unicode_environment_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let shown = with_environment(|child| {
        child.env("I2P_SAM_ADDRESS", OsStr::from_bytes(b"router\xff.lan:7656"));
    });
    assert!(shown.contains("error: I2P_SAM_ADDRESS"), "{shown}");
}

#[test]
fn environment_host_in_i2p_is_refused() {
    let shown = with_environment(|child| {
        child.env("I2P_SAM_ADDRESS", "127.0.0.1:7656, stats.i2p:80");
    });
    assert!(
        shown.contains("error: I2P_SAM_ADDRESS `stats.i2p:80`"),
        "{shown}"
    );
}

#[test]
fn credentials_with_several_environment_bridges_are_refused() {
    let addresses = "127.0.0.1:7656,router.lan:7656";
    let with = |password: bool, addresses: &str| {
        with_environment(|child| {
            child.env("I2P_SAM_ADDRESS", addresses);
            if password {
                child.env(WITH_PASSWORD, "1");
            }
        })
    };
    assert!(with(false, addresses).contains("bridges: 2"));
    assert!(with(true, "127.0.0.1:7656").contains("bridges: 1"));
    let shown = with(true, addresses);
    assert!(shown.contains("error: I2P_SAM_ADDRESS"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
