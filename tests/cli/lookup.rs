use i2p_sam::testing::{Profile, TestBridge};

use crate::support::{Service, run, sam, shout};

#[test]
fn lookup_known_name_prints_address() {
    let bridge = TestBridge::start().unwrap();
    let service = Service::start(&bridge, shout).named(&bridge, "known.i2p");
    let done = run(&mut sam(&bridge, ["lookup", "known.i2p"]));
    assert_eq!(
        (done.code, done.stdout),
        (Some(0), format!("{}\n", service.address()))
    );
    assert_eq!(done.stderr, "");
}

#[test]
fn lookup_full_prints_destination() {
    let bridge = TestBridge::start().unwrap();
    let service = Service::start(&bridge, shout).named(&bridge, "known.i2p");
    let done = run(&mut sam(&bridge, ["lookup", "--full", "known.i2p"]));
    let found = i2p_sam::Destination::from_base64(done.stdout.trim_end()).unwrap();
    assert_eq!(found.b32().to_string(), service.address());
}

#[test]
fn lookup_json_has_address_and_options() {
    let bridge = TestBridge::start().unwrap();
    let service = Service::start(&bridge, shout);
    let destination = bridge.bridge().lookup(&*service.address()).unwrap();
    let name = "mail.i2p".parse().unwrap();
    bridge.add_host_with(&name, &destination, &[("_smtp._tcp", "0 86400 25")]);
    let done = run(&mut sam(&bridge, ["lookup", "mail.i2p", "--json"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let start = format!(
        r#"{{"name":"mail.i2p","b32":"{}","destination":""#,
        service.address()
    );
    assert!(done.stdout.starts_with(&start), "{done:?}");
    let end = r#""options":[{"name":"_smtp._tcp","value":"0 86400 25"}]}"#;
    assert!(done.stdout.trim_end().ends_with(end), "{done:?}");
}

#[test]
fn lookup_unknown_name_is_not_found() {
    let bridge = TestBridge::start().unwrap();
    let done = run(&mut sam(&bridge, ["lookup", "unknown.i2p"]));
    assert_eq!((done.code, &*done.stdout), (Some(5), ""), "{done:?}");
    assert!(
        done.stderr
            .starts_with("sam: looking up unknown.i2p was refused"),
        "{done:?}"
    );
    assert!(
        done.stderr.contains("\nRemedy: check the spelling"),
        "{done:?}"
    );
}

#[test]
fn lookup_at_emissary_makes_a_session() {
    let bridge = TestBridge::builder()
        .profile(Profile::Emissary)
        .start()
        .unwrap();
    let service = Service::start(&bridge, shout).named(&bridge, "known.i2p");
    let done = run(&mut sam(&bridge, ["lookup", "known.i2p"]));
    assert_eq!(
        (done.code, done.stdout),
        (Some(0), format!("{}\n", service.address()))
    );
}

#[test]
fn lookup_of_no_address_is_usage_error() {
    let bridge = TestBridge::start().unwrap();
    let done = run(&mut sam(&bridge, ["lookup", "example.com"]));
    assert_eq!(done.code, Some(2), "{done:?}");
    assert_eq!(bridge.connections(), 0);
}
