//! Progress appears on a terminal alone. `script` (util-linux) runs the program on one.

#[cfg(target_os = "linux")]
use std::process::Command;

use i2p_sam::testing::TestBridge;

#[cfg(target_os = "linux")]
use crate::support::Done;
use crate::support::{Service, run, sam, shout};

const PROGRESS: &str = "Building tunnels";

/// Runs a ping on a terminal of its own.
#[cfg(target_os = "linux")]
fn ping_on_terminal(more: &str) -> Done {
    let bridge = TestBridge::start().unwrap();
    let service = Service::start(&bridge, shout);
    let program = env!("CARGO_BIN_EXE_sam");
    let line = format!("'{program}' ping -c 1 {more} {}", service.address());
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm");
    run(command.env("I2P_SAM_ADDRESS", bridge.address().to_string()))
}

#[cfg(target_os = "linux")]
#[test]
fn progress_on_terminal_is_shown() {
    let done = ping_on_terminal("");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains(PROGRESS), "{done:?}");
    assert!(done.stdout.contains("1 of 1 dials succeeded"), "{done:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn progress_on_quiet_terminal_is_not_shown() {
    let done = ping_on_terminal("--quiet");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(!done.stdout.contains(PROGRESS), "{done:?}");
    assert!(done.stdout.contains("1 of 1 dials succeeded"), "{done:?}");
}

#[test]
fn progress_in_pipe_is_not_shown() {
    let bridge = TestBridge::start().unwrap();
    let service = Service::start(&bridge, shout);
    let done = run(&mut sam(&bridge, ["ping", "-c", "1", &service.address()]));
    assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
    assert!(!done.stdout.contains(PROGRESS), "{done:?}");
}
