//! The replies of Java I2P 2.8.0, recorded from it and repeated by a scripted bridge, with keys
//! restored where the recording had shortened them.

use std::io::{ErrorKind, Read, Write};

use i2p_sam::testing::TestBridge;
use i2p_sam::{ConnectOptions, Error, ResultCode, SamBridge, SessionLoss, StreamSession, Version};

use crate::support::{LONG, ScriptedBridge, Stage, field, key, refused};

/// A bridge that creates sessions and answers anything else with this line.
fn answering(reply: &'static str) -> ScriptedBridge {
    ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => drop(visit.rest()),
        Stage::Command(_) => visit.say(reply),
    })
}

fn session(bridge: &ScriptedBridge) -> StreamSession {
    bridge
        .bridge()
        .session()
        .pending_accepts(1)
        .stream()
        .unwrap()
}

#[test]
fn accepted_stream_in_one_segment_is_separated() {
    let bridge = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => {
            let caller = key(2).destination().to_base64();
            visit.say(&format!(
                "{caller} FROM_PORT=1111 TO_PORT=2222\nearly data in the same write\n"
            ));
            visit.rest();
        }
        Stage::Command(_) => {}
    });
    let listener = session(&bridge).listener().unwrap();
    let (mut stream, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(key(2).destination()));
    assert_eq!(
        (stream.peer_port(), stream.local_port()),
        (Some(1111), Some(2222))
    );
    let mut text = [0; 29];
    stream.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"early data in the same write\n");
}

#[test]
fn dial_with_ports_matches_recording() {
    let bridge = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => {}
        Stage::Command(line) => {
            assert!(line.starts_with("STREAM CONNECT ID="), "{line}");
            let named = field(line, "DESTINATION").map(str::to_owned);
            assert_eq!(named, Some(key(3).destination().to_base64()));
            assert!(line.ends_with(" SILENT=false FROM_PORT=1111 TO_PORT=2222\n"));
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.echo();
        }
    });
    let options = ConnectOptions::new().from_port(1111);
    let peer = key(3);
    let address = (peer.destination(), 2222);
    let mut stream = session(&bridge).connect_with(address, &options).unwrap();
    stream.write_all(b"ping\n").unwrap();
    let mut text = [0; 5];
    stream.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"ping\n");
}

#[test]
fn own_destination_can_be_dialled() {
    let bridge = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => {
            let own = key(0).destination().to_base64();
            visit.say(&format!("{own} FROM_PORT=0 TO_PORT=0\n"));
            visit.rest();
        }
        Stage::Command(_) => {
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.rest();
        }
    });
    let builder = bridge.bridge().session().key(&key(0)).pending_accepts(1);
    let session = builder.stream().unwrap();
    let listener = session.listener().unwrap();
    let near = session.connect(session.destination()).unwrap();
    let (far, peer) = listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(session.destination()));
    assert_eq!(&peer, near.local_addr(), "port 0 is no port");
    assert_eq!((far.peer_port(), far.local_port()), (None, None));
}

#[test]
fn dial_refusals_are_classified_by_fault() {
    use ResultCode::{CantReachPeer, I2pError, InvalidKey};

    let b32 = "l7je557todvf27njrf5udjmwaeazbqjgv6vhzrcemfdw5qwknnoq.b32.i2p";
    let not_found = format!("Lease set not found: {b32}");
    let recorded = [
        (
            "STREAM STATUS RESULT=INVALID_KEY MESSAGE=\"Host name not found: nosuch.i2p\"\n",
            (InvalidKey, "Host name not found: nosuch.i2p"),
            true,
        ),
        (
            "STREAM STATUS RESULT=INVALID_KEY MESSAGE=\"Lease set not found: \
             l7je557todvf27njrf5udjmwaeazbqjgv6vhzrcemfdw5qwknnoq.b32.i2p\"\n",
            (InvalidKey, not_found.as_str()),
            true,
        ),
        (
            "STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE=\"Connection reset\"\n",
            (CantReachPeer, "Connection reset"),
            true,
        ),
        (
            "STREAM STATUS RESULT=CANT_REACH_PEER MESSAGE=\"Connection failed\"\n",
            (CantReachPeer, "Connection failed"),
            true,
        ),
        (
            "STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"Bad port abc\"\n",
            (I2pError, "Bad port abc"),
            false,
        ),
        // It comes under another topic, but it is a reply all the same.
        (
            "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"bad port\"\n",
            (I2pError, "bad port"),
            false,
        ),
    ];
    for (reply, (code, explanation), peers_fault) in recorded {
        let bridge = answering(reply);
        let session = session(&bridge);
        let error = session.connect("nosuch.i2p").unwrap_err();
        assert_eq!(error.is_peer_fault(), peers_fault, "{reply}");
        assert_eq!(refused(error), (code, explanation.to_owned()));
        assert_eq!(session.loss(), None, "{reply}");
    }
}

