//! Versions, keys and sessions.

use std::fs;

use i2p_sam::wire::{Command, Line, Message, read_line};
use i2p_sam::{Error, PrivateKey, ResultCode, SamBridge, SignatureType, StreamSession, Version};

use crate::router::{LONG, Router, eventually_stream};
use crate::suite::behaviours;
use crate::suite::data::greet;

behaviours! {
    version_is_negotiated;
    single_version_range_is_negotiated;
    generated_key_matches_its_destination;
    generated_keys_differ;
    generated_keys_may_have_other_types [OtherSignatures];
    transient_session_exposes_its_key;
    session_has_destination_of_its_key;
    session_has_destination_of_saved_key;
    key_of_other_type_serves_session [OtherSignatures, Streams];
    nickname_and_options_are_accepted;
    close_frees_key [Streams, KeyAgain];
    dropping_last_handle_frees_key [Streams, KeyAgain];
    id_in_use_is_refused;
    key_in_use_is_refused_as_retryable;
    invalid_key_is_refused [Refusals];
    heartbeat_keeps_healthy_session;
}

fn version_is_negotiated(router: &Router) {
    let version = router.bridge().version().unwrap();
    assert!(
        (Version::V3_1..=Version::V3_3).contains(&version),
        "{version}"
    );
    if let Some(known) = router.version() {
        assert_eq!(version, known);
    }
}

fn single_version_range_is_negotiated(router: &Router) {
    let bridge = SamBridge::builder().address(router.bridge().address());
    let bridge = bridge
        .versions(Version::V3_1, Version::V3_1)
        .strict_versions(true);
    assert_eq!(bridge.build().unwrap().version().unwrap(), Version::V3_1);
}

fn generated_key_matches_its_destination(router: &Router) {
    let key = router.bridge().generate(SignatureType::Ed25519).unwrap();
    assert_eq!(key.signature_type(), SignatureType::Ed25519);
    assert_eq!(key.expose_bytes().len(), 679);
    assert!(key.expose_bytes().starts_with(key.destination().as_bytes()));
}

fn generated_keys_differ(router: &Router) {
    let make = || router.bridge().generate(SignatureType::Ed25519).unwrap();
    assert_ne!(make().destination(), make().destination());
}

fn generated_keys_may_have_other_types(router: &Router) {
    for kind in [
        SignatureType::DsaSha1,
        SignatureType::EcdsaSha256P256,
        SignatureType::EcdsaSha384P384,
        SignatureType::EcdsaSha512P521,
        SignatureType::RedDsa,
    ] {
        let key = router.bridge().generate(kind).unwrap();
        assert_eq!(key.signature_type(), kind);
    }
}

fn transient_session_exposes_its_key(router: &Router) {
    let session = router.session();
    assert_eq!(session.private_key().destination(), session.destination());
    assert_eq!(
        session.destination().signature_type(),
        Some(SignatureType::Ed25519)
    );
    assert_eq!(session.loss(), None);
}

fn session_has_destination_of_its_key(router: &Router) {
    let key = router.bridge().generate(SignatureType::Ed25519).unwrap();
    let session = router.builder().key(&key).stream().unwrap();
    assert_eq!(session.destination(), key.destination());
}

