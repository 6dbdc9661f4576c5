use std::io::Write;
use std::net::TcpListener;
use std::thread;

use i2p_sam::testing::{Fault, Profile, TestBridge};

use crate::support::{closed_port, run, sam, sam_at};

fn names_router(profile: Profile, name: &str) {
    let bridge = TestBridge::builder().profile(profile).start().unwrap();
    let done = run(&mut sam(&bridge, ["doctor"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let router = done.stdout.lines().nth(1).unwrap();
    assert!(
        router.starts_with(&format!("✓ router: {name}, by its behaviour")),
        "{router}"
    );
    assert_eq!(done.stdout.matches('✓').count(), 5, "{done:?}");
    assert_eq!(done.stderr, "");
}

#[test]
fn doctor_at_java_passes_all_steps() {
    names_router(Profile::Java, "Java I2P");
}

#[test]
fn doctor_at_i2pd_passes_all_steps() {
    names_router(Profile::I2pd, "i2pd");
}

#[test]
fn doctor_at_old_i2pd_passes_all_steps() {
    names_router(Profile::I2pd245, "i2pd 2.45 or another old version");
}

#[test]
fn doctor_at_emissary_passes_all_steps() {
    names_router(Profile::Emissary, "emissary");
}

#[test]
fn doctor_without_bridge_shows_remedy() {
    let address = closed_port();
    let done = run(&mut sam_at(address, ["doctor"]));
    assert_eq!(done.code, Some(3), "{done:?}");
    let lines: Vec<&str> = done.stdout.lines().collect();
    let [fault, remedy, rest] = lines.as_slice() else {
        panic!("{done:?}");
    };
    assert!(
        fault.starts_with(&format!("✗ bridge: no SAM bridge answers at {address}: ")),
        "{fault}"
    );
    assert!(
        remedy.starts_with("  Remedy: start an I2P router with SAM switched on"),
        "{remedy}"
    );
    assert_eq!(*rest, "- not tried: router, session, dialler, stream");
}

#[test]
fn doctor_json_has_each_step() {
    let bridge = TestBridge::start().unwrap();
    let done = run(&mut sam(&bridge, ["doctor", "--json"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let start = format!(
        r#"{{"bridge":"{}","ok":true,"steps":[{{"step":"bridge","ok":true,"#,
        bridge.address()
    );
    assert!(done.stdout.starts_with(&start), "{done:?}");
    assert_eq!(done.stdout.matches(r#""ok":true"#).count(), 6, "{done:?}");
    assert_eq!(done.stdout.lines().count(), 1);
}

#[test]
fn doctor_json_without_bridge_has_remedy() {
    let done = run(&mut sam_at(closed_port(), ["--json", "doctor"]));
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(
        done.stdout
            .contains(r#""ok":false,"steps":[{"step":"bridge","ok":false"#),
        "{done:?}"
    );
    assert!(
        done.stdout.contains(r#""remedy":"start an I2P router"#),
        "{done:?}"
    );
}

#[test]
fn doctor_examines_each_of_two_bridges() {
    let bridge = TestBridge::start().unwrap();
    let both = format!("{},{}", closed_port(), bridge.address());
    let done = run(&mut sam(&bridge, ["doctor", "--bridge", &both]));
    assert_eq!(done.code, Some(3), "{done:?}");
    assert_eq!(done.stdout.matches("✗").count(), 1, "{done:?}");
    assert_eq!(done.stdout.matches("✓").count(), 5, "{done:?}");
}

#[test]
fn doctor_at_another_service_shows_remedy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let done = run(&mut sam_at(address, ["doctor"]));
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(
        done.stdout
            .contains("Remedy: check that the address is that of a SAM bridge"),
        "{done:?}"
    );
}

#[test]
fn doctor_without_tunnels_shows_remedy() {
    let bridge = TestBridge::start().unwrap();
    bridge.inject(
        "SESSION CREATE",
        Fault::reply("SESSION STATUS RESULT=I2P_ERROR MESSAGE=tunnels\n"),
    );
    let done = run(&mut sam(&bridge, ["doctor"]));
    assert_eq!(done.code, Some(7), "{done:?}");
    assert!(done.stdout.contains("✗ session: "), "{done:?}");
    assert!(
        done.stdout
            .contains("Remedy: the router could not build tunnels"),
        "{done:?}"
    );
    assert!(
        done.stdout.ends_with("- not tried: dialler, stream\n"),
        "{done:?}"
    );
}

#[test]
fn doctor_refused_dial_fails_at_stream() {
    let bridge = TestBridge::start().unwrap();
    bridge.inject(
        "STREAM CONNECT",
        Fault::reply("STREAM STATUS RESULT=I2P_ERROR\n"),
    );
    let done = run(&mut sam(&bridge, ["doctor"]));
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(done.stdout.contains("✗ stream: "), "{done:?}");
    assert!(!done.stdout.contains("not tried"), "{done:?}");
}
