//! Lookups, and the users of a bridge: replies recorded from Java I2P 2.8.0 and repeated by a
//! scripted bridge with keys restored, and service records, which no recorded router has.

use std::io::ErrorKind;
use std::time::Duration;

use i2p_sam::testing::TestBridge;
use i2p_sam::wire::Command;
use i2p_sam::{B32, Error, Host, ResultCode, SamBridge};

use crate::support::{
    LONG, ScriptedBridge, Stage, field, in_background, key, milestone, outcome, refused,
};

/// A bridge that answers a lookup with a key of its own for each connection, and with `options`.
fn naming(options: &'static str) -> ScriptedBridge {
    ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        let name = field(&line, "NAME").unwrap().to_owned();
        let value = key(visit.number as u8).destination().to_base64();
        visit.say(&format!(
            "NAMING REPLY RESULT=OK NAME={name} VALUE={value}{options}\n"
        ));
    })
}

fn remembering(scripted: &ScriptedBridge, entries: usize) -> SamBridge {
    SamBridge::builder()
        .address(scripted.address().to_string())
        .lookup_cache(entries, LONG)
        .build()
        .unwrap()
}

/// Returns the command that followed the greeting on the last connection.
fn last_command(scripted: &ScriptedBridge) -> String {
    scripted.received().last().unwrap().clone()
}

#[test]
fn lookup_options_are_requested_and_may_be_absent() {
    let scripted = naming("");
    let b32 = key(0).destination().b32();
    let found = scripted.bridge().lookup_record((b32, 80));
    let found = found.unwrap();
    assert_eq!(found.destination(), key(0).destination());
    assert_eq!(found.options().count(), 0);
    assert_eq!(found.services().count(), 0);
    let wanted = format!("NAMING LOOKUP NAME={b32} OPTIONS=true\n");
    assert_eq!(last_command(&scripted), wanted);
}

/// Checks that a lookup of `asked` is refused if the bridge answers with the destination of
/// `key(0)`.
fn check_refused(outcome: Result<impl std::fmt::Debug, Error>, asked: &Host) {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(error.to_string().contains(&asked.to_string()), "{error}");
    let Error::WrongDestination { asked: a, answered } = error else {
        panic!("{error}");
    };
    assert_eq!((&*a, answered), (asked, B32::from(key(0).destination())));
}

#[test]
fn b32_lookup_with_wrong_destination_is_refused() {
    let asked = Host::B32(key(9).destination().into());
    check_refused(naming("").bridge().lookup(&asked), &asked);
}

#[test]
fn options_lookup_with_wrong_destination_is_refused() {
    for asked in [
        Host::B32(key(9).destination().into()),
        Host::Destination(key(9).destination().clone()),
    ] {
        check_refused(naming("").bridge().lookup_record(&asked), &asked);
    }
}

#[test]
fn b33_lookup_with_wrong_destination_is_refused() {
    let asked = Host::B33(key(9).destination().b33().unwrap());
    check_refused(naming("").bridge().lookup(&asked), &asked);
}

#[test]
fn b33_lookup_finds_its_destination() {
    let address = key(0).destination().b33().unwrap().with_secret();
    let found = naming("").bridge().lookup(address).unwrap();
    assert_eq!(&found, key(0).destination());
}

#[test]
fn wrong_destination_is_not_cached() {
    // The first reply is wrong, the second right: each connection has a key of its own.
    let scripted = naming("");
    let bridge = remembering(&scripted, 8);
    let asked = B32::from(key(1).destination());
    bridge.lookup(asked).unwrap_err();
    assert_eq!(&bridge.lookup(asked).unwrap(), key(1).destination());
}