fn session_has_destination_of_saved_key(router: &Router) {
    let folder =
        std::env::temp_dir().join(format!("i2p-sam-{}-{}", std::process::id(), router.name()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("service.key");
    let load = || {
        let make = || router.bridge().generate(SignatureType::Ed25519);
        PrivateKey::load_or_generate::<Error>(&path, make).unwrap()
    };
    let key = load();
    assert_eq!(load(), key);
    let session = router.builder().key(&key).stream().unwrap();
    assert_eq!(session.destination(), key.destination());
    fs::remove_dir_all(&folder).unwrap();
}

fn key_of_other_type_serves_session(router: &Router) {
    let builder = router.builder().transient(SignatureType::EcdsaSha256P256);
    let session = builder.stream().unwrap();
    let kind = session.destination().signature_type();
    assert_eq!(kind, Some(SignatureType::EcdsaSha256P256));
    let pair = router.pair();
    let near = session.connect(pair.server.destination()).unwrap();
    let (far, peer) = pair.listener.accept_timeout(LONG).unwrap();
    assert_eq!(peer.destination(), Some(session.destination()));
    greet(&near, &far);
}

fn nickname_and_options_are_accepted(router: &Router) {
    let builder = router.builder().nickname("suite");
    let builder = builder.option("i2p.streaming.maxConcurrentStreams", "5");
    assert!(builder.stream().is_ok());
}

fn close_frees_key(router: &Router) {
    let session = router.session();
    let builder = router.builder().key(session.private_key());
    session.close();
    let again = eventually_stream(&builder);
    assert_eq!(again.destination(), session.destination());
    dial(router, &again);
}

/// A session that was just created may not serve yet.
fn dial(router: &Router, server: &StreamSession) {
    let listener = server.listener().unwrap();
    let pair = router.pair();
    let near = pair.client.connect(server.destination()).unwrap();
    let (far, _) = listener.accept_timeout(LONG).unwrap();
    greet(&near, &far);
}

fn dropping_last_handle_frees_key(router: &Router) {
    let session = router.session();
    let destination = session.destination().clone();
    let builder = router.builder().key(session.private_key());
    drop(session);
    let again = eventually_stream(&builder);
    assert_eq!(again.destination(), &destination);
    dial(router, &again);
}

fn id_in_use_is_refused(router: &Router) {
    let session = router.session();
    let reply = say_raw(router, |command| {
        let command = command.pair("ID", session.id()).unwrap();
        command.pair("DESTINATION", "TRANSIENT").unwrap()
    });
    let message = Message::parse(&reply).unwrap();
    assert_eq!(message.result(), Some(ResultCode::DuplicatedId));
}

fn key_in_use_is_refused_as_retryable(router: &Router) {
    let session = router.session();
    let error = router
        .builder()
        .key(session.private_key())
        .stream()
        .unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let code = match &error {
        Error::Refused(refusal) => refusal.code(),
        error => panic!("{error}"),
    };
    assert_eq!(*code, ResultCode::DuplicatedDest);
    assert_eq!(session.loss(), None);
}

fn invalid_key_is_refused(router: &Router) {
    let reply = say_raw(router, |command| {
        let command = command.pair("ID", "no-key-at-all").unwrap();
        command.pair("DESTINATION", "AAAA").unwrap()
    });
    let message = Message::parse(&reply).unwrap();
    assert_eq!(message.result(), Some(ResultCode::InvalidKey));
}

/// Sends a SESSION CREATE that the library itself never sends, and returns the reply.
fn say_raw(router: &Router, complete: impl FnOnce(Command) -> Command) -> Vec<u8> {
    use std::io::Write;

    let mut socket = std::net::TcpStream::connect(router.bridge().address()).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let mut line = Vec::new();
    let hello = Command::hello(Version::V3_1, Version::V3_3, None).unwrap();
    socket.write_all(hello.as_bytes()).unwrap();
    assert_eq!(read_line(&mut &socket, &mut line).unwrap(), Line::Complete);
    let create = Command::new("SESSION", "CREATE")
        .pair("STYLE", "STREAM")
        .unwrap();
    let mut create = complete(create);
    for (name, value) in router.raw_options() {
        create = create.pair(name, value).unwrap();
    }
    socket.write_all(create.as_bytes()).unwrap();
    // emissary omits the newline of its final line.
    assert_ne!(read_line(&mut &socket, &mut line).unwrap(), Line::End);
    line
}

fn heartbeat_keeps_healthy_session(router: &Router) {
    let beat = std::time::Duration::from_secs(1);
    let session = router.builder().heartbeat(Some(beat)).stream().unwrap();
    let outcome = session.wait_closed(Some(beat * 4));
    assert!(outcome.unwrap_err().is_timeout());
}
