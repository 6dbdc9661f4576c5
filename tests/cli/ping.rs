use i2p_sam::testing::{Fault, TestBridge};

use crate::support::{Running, Service, run, sam, shout};

fn quiet_service(bridge: &TestBridge) -> Service {
    Service::start(bridge, drop)
}

#[test]
fn ping_prints_each_dial_and_statistics() {
    let bridge = TestBridge::start().unwrap();
    let service = quiet_service(&bridge);
    let done = run(&mut sam(
        &bridge,
        ["ping", "-c", "3", "-i", "0", &service.address()],
    ));
    assert_eq!(done.code, Some(0), "{done:?}");
    let lines: Vec<&str> = done.stdout.lines().collect();
    let [first, second, third, sum] = lines.as_slice() else {
        panic!("{done:?}");
    };
    for (number, line) in [first, second, third].into_iter().enumerate() {
        assert!(
            line.starts_with(&format!("{}: ", number + 1)) && line.ends_with(" ms"),
            "{line}"
        );
    }
    assert!(
        sum.starts_with("3 of 3 dials succeeded; shortest, average and longest: "),
        "{sum}"
    );
}

#[test]
fn ping_counts_failed_dials() {
    let bridge = TestBridge::start().unwrap();
    let service = quiet_service(&bridge);
    bridge.inject(
        "STREAM CONNECT",
        Fault::reply("STREAM STATUS RESULT=CANT_REACH_PEER\n"),
    );
    let done = run(&mut sam(
        &bridge,
        ["ping", "-c", "2", "-i", "0", &service.address()],
    ));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("1 of 2 dials succeeded"), "{done:?}");
    assert!(done.stdout.contains("CANT_REACH_PEER"), "{done:?}");
}

#[test]
fn ping_without_success_fails() {
    let bridge = TestBridge::start().unwrap();
    let done = run(&mut sam(
        &bridge,
        ["ping", "-c", "2", "-i", "0", "unknown.i2p"],
    ));
    assert_eq!(done.code, Some(5), "{done:?}");
    assert!(
        done.stdout.ends_with("0 of 2 dials succeeded\n"),
        "{done:?}"
    );
}

#[test]
fn ping_json_has_times() {
    let bridge = TestBridge::start().unwrap();
    let service = Service::start(&bridge, shout).named(&bridge, "known.i2p");
    let done = run(&mut sam(
        &bridge,
        ["--json", "ping", "-c", "2", "-i", "0", "known.i2p"],
    ));
    drop(service);
    let start = r#"{"destination":"known.i2p","dials":2,"succeeded":2,"times_ms":["#;
    assert!(done.stdout.starts_with(start), "{done:?}");
    assert!(
        done.stdout.trim_end().ends_with(r#","error":null}"#),
        "{done:?}"
    );
}

#[test]
fn interrupt_prints_statistics_so_far() {
    let bridge = TestBridge::start().unwrap();
    let service = quiet_service(&bridge);
    let ping = Running::start(&mut sam(
        &bridge,
        ["ping", "-i", "1000", &service.address()],
    ));
    assert!(ping.line().starts_with("1: "));
    ping.interrupt();
    let done = ping.finish();
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.stdout.starts_with("1 of 1 dials succeeded"),
        "{done:?}"
    );
}