#[test]
fn session_b32_lookup_with_wrong_destination_is_refused() {
    // This holds for either socket of the session.
    let scripted = ScriptedBridge::router(|visit, stage| {
        let mut line = match stage {
            Stage::Command(line) => Some(line.to_owned()),
            _ => visit.line(),
        };
        while let Some(command) = line {
            if let Some(name) = field(&command, "NAME") {
                let value = key(0).destination().to_base64();
                visit.say(&format!(
                    "NAMING REPLY RESULT=OK NAME={name} VALUE={value}\n"
                ));
            }
            line = visit.line();
        }
    });
    let session = scripted.bridge().session().key(&key(5)).stream().unwrap();
    let asked = Host::B32(key(9).destination().into());
    check_refused(session.lookup(&asked), &asked);
}

#[test]
fn wrong_destination_causes_failover() {
    let (lying, honest) = (naming(""), naming(""));
    let bridge = SamBridge::builder()
        .address(lying.address().to_string())
        .fallback(&honest.bridge())
        .build()
        .unwrap();
    // The honest bridge has already used its first reply.
    honest.bridge().lookup("a.i2p").unwrap();
    let asked = B32::from(key(1).destination());
    assert_eq!(&bridge.lookup(asked).unwrap(), key(1).destination());
}

#[test]
fn unknown_b32_is_temporary_unknown_name_permanent() {
    let b32 = key(0).destination().b32();
    for code in ["INVALID_KEY", "KEY_NOT_FOUND"] {
        let reply = format!("NAMING REPLY RESULT={code} NAME=it\n");
        let scripted = ScriptedBridge::answering(reply);
        let lookup = |name: &str| scripted.bridge().lookup(name).unwrap_err();
        let (hash, name) = (lookup(&b32.to_string()), lookup("nosuch.i2p"));
        assert!(hash.is_peer_fault() && hash.is_retryable(), "{hash}");
        assert!(name.is_peer_fault() && !name.is_retryable(), "{name}");
        assert_eq!(
            hash.to_string(),
            format!("looking up {b32} was refused: {code}: nobody with this address is online now")
        );
        assert_eq!(name.peer(), Some("nosuch.i2p"));
    }
}

