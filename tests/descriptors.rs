//! A process that has no descriptor left reports that, and not a bridge that does not answer.
//!
//! The test runs itself again as a process of its own, which it lets open few descriptors.

#![cfg(unix)]

mod support;

use std::env;
use std::error::Error as _;
use std::fs::File;
use std::io::ErrorKind;
use std::process::Command;

use i2p_sam::{Error, Phase, SamBridge};
use support::{ScriptedBridge, key};

/// Set in the process that may open few.
const FEW: &str = "I2P_SAM_TEST_FEW_DESCRIPTORS";

/// Runs this test again in a process that may open 64 descriptors.
fn run_again(test: &str) {
    let mut again = Command::new("sh");
    again.args([
        "-c",
        "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture",
    ]);
    let output = again
        .arg(env::current_exe().unwrap())
        .arg(test)
        .env(FEW, "1")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{shown}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(shown.contains("1 passed"), "{shown}");
}

/// Opens files until the system refuses.
fn all_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

/// What each call fails with, once no descriptor is left.
fn failures(bridge: &SamBridge) -> Vec<Error> {
    let session = bridge.session().key(&key(1)).stream().unwrap();
    let _all = all_descriptors();
    vec![
        bridge.version().unwrap_err(),
        bridge.lookup("peer.i2p").unwrap_err(),
        session.connect("peer.i2p").unwrap_err(),
        session.listener().unwrap_err(),
        session.forward().unwrap_err(),
        bridge.session().datagram(Default::default()).unwrap_err(),
    ]
}

#[test]
fn a_process_without_descriptors_names_the_limit_and_the_remedy() {
    if env::var_os(FEW).is_none() {
        return run_again("a_process_without_descriptors_names_the_limit_and_the_remedy");
    }
    let scripted = ScriptedBridge::router(|visit, _| visit.until_quit());
    for error in failures(&scripted.bridge()) {
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        assert!(error.to_string().contains("ulimit -n"), "{error}");
        assert!(!error.to_string().contains("no SAM bridge"), "{error}");
        assert!(error.source().is_some() && error.is_retryable(), "{error}");
        assert_eq!(error.kind(), ErrorKind::Other);
    }
}

#[test]
fn a_name_that_cannot_be_resolved_without_descriptors_is_not_unknown() {
    if env::var_os(FEW).is_none() {
        return run_again("a_name_that_cannot_be_resolved_without_descriptors_is_not_unknown");
    }
    let scripted = greeting();
    let bridge = SamBridge::new(&format!("localhost:{}", scripted.address().port())).unwrap();
    let _all = all_descriptors();
    let error = bridge.version().unwrap_err();
    assert!(
        error.to_string().contains("ulimit -n"),
        "{error}: {:?}",
        error.source()
    );
}

#[test]
fn a_process_without_descriptors_does_not_ask_the_next_bridge() {
    if env::var_os(FEW).is_none() {
        return run_again("a_process_without_descriptors_does_not_ask_the_next_bridge");
    }
    let (first, second) = (greeting(), greeting());
    let bridge = SamBridge::builder()
        .address(first.address().to_string())
        .fallback(&second.bridge())
        .build()
        .unwrap();
    let all = all_descriptors();
    let error = bridge.version().unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Connect));
    assert!(matches!(error, Error::Io { .. }), "{error}");
    drop(all);
    bridge.version().unwrap();
    assert_eq!((first.connections(), second.connections()), (1, 0));
}

fn greeting() -> ScriptedBridge {
    ScriptedBridge::start(|visit| {
        visit.greet();
    })
}
