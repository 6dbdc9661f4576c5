//! The replay itself, against scripted bridges.

use std::net::UdpSocket;
use std::thread;

use super::*;
use crate::support::{ScriptedBridge, Visit};

const FILES: [(&str, &str); 5] = [
    ("java.sam", include_str!("../transcripts/java.sam")),
    (
        "java_slow.sam",
        include_str!("../transcripts/java_slow.sam"),
    ),
    (
        "java_router_gone.sam",
        include_str!("../transcripts/java_router_gone.sam"),
    ),
    ("i2pd.sam", include_str!("../transcripts/i2pd.sam")),
    ("emissary.sam", include_str!("../transcripts/emissary.sam")),
];

/// A bridge of which a script serves each connection, and which sends each datagram back.
struct Fake {
    bridge: ScriptedBridge,
    udp: SocketAddr,
}

impl Fake {
    fn start(script: impl Fn(&mut Visit<'_, '_>) + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp = socket.local_addr().unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 2000];
            let (len, from) = socket.recv_from(&mut bytes).unwrap();
            socket.send_to(&bytes[..len], from).unwrap();
        });
        let bridge = ScriptedBridge::start(script);
        Self { bridge, udp }
    }
}

impl Bridge for Fake {
    fn tcp(&self) -> SocketAddr {
        self.bridge.address()
    }

    fn udp(&self) -> SocketAddr {
        self.udp
    }

    fn lose_router(&self) {}

    fn open_connections(&self) -> usize {
        self.bridge.open_connections()
    }

    fn add_host(&self, _: &str, _: &Destination) {}
}

/// Greets, and answers each line with the line itself, without its first word.
fn echo(visit: &mut Visit<'_, '_>) {
    visit.greet();
    while let Some(line) = visit.line() {
        match line.split_once(' ').unwrap() {
            ("end", text) => return visit.say(text.trim_end()),
            (_, text) => visit.say(text),
        }
    }
}

/// Replays the steps of one scenario to `echo`.
fn differences(steps: &str) -> Vec<String> {
    let source = format!("greeting HELLO REPLY RESULT=OK VERSION=3.3\n== One\n{steps}");
    replay("one.sam", &source, Duration::from_millis(300), |_| {
        Fake::start(echo)
    })
}

#[test]
fn recording_of_each_router_is_readable() {
    for (file, source) in FILES {
        let script = Script::parse(source).unwrap_or_else(|error| panic!("{file}:{error}"));
        assert!(
            script.greeting.starts_with("HELLO REPLY RESULT=OK"),
            "{file}"
        );
        let titles = script.scenarios.iter().map(|scenario| &scenario.title);
        assert!(!script.scenarios.is_empty(), "{file}");
        for (at, title) in titles.clone().enumerate() {
            assert!(
                !titles.clone().skip(at + 1).any(|other| other == title),
                "{title}"
            );
        }
    }
}

#[test]
fn exchange_as_recorded_has_no_difference() {
    let steps = "a> say STATUS RESULT=OK\na< STATUS RESULT=OK\na# silence\n\
                 b> end of it\nb<| of it\nb# eof\nu udp> hello\nu udp< hello\nu udp# silence\n";
    assert_eq!(differences(steps), [""; 0]);
}

#[test]
fn other_text_is_a_difference_with_its_line() {
    let found = differences("a> say STATUS RESULT=OK\na< STATUS RESULT=\"OK\"\n");
    assert_eq!(
        found,
        ["one.sam:4 expected a< STATUS RESULT=\"OK\", got STATUS RESULT=OK"]
    );
}

#[test]
fn newline_instead_of_none_is_a_difference() {
    let found = differences("a> say it\na<| it\na# silence\n");
    assert_eq!(found, ["one.sam:5 expected a# silence, got \\n"]);
}

#[test]
fn no_newline_instead_of_one_is_a_difference() {
    let found = differences("a> end it\na< it\n");
    assert_eq!(
        found,
        ["one.sam:4 expected a< it, got it without a newline, eof"]
    );
}

#[test]
fn reply_instead_of_silence_is_a_difference() {
    let found = differences("a> say it\na# silence\na< it\n");
    assert_eq!(found, ["one.sam:4 expected a# silence, got it\\n"]);
}

#[test]
fn silence_instead_of_a_reply_is_a_difference() {
    let found = differences("a>| say it\na< it\n");
    assert_eq!(found, ["one.sam:4 expected a< it, got silence"]);
}

#[test]
fn open_connection_instead_of_its_end_is_a_difference() {
    let found = differences("a> say it\na< it\na# eof\n");
    assert_eq!(found, ["one.sam:5 expected a# eof, got silence"]);
}

#[test]
fn text_that_is_not_recorded_is_a_difference() {
    let found = differences("a> say it\na<| i\n");
    assert_eq!(found, ["one.sam:4 expected a# nothing more, got t\\n"]);
}

#[test]
fn other_greeting_is_a_difference() {
    let found = replay(
        "one.sam",
        "greeting HELLO\n== One\na> say x\na< x\n",
        PATIENCE,
        |_| Fake::start(echo),
    );
    assert_eq!(
        found,
        ["one.sam:3 expected a> say x, got at the greeting HELLO REPLY RESULT=OK VERSION=3.3"]
    );
}

#[test]
fn key_of_the_bridge_is_the_same_from_then_on() {
    let steps = "a> say KEY={priv MINE}\na< KEY={priv? ITS}\na> say {dest ITS}\na< {dest MINE}\n\
                 a> say {dest MINE} {priv MINE}\na< {dest? PAIR 524 AEAAcAAA==} {priv? PAIR 908}\n";
    assert_eq!(differences(steps), [""; 0]);
}

#[test]
fn other_key_is_a_difference() {
    let found =
        differences("a> say {dest ONE}\na< {dest TWO}\na> say x\na< {dest? THREE 524 A==}\n");
    assert_eq!(
        found,
        [
            "one.sam:4 expected a< {dest TWO}, got {524 of base64}",
            "one.sam:6 expected a< {dest? THREE 524 A==}, got x"
        ]
    );
}

#[test]
fn private_key_of_another_destination_is_a_difference() {
    let found = differences("a> say {dest ONE} {priv TWO}\na< {dest? PAIR} {priv? PAIR}\n");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn free_text_and_numbers_match_anything() {
    let steps = "a> say PING 1795\na< PING {num? N}\na> say PONG {num N}\na< PONG 1795\n\
                 a> say a long text=x\na< a {any}=x\na> say {x*5000}\na< {x*4000}{any}\n";
    assert_eq!(differences(steps), [""; 0]);
}

#[test]
fn range_of_names_is_a_connection_each() {
    assert_eq!(
        differences("a0..9> say x\na0..9< x\na7# silence\n"),
        [""; 0]
    );
}

#[test]
fn known_difference_that_is_gone_fails() {
    let gone = std::panic::catch_unwind(|| assert_known(&[], &[("a", "a reason")]));
    let new = std::panic::catch_unwind(|| assert_known(&["b".into()], &[]));
    assert!(gone.is_err() && new.is_err());
    assert_known(&["b".into()], &[("b", "a reason")]);
}