#[test]
fn unknown_name_with_options_is_peer_fault() {
    let scripted = ScriptedBridge::answering("NAMING REPLY RESULT=KEY_NOT_FOUND NAME=nosuch.i2p\n");
    let error = scripted.bridge().lookup_record("nosuch.i2p");
    let error = error.unwrap_err();
    assert!(error.is_peer_fault(), "{error}");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn options_lookup_of_destination_asks_bridge() {
    let scripted = naming(" OPTION:a=b");
    let own = key(0);
    let found = scripted.bridge().lookup_record(own.destination());
    assert_eq!(found.unwrap().options().collect::<Vec<_>>(), [("a", "b")]);
    assert_eq!(scripted.connections(), 1);
}

#[test]
fn service_records_are_read_from_options() {
    let scripted = naming(
        " OPTION:_smtp._tcp=\"1 86400 0 5 25 \
         l7je557todvf27njrf5udjmwaeazbqjgv6vhzrcemfdw5qwknnoq.b32.i2p\" OPTION:_pop._tcp=\"?\"",
    );
    let found = scripted.bridge().lookup_record("mail.i2p").unwrap();
    let records: Vec<_> = found.services_of("smtp", "tcp").collect();
    let [Ok(record)] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(record.ttl(), Duration::from_secs(86400));
    let target = "l7je557todvf27njrf5udjmwaeazbqjgv6vhzrcemfdw5qwknnoq.b32.i2p:25";
    assert_eq!(record.target().to_string(), target);
    assert!(
        found
            .services_of("pop", "tcp")
            .all(|record| record.is_err())
    );
}

#[test]
fn option_with_unclosed_quote_is_protocol_error() {
    let scripted = naming(" OPTION:a=\"b");
    let outcome = scripted.bridge().lookup_record("a.i2p");
    assert!(matches!(outcome, Err(Error::Protocol { .. })));
}

#[test]
fn lookup_cache_is_off_by_default() {
    let scripted = naming("");
    let bridge = scripted.bridge();
    assert_eq!(&bridge.lookup("a.i2p").unwrap(), key(0).destination());
    assert_eq!(&bridge.lookup("a.i2p").unwrap(), key(1).destination());
}

#[test]
fn cached_name_is_shared_by_bridge_clones() {
    let scripted = naming("");
    let bridge = remembering(&scripted, 8);
    bridge.lookup("a.i2p:80").unwrap();
    let again = bridge.clone().lookup("A.i2p").unwrap();
    assert_eq!(&again, key(0).destination());
    assert_eq!(scripted.connections(), 1);
}

#[test]
fn lookup_cache_keeps_configured_capacity() {
    let scripted = naming("");
    let bridge = remembering(&scripted, 1);
    for name in ["a.i2p", "b.i2p", "b.i2p", "a.i2p"] {
        bridge.lookup(name).unwrap();
    }
    assert_eq!(scripted.connections(), 3);
}

#[test]
fn unknown_name_is_not_cached() {
    let scripted = ScriptedBridge::answering("NAMING REPLY RESULT=KEY_NOT_FOUND NAME=nosuch.i2p\n");
    let bridge = remembering(&scripted, 8);
    for _ in 0..2 {
        bridge.lookup("nosuch.i2p").unwrap_err();
    }
    assert_eq!(scripted.connections(), 2);
}

#[test]
fn options_lookup_bypasses_and_renews_cache() {
    let scripted = naming("");
    let bridge = remembering(&scripted, 8);
    bridge.lookup("a.i2p").unwrap();
    let found = bridge.lookup_record("a.i2p").unwrap();
    assert_eq!(found.destination(), key(1).destination());
    assert_eq!(&bridge.lookup("a.i2p").unwrap(), key(1).destination());
}

#[test]
fn cached_name_is_returned_during_other_lookup() {
    let (waiting, waits) = milestone();
    let scripted = ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(line) = visit.line() else { return };
        if field(&line, "NAME") == Some("slow.i2p") {
            waiting.reached();
            visit.rest();
            return;
        }
        let value = key(0).destination().to_base64();
        visit.say(&format!("NAMING REPLY RESULT=OK NAME=x VALUE={value}\n"));
    });
    let bridge = remembering(&scripted, 8);
    bridge.lookup("a.i2p").unwrap();
    let cancel = i2p_sam::Cancel::new();
    let slow = bridge.with_cancel(&cancel);
    let slow = in_background(move || slow.lookup("slow.i2p"));
    outcome(&waits);
    assert_eq!(&bridge.lookup("a.i2p").unwrap(), key(0).destination());
    cancel.cancel();
    assert!(matches!(outcome(&slow), Err(Error::Cancelled { .. })));
}

#[test]
fn user_commands_have_java_syntax() {
    let scripted = ScriptedBridge::answering("AUTH STATUS RESULT=OK\n");
    let bridge = scripted.bridge();
    bridge.auth().add("alice", "secret").unwrap();
    assert_eq!(
        last_command(&scripted),
        "AUTH ADD USER=alice PASSWORD=secret\n"
    );
    bridge.auth().enable().unwrap();
    assert_eq!(last_command(&scripted), "AUTH ENABLE\n");
    bridge.auth().remove("alice").unwrap();
    assert_eq!(last_command(&scripted), "AUTH REMOVE USER=alice\n");
    bridge.auth().disable().unwrap();
    assert_eq!(last_command(&scripted), "AUTH DISABLE\n");
}

#[test]
fn existing_user_is_refused() {
    let scripted = ScriptedBridge::answering(
        "AUTH STATUS RESULT=I2P_ERROR MESSAGE=\"user alice already exists\"\n",
    );
    let error = scripted.bridge().auth().add("alice", "secret").unwrap_err();
    let explanation = "user alice already exists".to_owned();
    assert_eq!(refused(error), (ResultCode::I2pError, explanation));
}

