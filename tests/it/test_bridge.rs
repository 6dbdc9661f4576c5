//! The test bridge itself: its clocks, its faults, and what it does to a client that a router can do.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use i2p_sam::testing::{Fault, Profile, TestBridge};
use i2p_sam::{
    DatagramStyle, Error, HostName, SamListener, SessionLoss, SignatureType, StreamSession,
};

use crate::support::{LONG, eventually, in_background, outcome};

fn start(profile: Profile) -> TestBridge {
    TestBridge::builder().profile(profile).start().unwrap()
}

/// A server and a client at one bridge.
fn sessions(bridge: &TestBridge) -> (StreamSession, SamListener, StreamSession) {
    let server = bridge.bridge().session().stream().unwrap();
    let listener = server.listener().unwrap();
    let client = bridge.bridge().session().stream().unwrap();
    (server, listener, client)
}

fn echo(profile: Profile) {
    let bridge = start(profile);
    let (server, listener, client) = sessions(&bridge);
    let mut near = client.connect(server.destination()).unwrap();
    let (mut far, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(client.destination()));
    near.write_all(b"ping").unwrap();
    let mut word = [0; 4];
    far.read_exact(&mut word).unwrap();
    far.write_all(b"pong").unwrap();
    near.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"pong");
    drop(far);
    assert_eq!(near.read(&mut word).unwrap(), 0);
}

#[test]
fn stream_between_sessions_carries_bytes_with_every_profile() {
    Profile::ALL.into_iter().for_each(echo);
}

/// The PINGs of Java I2P come every 180 s, and its patience ends at 360: here at 3.6.
#[test]
fn session_of_java_lives_over_fifteen_scaled_minutes() {
    let bridge = start(Profile::Java);
    let session = bridge.bridge().session().stream().unwrap();
    assert!(session.wait_closed(Some(Duration::from_secs(9))).is_err());
    let answers = |line: &String| line.starts_with("PONG ");
    assert!(
        bridge
            .commands()
            .iter()
            .filter(|line| answers(line))
            .count()
            >= 4
    );
}

#[test]
fn session_of_java_without_pong_dies_at_scaled_six_minutes() {
    let bridge = start(Profile::Java);
    let start = Instant::now();
    let session = bridge.bridge().session().stream().unwrap();
    bridge.inject_each("PONG", Fault::script(|_| {}));
    let loss = session.wait_closed(Some(LONG)).unwrap();
    assert!(
        start.elapsed() >= Duration::from_millis(3500),
        "{:?}",
        start.elapsed()
    );
    assert!(loss.to_string().contains("PONG timeout"), "{loss}");
}

#[test]
fn names_and_records_of_address_book_are_found() {
    let bridge = start(Profile::Java);
    let key = bridge.bridge().generate(SignatureType::Ed25519).unwrap();
    let name: HostName = "mail.i2p".parse().unwrap();
    bridge.add_host_with(&name, key.destination(), &[("_smtp._tcp", "0 86400 25")]);
    let found = bridge.bridge().lookup_record("mail.i2p").unwrap();
    assert_eq!(found.destination(), key.destination());
    let ports: Vec<_> = found
        .services()
        .map(|record| record.unwrap().port())
        .collect();
    assert_eq!(ports, [25]);
}

#[test]
fn user_is_required_by_java() {
    let bridge = TestBridge::builder()
        .user("alice", "secret")
        .start()
        .unwrap();
    assert!(bridge.bridge().version().is_err());
    let builder = i2p_sam::SamBridge::builder().address(bridge.address().to_string());
    let known = builder.credentials("alice", "secret").build().unwrap();
    known.version().unwrap();
}

#[test]
fn restarted_bridge_serves_at_same_address() {
    let bridge = start(Profile::Java);
    let session = bridge.bridge().session().stream().unwrap();
    bridge.stop();
    let refused = bridge.bridge().version().unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused}");
    assert!(session.wait_closed(Some(LONG)).is_ok());
    bridge.restart().unwrap();
    bridge.bridge().version().unwrap();
    bridge.bridge().session().stream().unwrap();
}

#[test]
fn paused_bridge_answers_when_it_goes_on() {
    let bridge = start(Profile::Java);
    bridge.pause();
    let asker = bridge.bridge();
    let asked = in_background(move || asker.version());
    assert!(asked.recv_timeout(Duration::from_millis(100)).is_err());
    bridge.resume();
    outcome(&asked).unwrap();
}

