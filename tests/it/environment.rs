//! The bridge that the environment names: the tests run this program again with other variables.

use std::ffi::OsStr;
use std::process::Command;

use i2p_sam::SamBridge;

/// The work of the child process.
#[test]
#[ignore = "the other tests start it, in an environment of its own"]
fn child_prints_bridge_of_environment() {
    match SamBridge::from_env() {
        Ok(bridge) => println!("bridge: {} {}", bridge.address(), bridge.udp_address()),
        Err(error) => println!("bridge: {error}"),
    }
}

/// Returns the bridge of a process with these variables.
fn bridge(variables: &[(&str, &OsStr)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture"]);
    command.arg("environment::child_prints_bridge_of_environment");
    for name in ["I2P_SAM_ADDRESS", "I2P_SAM_UDP_ADDRESS"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let shown = text.lines().find_map(|line| line.split_once("bridge: "));
    shown.map(|(_, shown)| shown.to_owned()).unwrap()
}

#[test]
fn udp_address_comes_from_environment() {
    let udp = ("I2P_SAM_UDP_ADDRESS", OsStr::new("127.0.0.1:40000"));
    let tcp = ("I2P_SAM_ADDRESS", OsStr::new("127.0.0.1:50000"));
    let empty = ("I2P_SAM_UDP_ADDRESS", OsStr::new(""));
    assert_eq!(bridge(&[tcp, udp]), "127.0.0.1:50000 127.0.0.1:40000");
    assert_eq!(bridge(&[udp]), "127.0.0.1:7656 127.0.0.1:40000");
    assert_eq!(bridge(&[tcp, empty]), "127.0.0.1:50000 127.0.0.1:7655");
    assert_eq!(bridge(&[tcp]), "127.0.0.1:50000 127.0.0.1:7655");
}

#[test]
#[cfg(unix)]
fn non_unicode_udp_address_is_refused() {
    use std::os::unix::ffi::OsStrExt;

    let udp = OsStr::from_bytes(b"127.0.0.1:76\xff");
    let shown = bridge(&[("I2P_SAM_UDP_ADDRESS", udp)]);
    assert!(
        shown.starts_with("I2P_SAM_UDP_ADDRESS `127.0.0.1:76") && shown.ends_with("not Unicode"),
        "{shown}"
    );
}