#[test]
fn removal_of_unknown_user_is_refused() {
    let scripted = ScriptedBridge::answering(
        "AUTH STATUS RESULT=I2P_ERROR MESSAGE=\"user nobody not found\"\n",
    );
    let error = scripted.bridge().auth().remove("nobody").unwrap_err();
    let explanation = "user nobody not found".to_owned();
    assert_eq!(refused(error), (ResultCode::I2pError, explanation));
}

#[test]
fn password_in_refusal_is_concealed() {
    let scripted = ScriptedBridge::answering(
        "AUTH STATUS RESULT=I2P_ERROR MESSAGE=\"hunter2 is too short\"\n",
    );
    let error = scripted.bridge().auth().add("joe", "hunter2").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[test]
fn invalid_users_are_refused_before_sending() {
    let scripted = ScriptedBridge::answering("AUTH STATUS RESULT=OK\n");
    let bridge = scripted.bridge();
    for (user, password) in [
        ("a\nb", "c"),
        ("a", "b\rc"),
        ("", "x"),
        ("a", ""),
        ("\0", "a"),
    ] {
        let outcome = bridge.auth().add(user, password);
        assert!(matches!(outcome, Err(Error::Command(_))), "{user:?}");
    }
    assert!(bridge.auth().remove("a\nQUIT").is_err());
    assert_eq!(scripted.connections(), 0);
}

#[test]
fn router_without_users_closes_connection() {
    // As i2pd and emissary do.
    let scripted = ScriptedBridge::start(|visit| {
        visit.greet();
        visit.line();
    });
    let outcome = scripted.bridge().auth().enable();
    assert!(matches!(outcome, Err(Error::UnexpectedEof { .. })));
}

#[test]
fn raw_request_returns_reply_of_any_result() {
    let bridge = TestBridge::start().unwrap();
    let command = Command::naming_lookup("nobody.i2p").unwrap();
    let reply = bridge.bridge().request(&command).unwrap();
    let message = reply.message();
    assert!(message.is("NAMING", "REPLY"));
    assert_eq!(message.result(), Some(ResultCode::KeyNotFound));
    let reply = bridge.bridge().request(&Command::new("FOO", "BAR"));
    assert!(reply.unwrap().message().is("FOO", "STATUS"));
}

#[test]
fn raw_request_conceals_key_in_reply() {
    let bridge = TestBridge::start().unwrap();
    let command = Command::dest_generate(7).unwrap();
    let reply = bridge.bridge().request(&command).unwrap();
    let key = reply.message().value("PRIV").unwrap().raw();
    assert!(key.len() > 500);
    let shown = format!("{reply:?}");
    assert!(
        !shown.contains(&key[..8]) && shown.contains("PRIV"),
        "{shown}"
    );
}

#[test]
fn raw_request_that_is_not_answered_fails() {
    for line in ["NAMING REPLY RESULT=OK NAM", ""] {
        let bridge = ScriptedBridge::start(move |visit| {
            visit.greet();
            visit.line();
            visit.say(line);
        });
        let command = Command::naming_lookup("a.i2p").unwrap();
        let error = bridge.bridge().request(&command).unwrap_err();
        assert!(
            matches!(error, Error::UnexpectedEof { .. }),
            "{line}: {error}"
        );
    }
}

#[test]
fn raw_request_is_sent_to_one_bridge_alone() {
    let closing = ScriptedBridge::start(|visit| {
        visit.greet();
        visit.line();
    });
    let other = TestBridge::start().unwrap();
    let bridges = SamBridge::builder().address(closing.address().to_string());
    let bridges = bridges.fallback(&other.bridge()).build().unwrap();
    let command = Command::naming_lookup("a.i2p").unwrap();
    let error = bridges.request(&command).unwrap_err();
    assert!(matches!(error, Error::UnexpectedEof { .. }), "{error}");
    assert_eq!(other.connections(), 0);
}