#[test]
fn lost_session_is_reported() {
    let bridge = start(Profile::Java);
    let session = bridge.bridge().session().stream().unwrap();
    assert!(bridge.lose_session(session.destination()));
    assert_eq!(
        session.wait_closed(Some(LONG)).unwrap(),
        SessionLoss::Disconnected
    );
    assert!(!bridge.lose_session(session.destination()));
}

#[test]
fn lost_router_is_noticed_by_next_dial() {
    let bridge = start(Profile::Java);
    let (server, _listener, client) = sessions(&bridge);
    bridge.lose_router();
    let error = client.connect(server.destination()).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
}

#[test]
fn stream_is_cut_after_given_bytes() {
    let bridge = start(Profile::Java);
    let (server, listener, client) = sessions(&bridge);
    let reply = "HELLO REPLY RESULT=OK VERSION=3.3\nSTREAM STATUS RESULT=OK\n".len() as u64;
    // The fault begins with the reply to CONNECT.
    let reply = reply - "HELLO REPLY RESULT=OK VERSION=3.3\n".len() as u64;
    bridge.inject("STREAM CONNECT", Fault::cut_after(reply + 3));
    let mut near = client.connect(server.destination()).unwrap();
    let (mut far, _) = listener.accept_timeout(LONG).unwrap();
    far.write_all(b"abcdef").unwrap();
    let mut rest = Vec::new();
    let _ = near.read_to_end(&mut rest);
    assert_eq!(rest, b"abc");
}

#[test]
fn datagram_that_matches_a_fault_is_lost() {
    let bridge = start(Profile::Java);
    let session = || {
        bridge
            .bridge()
            .session()
            .datagram(DatagramStyle::Datagram)
            .unwrap()
    };
    let (one, two) = (session(), session());
    two.set_read_timeout(Some(LONG)).unwrap();
    bridge.inject("3.", Fault::close());
    one.send_to(b"lost", two.destination()).unwrap();
    one.send_to(b"kept", two.destination()).unwrap();
    let mut word = [0; 4];
    two.recv_from(&mut word).unwrap();
    assert_eq!(&word, b"kept");
}

#[test]
fn lie_about_a_b32_is_noticed() {
    let bridge = start(Profile::Java);
    let key = || bridge.bridge().generate(SignatureType::Ed25519).unwrap();
    let (site, thief) = (key(), key());
    let b32 = site.destination().b32();
    let lie = format!(
        "NAMING REPLY RESULT=OK NAME={b32} VALUE={}\n",
        thief.destination()
    );
    bridge.inject("NAMING LOOKUP", Fault::reply(lie));
    assert!(bridge.bridge().lookup(site.destination().b32()).is_err());
}

#[test]
fn script_reads_and_writes_in_place_of_router() {
    let bridge = start(Profile::Java);
    let (seen, lines) = mpsc::channel();
    let seen = Mutex::new(seen);
    bridge.inject(
        "HELLO",
        Fault::script(move |exchange| {
            exchange.send("HELLO REPLY RESULT=OK VERSION=3.1\n");
            let _ = seen.lock().unwrap().send(exchange.read_line());
            exchange.close();
        }),
    );
    let mut socket = TcpStream::connect(bridge.address()).unwrap();
    socket.write_all(b"HELLO VERSION\nPING x\n").unwrap();
    let mut reply = String::new();
    let _ = socket.read_to_string(&mut reply);
    assert_eq!(reply, "HELLO REPLY RESULT=OK VERSION=3.1\n");
    assert_eq!(lines.recv_timeout(LONG).unwrap().as_deref(), Some("PING x"));
}

#[test]
fn dropped_bridge_leaves_no_connection() {
    let bridge = start(Profile::I2pd);
    let session = bridge.bridge().session().stream().unwrap();
    assert!(bridge.open_connections() > 0);
    drop(bridge);
    assert!(session.wait_closed(Some(LONG)).is_ok());
    eventually("the session is lost", || session.loss().is_some());
}

#[test]
fn same_seed_makes_same_keys() {
    let key = |seed| {
        let bridge = TestBridge::builder().seed(seed).start().unwrap();
        let key = bridge.bridge().generate(SignatureType::Ed25519).unwrap();
        key.destination().b32()
    };
    assert_eq!(key(7), key(7));
    assert_ne!(key(7), key(8));
}
