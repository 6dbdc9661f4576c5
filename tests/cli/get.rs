use std::process::Stdio;

use i2p_sam::testing::TestBridge;

use crate::support::{Done, Service, http, run, sam};

fn get(path: &str) -> Done {
    let bridge = TestBridge::start().unwrap();
    let _service = Service::start(&bridge, http).named(&bridge, "site.i2p");
    run(&mut sam(
        &bridge,
        ["get", &format!("http://site.i2p{path}")],
    ))
}

#[test]
fn get_page_writes_body_alone() {
    let done = get("/page");
    assert_eq!(
        (done.code, &*done.stdout, &*done.stderr),
        (Some(0), "hello", "")
    );
}

#[test]
fn get_missing_page_fails_with_status() {
    let done = get("/missing");
    assert_eq!((done.code, &*done.stdout), (Some(1), "none"), "{done:?}");
    assert!(done.stderr.contains("404 Not Found"), "{done:?}");
}

#[test]
fn get_redirect_names_its_target() {
    let done = get("/moved");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.stderr.contains("http://new.i2p/"), "{done:?}");
}

#[test]
fn get_cut_body_fails() {
    let done = get("/cut");
    assert_eq!((done.code, &*done.stdout), (Some(4), "hello"), "{done:?}");
    assert!(
        done.stderr.contains("before the end of its reply"),
        "{done:?}"
    );
}

#[test]
fn get_without_reply_fails() {
    let done = get("/nothing");
    assert_eq!((done.code, &*done.stdout), (Some(4), ""), "{done:?}");
    assert!(done.stderr.contains("without a reply"), "{done:?}");
}

#[test]
fn get_large_page_is_complete() {
    let done = get("/large");
    assert_eq!((done.code, done.stdout.len()), (Some(0), 1 << 20));
}

#[test]
fn get_sends_host_and_path() {
    let done = get("/head");
    let expected = "GET /head HTTP/1.0\r\nHost: site.i2p\r\nConnection: close\r\n\r\n";
    assert_eq!((done.code, &*done.stdout), (Some(0), expected));
}

#[test]
fn get_unknown_host_is_not_found() {
    let bridge = TestBridge::start().unwrap();
    let done = run(&mut sam(&bridge, ["get", "http://unknown.i2p/"]));
    assert_eq!(done.code, Some(5), "{done:?}");
}

#[test]
fn get_outside_of_i2p_is_usage_error() {
    let bridge = TestBridge::start().unwrap();
    for url in ["http://example.com/", "https://site.i2p/", "site.i2p"] {
        let done = run(&mut sam(&bridge, ["get", url]));
        assert_eq!(done.code, Some(2), "{done:?}");
    }
    assert_eq!(bridge.connections(), 0);
}

#[test]
fn closed_output_is_no_failure() {
    let bridge = TestBridge::start().unwrap();
    let _service = Service::start(&bridge, http).named(&bridge, "site.i2p");
    let mut command = sam(&bridge, ["get", "http://site.i2p/large"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}
