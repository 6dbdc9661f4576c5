//! The recordings, replayed to the profile of their router.

use std::net::SocketAddr;

use i2p_sam::testing::{Fault, Profile, TestBridge};
use i2p_sam::{Destination, HostName};

use super::{Bridge, PATIENCE, Setup, assert_known, replay};

impl Bridge for TestBridge {
    fn tcp(&self) -> SocketAddr {
        self.address()
    }

    fn udp(&self) -> SocketAddr {
        self.udp_address()
    }

    fn lose_router(&self) {
        TestBridge::lose_router(self);
    }

    fn open_connections(&self) -> usize {
        TestBridge::open_connections(self)
    }

    fn add_host(&self, host: &str, destination: &Destination) {
        let host: HostName = host.parse().unwrap();
        TestBridge::add_host(self, &host, destination);
    }
}

/// Each difference that is known, and its reason.
///
/// They are listed in the documentation of `i2p_sam::testing` as well.
const KNOWN: [(&str, &str); 4] = [
    (
        r#"java.sam:763 expected c< PING STATUS RESULT=I2P_ERROR MESSAGE="invalid state", got PONG alive"#,
        INVALID_STATE,
    ),
    (
        r#"java_slow.sam:301 expected c< FOO STATUS RESULT=I2P_ERROR MESSAGE="invalid state", got PONG one"#,
        INVALID_STATE,
    ),
    (
        r#"java.sam:1342 expected c2< SESSION STATUS RESULT=OK DESTINATION={priv? Q1}, got SESSION STATUS RESULT=I2P_ERROR MESSAGE="Unterminated escape""#,
        ESCAPED_BLANK,
    ),
    (
        "java.sam:1344 expected c2< NAMING REPLY RESULT=OK NAME=ME VALUE={dest Q1}, got eof",
        ESCAPED_BLANK,
    ),
];

const INVALID_STATE: &str = "Java swallows lines that arrive while it creates a session";
const ESCAPED_BLANK: &str = "Java reads `a\\ b` without quotes as one value";

fn start(profile: Profile, setup: &Setup) -> TestBridge {
    let speed = match (setup.clock, profile) {
        // Sessions of these routers take seconds, and no limit of theirs is as short as a scenario.
        (1, Profile::I2pd | Profile::Emissary) => 100,
        // A faster Java sends PING to a client that a busy machine keeps waiting, and closes it.
        (clock, _) => clock,
    };
    let bridge = TestBridge::builder().profile(profile).speed(speed);
    let bridge = bridge.start().unwrap();
    if !setup.session_delay.is_zero() {
        let delay = Fault::delay(setup.session_delay / setup.clock);
        bridge.inject_each("SESSION CREATE", delay);
    }
    bridge
}

fn replays(file: &str, source: &str, profile: Profile) {
    let found = replay(file, source, PATIENCE, |setup| start(profile, setup));
    let known: Vec<_> = KNOWN
        .into_iter()
        .filter(|(difference, _)| difference.starts_with(&format!("{file}:")))
        .collect();
    assert_known(&found, &known);
}

#[test]
fn recording_of_java_replays() {
    let source = include_str!("../transcripts/java.sam");
    replays("java.sam", source, Profile::Java);
}

#[test]
fn slow_recording_of_java_replays() {
    let source = include_str!("../transcripts/java_slow.sam");
    replays("java_slow.sam", source, Profile::Java);
}

#[test]
fn recording_of_java_that_loses_its_router_replays() {
    let source = include_str!("../transcripts/java_router_gone.sam");
    replays("java_router_gone.sam", source, Profile::Java);
}

#[test]
fn recording_of_i2pd_replays() {
    let source = include_str!("../transcripts/i2pd.sam");
    replays("i2pd.sam", source, Profile::I2pd);
}

#[test]
fn recording_of_emissary_replays() {
    let source = include_str!("../transcripts/emissary.sam");
    replays("emissary.sam", source, Profile::Emissary);
}
