use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use i2p_sam::testing::TestBridge;

use crate::support::{LIMIT, Running, closed_port, run, sam, sam_at};

#[test]
fn no_command_is_usage_error_with_help() {
    let done = run(&mut sam_at(closed_port(), [""; 0]));
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("Usage: sam"), "{done:?}");
}

#[test]
fn help_of_each_command_has_examples() {
    let commands = [
        "doctor", "keygen", "lookup", "get", "listen", "connect", "ping", "tunnel", "proxy",
        "bridge",
    ];
    for command in commands {
        let done = run(&mut sam_at(closed_port(), [command, "--help"]));
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(
            done.stdout.contains(&format!("Examples:\n  sam {command}")),
            "{done:?}"
        );
    }
}

#[test]
fn help_lists_exit_codes() {
    let done = run(&mut sam_at(closed_port(), ["--help"]));
    assert!(done.stdout.contains("Exit codes:\n  0    done"), "{done:?}");
}

#[test]
fn readme_shows_commands_and_examples_of_help() {
    let done = run(&mut sam_at(closed_port(), ["--help"]));
    let readme = include_str!("../../README.md");
    for start in ["Commands:\n", "Examples:\n"] {
        let (_, rest) = done.stdout.split_once(start).unwrap();
        let (section, _) = rest.split_once("\n\n").unwrap();
        assert!(readme.contains(section), "{section}");
    }
}

#[test]
fn completions_name_each_command() {
    for shell in ["bash", "zsh", "fish"] {
        let done = run(&mut sam_at(closed_port(), ["completions", shell]));
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(
            done.stdout.contains("doctor") && done.stdout.contains("proxy"),
            "{shell}"
        );
    }
}

#[test]
fn man_prints_page_of_command() {
    let done = run(&mut sam_at(closed_port(), ["man", "ping"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains(".TH sam-ping 1"), "{done:?}");
    assert_eq!(
        run(&mut sam_at(closed_port(), ["man", "nothing"])).code,
        Some(2)
    );
}

#[test]
fn bad_bridge_address_is_usage_error() {
    let done = run(&mut sam_at(
        closed_port(),
        ["doctor", "--bridge", "localhost"],
    ));
    assert_eq!(done.code, Some(2), "{done:?}");
}

#[test]
fn options_reach_the_session() {
    let bridge = TestBridge::start().unwrap();
    let arguments = [
        "doctor",
        "--tunnel-length",
        "1",
        "--tunnel-quantity",
        "3",
        "--option",
        "a.b=c",
    ];
    let done = run(sam(&bridge, arguments).env("I2P_SAM_OPTIONS", "d.e=f  g=h"));
    assert_eq!(done.code, Some(0), "{done:?}");
    let commands = bridge.commands();
    let create = commands
        .iter()
        .find(|command| command.starts_with("SESSION CREATE"))
        .unwrap();
    for option in [
        "inbound.length=1",
        "outbound.length=1",
        "inbound.quantity=3",
        "a.b=c",
        "d.e=f",
        "g=h",
    ] {
        assert!(create.split(' ').any(|word| word == option), "{option}");
    }
}

#[test]
fn timeout_of_zero_is_usage_error() {
    let bridge = TestBridge::start().unwrap();
    let done = run(&mut sam(&bridge, ["doctor", "--timeout", "0"]));
    assert_eq!(done.code, Some(2), "{done:?}");
}

#[test]
fn option_without_value_is_usage_error() {
    let bridge = TestBridge::start().unwrap();
    assert_eq!(
        run(&mut sam(&bridge, ["doctor", "--option", "a"])).code,
        Some(2)
    );
    let done = run(sam(&bridge, ["doctor"]).env("I2P_SAM_OPTIONS", "a"));
    assert_eq!(done.code, Some(2), "{done:?}");
}

/// Returns the address of a bridge that never creates a session, and a channel that reports the request.
fn bridge_without_tunnels() -> (std::net::SocketAddr, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requested) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().starts_with("HELLO"));
        stream
            .write_all(b"HELLO REPLY RESULT=OK VERSION=3.3\n")
            .unwrap();
        assert!(lines.next().unwrap().unwrap().starts_with("SESSION CREATE"));
        sender.send(()).unwrap();
        // It ends with the program.
        let _ = lines.next();
    });
    (address, requested)
}

#[test]
fn interrupt_ends_creation_of_session() {
    let (address, requested) = bridge_without_tunnels();
    let program = Running::start(&mut sam_at(address, ["listen"]));
    requested.recv_timeout(LIMIT).unwrap();
    program.interrupt();
    let done = program.finish();
    assert_eq!((done.code, &*done.stderr), (Some(130), ""));
}

#[test]
fn timeout_ends_creation_of_session_with_remedy() {
    let (address, _requested) = bridge_without_tunnels();
    let done = run(&mut sam_at(address, ["listen", "--timeout", "0.2"]));
    assert_eq!(done.code, Some(7), "{done:?}");
    assert!(
        done.stderr
            .contains("Remedy: the router could not build tunnels"),
        "{done:?}"
    );
}
