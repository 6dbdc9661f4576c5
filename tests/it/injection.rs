//! Whatever text a user passes, the bridge never receives a line that the crate did not intend: the
//! text is refused before anything is sent, or it arrives unchanged.

use i2p_sam::wire::{Command, CommandFault, Message};
use i2p_sam::{Error, SamBridge, SessionOptions};

use crate::support::{ScriptedBridge, Stage, eventually, key, outcome};

/// Texts with a meaning in a SAM line, at the start, in the middle and at the end.
fn evil() -> Vec<String> {
    let pieces = [
        "\n",
        "\r",
        "\r\n",
        "\0",
        "\"",
        "\\",
        "\\\"",
        "\" X=\"",
        " ",
        "\t",
        "=",
        " X=1",
        "\nQUIT\n",
        "\u{85}",
        "\u{2028}",
        "\u{a0}",
        "\u{b}",
        "\u{c}",
        "\u{7f}",
        "\u{1b}[2J",
    ];
    let around = |piece| {
        [
            format!("{piece}ab"),
            format!("a{piece}b"),
            format!("ab{piece}"),
        ]
    };
    pieces.into_iter().flat_map(around).collect()
}

/// Newlines and NUL cannot be sent in any form.
fn is_unsayable(text: &str) -> bool {
    text.contains(['\n', '\r', '\0'])
}

/// A bridge that greets with this version, creates sessions, refuses everything else, and reads to
/// the end.
fn bridge_speaking(version: &'static str) -> ScriptedBridge {
    ScriptedBridge::start(move |visit| {
        if visit.line().is_none() {
            return;
        }
        visit.say(&format!("HELLO REPLY RESULT=OK VERSION={version}\n"));
        while let Some(line) = visit.line() {
            match line.starts_with("SESSION CREATE") {
                true => visit.make_session(&line),
                false if line == "QUIT\n" => return,
                false => visit.say("STREAM STATUS RESULT=CANT_REACH_PEER\n"),
            }
        }
    })
}

/// Returns the lines of all connections that have ended.
fn all_received(bridge: &ScriptedBridge) -> Vec<String> {
    eventually("the bridge has heard it all", || {
        bridge.open_connections() == 0
    });
    bridge.received()
}

/// Returns the value of this pair, and checks that the line is one line.
fn said(line: &str, pair: &str) -> String {
    assert_eq!(
        line.find(['\n', '\r', '\0']),
        Some(line.len() - 1),
        "{line:?}"
    );
    let message = Message::parse(line.as_bytes()).unwrap();
    assert!(message.params().all(|param| param.is_ok()), "{line:?}");
    let value = message.value(pair);
    value
        .unwrap_or_else(|| panic!("no {pair} in {line:?}"))
        .unescape()
        .into_owned()
}

fn keys(line: &str) -> Vec<String> {
    let message = Message::parse(line.as_bytes()).unwrap();
    let keys = message
        .params()
        .map(|param| param.unwrap().key().to_owned());
    keys.collect()
}

#[test]
fn credentials_arrive_unchanged_or_are_refused() {
    for text in evil() {
        let bridge = bridge_speaking("3.3");
        for (user, password) in [(&*text, "secret"), ("joe", &*text)] {
            let builder = SamBridge::builder()
                .address(bridge.address().to_string())
                .credentials(user, password);
            if is_unsayable(&text) {
                let error = builder.build().unwrap_err();
                assert!(matches!(error, Error::Command(_)), "{text:?}: {error}");
                continue;
            }
            builder.build().unwrap().version().unwrap();
            let hello = all_received(&bridge).pop().unwrap();
            assert_eq!(said(&hello, "USER"), user);
            assert_eq!(said(&hello, "PASSWORD"), password);
            assert_eq!(keys(&hello), ["MIN", "MAX", "USER", "PASSWORD"]);
        }
        let expected = if is_unsayable(&text) { 0 } else { 2 };
        assert_eq!(all_received(&bridge).len(), expected, "{text:?}");
    }
}

/// Creates a session, and checks which lines the bridge received.
fn create(options: SessionOptions, version: &'static str) -> (Result<(), Error>, Vec<String>) {
    let bridge = bridge_speaking(version);
    let session = bridge.bridge().session().key(&key(7)).options(options);
    let outcome = session.stream().map(drop);
    (outcome, all_received(&bridge))
}

/// Exactly one HELLO, one SESSION CREATE and one QUIT.
fn the_create(received: &[String]) -> &str {
    let [hello, create, quit] = received else {
        panic!("{received:?}");
    };
    assert!(hello.starts_with("HELLO VERSION "));
    assert!(create.starts_with("SESSION CREATE "));
    assert_eq!(quit, "QUIT\n");
    create
}