#[test]
fn duplicate_id_means_session_is_lost() {
    // Java forgets the first session when a second one uses its id.
    let bridge = answering(
        "STREAM STATUS RESULT=INVALID_ID MESSAGE=\"STREAM SESSION ID dup does not exist\"\n",
    );
    let session = session(&bridge);
    let error = session.connect(key(5).destination()).unwrap_err();
    assert!(error.is_session_lost(), "{error}");
    assert!(matches!(session.loss(), Some(SessionLoss::Refused(_))));
}

#[test]
fn session_refusals_are_classified_by_retry() {
    let recorded = [
        (
            "SESSION STATUS RESULT=DUPLICATED_ID\n",
            ErrorKind::AddrInUse,
            true,
        ),
        (
            "SESSION STATUS RESULT=DUPLICATED_DEST\n",
            ErrorKind::AddrInUse,
            true,
        ),
        (
            "SESSION STATUS RESULT=INVALID_KEY\n",
            ErrorKind::InvalidInput,
            false,
        ),
        (
            "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"Error creating I2PSocketManager: \
             [SAM TCP Client(CLOSED)]: Cannot connect to the router on 127.0.0.1:27654 and build \
             tunnels - Disconnected from router while waiting for tunnels: Unsupported crypto \
             type: 99\"\n",
            ErrorKind::Other,
            false,
        ),
    ];
    for (reply, kind, again) in recorded {
        let bridge = ScriptedBridge::answering(reply);
        let error = bridge.bridge().session().stream().unwrap_err();
        assert_eq!(
            (error.kind(), error.is_retryable()),
            (kind, again),
            "{reply}"
        );
    }
}

#[test]
fn refusal_explanation_is_displayed() {
    let bridge = ScriptedBridge::answering(
        "SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"Cannot connect to the router: Unsupported \
         crypto type: 99\"\n",
    );
    let error = bridge.bridge().session().stream().unwrap_err();
    assert!(
        error.to_string().contains("Unsupported crypto type: 99"),
        "{error}"
    );
}

#[test]
fn lookup_finds_destination_or_not_found() {
    let bridge = ScriptedBridge::start(|visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        match field(&line, "NAME") {
            Some(name @ "test.i2p") => {
                let value = key(6).destination().to_base64();
                visit.say(&format!(
                    "NAMING REPLY RESULT=OK NAME={name} VALUE={value}\n"
                ));
            }
            name => {
                let name = name.unwrap_or_default().to_owned();
                visit.say(&format!("NAMING REPLY RESULT=KEY_NOT_FOUND NAME={name}\n"));
            }
        }
    });
    let bridge = bridge.bridge();
    assert_eq!(&bridge.lookup("TEST.i2p").unwrap(), key(6).destination());
    let error = bridge.lookup("nosuch.i2p").unwrap_err();
    assert!(error.is_peer_fault(), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn user_commands_match_recording() {
    let java = TestBridge::start().unwrap();
    let open = java.bridge();
    let with = |user, password| {
        let builder = SamBridge::builder().address(java.address().to_string());
        builder.credentials(user, password).build().unwrap()
    };
    let said = |outcome: Result<(), Error>| refused(outcome.unwrap_err()).1;

    open.auth().add("alice", "secret").unwrap();
    assert_eq!(
        said(open.auth().add("alice", "secret")),
        "user alice already exists"
    );
    assert_eq!(said(open.auth().remove("nobody")), "user nobody not found");
    open.auth().enable().unwrap();

    let version = |bridge: &SamBridge| bridge.version().map(drop);
    assert_eq!(said(version(&open)), "USER and PASSWORD required");
    for (user, password) in [("alice", "wrong"), ("nobody", "x")] {
        let bridge = with(user, password);
        assert_eq!(said(version(&bridge)), "Authorization failed");
    }
    let alice = with("alice", "secret");
    assert_eq!(alice.version().unwrap(), Version::V3_3);
    alice.auth().disable().unwrap();
    open.auth().remove("alice").unwrap();
    assert_eq!(open.version().unwrap(), Version::V3_3);
}
