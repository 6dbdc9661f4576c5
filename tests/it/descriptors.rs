//! A process without free descriptors reports its limit, and not an unreachable bridge.
//!
//! Each test runs this program again as a child process that may open few descriptors. The bridges
//! here accept one connection at a time, since a wait for the next would need a descriptor.

#![cfg(unix)]

use std::env;
use std::error::Error as _;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use i2p_sam::{DatagramStyle, Error, Phase, SamBridge, StreamSession};

use crate::support::{LONG, key};

/// Set in the child process.
const FEW: &str = "I2P_SAM_TEST_FEW_DESCRIPTORS";

const HELLO: &str = "HELLO REPLY RESULT=OK VERSION=3.3\n";

/// Runs the test of this name in a process that may open 64 descriptors.
fn with_few_descriptors(name: &str, test: impl FnOnce()) {
    if env::var_os(FEW).is_some() {
        return test();
    }
    let mut again = Command::new("sh");
    again.args([
        "-c",
        "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture",
    ]);
    let program = env::current_exe().unwrap();
    let test = format!("descriptors::{name}");
    let output = again.arg(program).arg(test).env(FEW, "1").output().unwrap();
    let (out, err) = (&output.stdout, &output.stderr);
    let shown = String::from_utf8_lossy(out) + String::from_utf8_lossy(err);
    assert!(
        output.status.success() && shown.contains("1 passed"),
        "{shown}"
    );
}

/// Opens files until the system refuses.
fn all_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// Accepts one connection, and answers one line with each of these replies.
fn answer_one(listener: &TcpListener, replies: &[&str]) -> TcpStream {
    let (mut socket, _) = listener.accept().unwrap();
    let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
    for reply in replies {
        lines.next().unwrap().unwrap();
        socket.write_all(reply.as_bytes()).unwrap();
    }
    socket
}

/// Returns a session, and the bridge's end of its control socket.
fn session(bridge: &SamBridge, listener: &TcpListener) -> (StreamSession, TcpStream) {
    let private = key(1).expose_base64();
    let made = format!("SESSION STATUS RESULT=OK DESTINATION={private}\n");
    thread::scope(|scope| {
        let control = scope.spawn(|| answer_one(listener, &[HELLO, &made]));
        let session = bridge.session().stream().unwrap();
        (session, control.join().unwrap())
    })
}

#[test]
fn exhausted_descriptors_name_limit_and_remedy() {
    let name = "exhausted_descriptors_name_limit_and_remedy";
    with_few_descriptors(name, || {
        let (listener, address) = listener();
        let bridge = SamBridge::new(&address).unwrap();
        let (session, _control) = session(&bridge, &listener);
        let _all = all_descriptors();
        for error in [
            bridge.version().unwrap_err(),
            bridge.lookup("peer.i2p").unwrap_err(),
            session.connect("peer.i2p").unwrap_err(),
            session.listener().unwrap_err(),
            session.forward().unwrap_err(),
            bridge
                .session()
                .datagram(DatagramStyle::Datagram)
                .unwrap_err(),
        ] {
            assert!(matches!(error, Error::Io { .. }), "{error:?}");
            assert!(error.to_string().contains("ulimit -n"), "{error}");
            assert!(error.source().is_some() && error.is_retryable(), "{error}");
            assert_eq!(error.kind(), ErrorKind::Other);
        }
    });
}

#[test]
fn exhausted_descriptors_are_not_unknown_name() {
    let name = "exhausted_descriptors_are_not_unknown_name";
    with_few_descriptors(name, || {
        let (listener, _) = listener();
        let port = listener.local_addr().unwrap().port();
        let bridge = SamBridge::new(&format!("localhost:{port}")).unwrap();
        let _all = all_descriptors();
        let error = bridge.version().unwrap_err();
        let source = error.source().map(ToString::to_string);
        assert!(
            error.to_string().contains("ulimit -n"),
            "{error}: {source:?}"
        );
    });
}

#[test]
fn exhausted_descriptors_cause_no_failover() {
    let name = "exhausted_descriptors_cause_no_failover";
    with_few_descriptors(name, || {
        let ((first, address), (second, spare)) = (listener(), listener());
        let spare = SamBridge::new(&spare).unwrap();
        let builder = SamBridge::builder().address(address).fallback(&spare);
        let bridge = builder.build().unwrap();
        let all = all_descriptors();
        let error = bridge.version().unwrap_err();
        assert_eq!(error.phase(), Some(Phase::Connect));
        assert!(matches!(error, Error::Io { .. }), "{error}");
        drop(all);
        let (greeted, greeting) = mpsc::channel();
        thread::spawn(move || {
            answer_one(&first, &[HELLO]);
            greeted.send(()).unwrap();
        });
        thread::spawn(move || bridge.version());
        greeting.recv_timeout(LONG).unwrap();
        second.set_nonblocking(true).unwrap();
        assert_eq!(second.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}