#[test]
fn option_value_arrives_unchanged_or_is_refused() {
    for text in evil() {
        let options = SessionOptions::bare().option("custom.value", &text);
        let (outcome, received) = create(options, "3.3");
        match outcome {
            Ok(()) => {
                let create = the_create(&received);
                assert_eq!(said(create, "custom.value"), text);
                let wanted = ["STYLE", "ID", "DESTINATION", "custom.value"];
                assert_eq!(keys(create), wanted);
                assert!(!is_unsayable(&text));
            }
            Err(error) => {
                assert!(matches!(error, Error::Command(_)), "{text:?}: {error}");
                assert_eq!(received, [""; 0], "{text:?}");
            }
        }
    }
}

#[test]
fn invalid_option_name_is_refused_before_sending() {
    for text in evil() {
        let options = SessionOptions::bare().option(&text, "value");
        let (outcome, received) = create(options, "3.3");
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::Command(_)), "{text:?}: {error}");
        assert_eq!(received, [""; 0], "{text:?}");
    }
}

#[test]
fn reserved_option_names_are_refused() {
    for name in [
        "ID",
        "id",
        "STYLE",
        "DESTINATION",
        "SIGNATURE_TYPE",
        "SILENT",
    ] {
        let options = SessionOptions::bare().option(name, "x");
        let (outcome, received) = create(options, "3.3");
        let Err(Error::Command(error)) = outcome else {
            panic!("{name}: {outcome:?}");
        };
        assert_eq!(error.fault(), CommandFault::Reserved);
        assert_eq!(received, [""; 0]);
    }
}

#[test]
fn nickname_arrives_unchanged_or_is_refused() {
    for text in evil() {
        let bridge = bridge_speaking("3.3");
        let outcome = bridge.bridge().session().nickname(&text).stream().map(drop);
        let received = all_received(&bridge);
        match outcome {
            Ok(()) => {
                let create = the_create(&received);
                assert_eq!(said(create, "inbound.nickname"), text);
                // i2pd has no quotes.
                assert!(!create.contains('"'), "{create}");
            }
            Err(error) => {
                assert!(matches!(error, Error::Command(_)), "{text:?}: {error}");
                assert_eq!(received, [""; 0], "{text:?}");
            }
        }
    }
}

#[test]
fn values_needing_quotes_are_refused_without_quoting() {
    for text in ["a b", "a\"b", "a\\b", "\t"] {
        let options = || SessionOptions::bare().option("custom.value", text);
        let (outcome, received) = create(options(), "3.1");
        let Err(Error::Command(error)) = outcome else {
            panic!("{text:?}: {outcome:?}");
        };
        assert_eq!(error.fault(), CommandFault::Quotes, "{text:?}");
        assert_eq!(error.field(), "custom.value");
        assert_eq!(received.len(), 1, "{received:?}");
        let (outcome, received) = create(options(), "3.2");
        outcome.unwrap();
        assert_eq!(said(the_create(&received), "custom.value"), text);
    }
}

#[test]
fn overlong_command_is_refused_before_sending() {
    let long = "x".repeat(256);
    for options in [
        SessionOptions::bare().option("custom.value", &long),
        SessionOptions::bare().option(&long, "value"),
        SessionOptions::bare().nickname(&long),
        (0..40).fold(SessionOptions::bare(), |options, n| {
            options.option(&format!("custom.{n}"), &long[1..])
        }),
    ] {
        let (outcome, received) = create(options, "3.3");
        let Err(Error::Command(error)) = outcome else {
            panic!("{outcome:?}");
        };
        let fault = error.fault();
        assert!(matches!(fault, CommandFault::TooLong(_)), "{fault}");
        assert_eq!(received, [""; 0]);
    }
}

/// Addresses with each hostile text in the host name, before its suffix, in its port, and around a
/// whole destination.
fn evil_addresses() -> Vec<String> {
    let destination = key(5).destination().to_base64();
    let b32 = key(5).destination().b32().to_string();
    let places = |text: String| {
        [
            format!("{text}.i2p"),
            format!("www.{text}.i2p"),
            format!("stats.i2p{text}"),
            format!("stats.i2p:8{text}0"),
            format!("{text}{b32}"),
            format!("{b32}{text}"),
            format!("{}{text}{}", &b32[..20], &b32[20..]),
            format!("{destination}{text}"),
            format!("{}{text}{}", &destination[..100], &destination[100..]),
        ]
    };
    evil().into_iter().flat_map(places).collect()
}

#[test]
fn invalid_address_is_refused_before_sending() {
    let bridge = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        _ => visit.say("STREAM STATUS RESULT=OK\n"),
    });
    let session = bridge.bridge().session().stream().unwrap();
    for address in evil_addresses() {
        for outcome in [
            bridge.bridge().lookup(&*address).map(drop),
            session.lookup(&*address).map(drop),
            session.connect(&*address).map(drop),
            session.connect((&*address, 80)).map(drop),
            bridge.bridge().connect(&*address).map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::Address(_)), "{address:?}: {error}");
        }
    }
    assert_eq!(bridge.connections(), 1);
    assert_eq!(bridge.received().len(), 2);
}

#[test]
fn address_is_sent_as_one_line() {
    let bridge = bridge_speaking("3.3");
    let destination = key(5).destination().clone();
    let session = bridge.bridge().session().stream().unwrap();
    let addresses = [
        destination.to_base64(),
        destination.b32().to_string(),
        "XN--stats-_9.i2p".to_owned(),
    ];
    for address in &addresses {
        let error = session.connect((&**address, 80)).unwrap_err();
        assert!(error.is_peer_fault(), "{error}");
    }
    drop(session);
    let received = all_received(&bridge);
    let dials = received.iter().filter(|line| line.starts_with("STREAM"));
    for (line, address) in dials.zip(&addresses) {
        assert_eq!(said(line, "TO_PORT"), "80");
        assert!(address.eq_ignore_ascii_case(&said(line, "DESTINATION")));
        let wanted = ["ID", "DESTINATION", "SILENT", "TO_PORT"];
        assert_eq!(keys(line), wanted);
    }
    assert_eq!(received.len(), 3 + 2 * addresses.len());
}

#[test]
fn invalid_bridge_address_is_refused_before_resolving() {
    for text in evil() {
        for address in [
            format!("{text}:7656"),
            format!("local{text}host:7656"),
            format!("127.0.0.1{text}:7656"),
            format!("127.0.0.1:7656{text}"),
            format!("[::1]{text}:7656"),
        ] {
            let builder = SamBridge::builder();
            let as_tcp = builder.clone().address(&*address).build().unwrap_err();
            assert!(
                matches!(as_tcp, Error::InvalidConfig(_)),
                "{address:?}: {as_tcp}"
            );
            let as_udp = builder
                .address("127.0.0.1:1")
                .udp_address(&*address)
                .build();
            assert!(
                matches!(as_udp, Err(Error::InvalidConfig(_))),
                "{address:?}"
            );
        }
    }
}

/// Fields of commands that users cannot set through the rest of the crate.
#[test]
fn command_fields_make_one_line_or_none() {
    for text in evil() {
        for (pair, command) in [
            ("ID", Command::stream_accept(&text)),
            ("ID", Command::stream_connect(&text, "x.i2p", None, None)),
            (
                "DESTINATION",
                Command::stream_connect("id", &text, None, None),
            ),
            ("NAME", Command::naming_lookup(&text)),
        ] {
            match command {
                Ok(command) => assert_eq!(said(command.as_str(), pair), text),
                Err(error) => {
                    assert!(is_unsayable(&text), "{text:?}: {error}");
                    assert_eq!(error.field(), pair);
                }
            }
        }
        for command in [Command::ping(&text), Command::pong(&text)] {
            match command {
                Ok(command) => {
                    let message = Message::parse(command.as_bytes()).unwrap();
                    assert_eq!(message.text(), Some(&*text));
                }
                Err(_) => assert!(is_unsayable(&text), "{text:?}"),
            }
        }
    }
}

#[test]
fn ping_text_returns_as_one_line() {
    let (told, tells) = std::sync::mpsc::channel();
    let bridge = ScriptedBridge::router(move |visit, stage| {
        if let Stage::Session = stage {
            visit.say("PING 1\0QUIT\nPING \rQUIT\nPING a\rb\nPING 2\r\nPING \"\\ =3\n");
            let lines: Vec<_> = (0..2).filter_map(|_| visit.line()).collect();
            told.send(lines).unwrap();
            visit.until_quit();
        }
    });
    let session = bridge.bridge().session().stream().unwrap();
    // A line that cannot be repeated as one line is no PING of a router, and is ignored.
    let answers = outcome(&tells);
    assert_eq!(answers, ["PONG 2\n", "PONG \"\\ =3\n"]);
    assert_eq!(session.loss(), None);
}
