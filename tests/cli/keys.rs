use std::fs;

use i2p_sam::PrivateKey;
use i2p_sam::testing::TestBridge;

use crate::support::{Folder, run, sam};

#[test]
fn keygen_new_file_prints_address_and_no_key() {
    let (bridge, folder) = (TestBridge::start().unwrap(), Folder::new());
    let path = folder.file("new.key");
    let done = run(sam(&bridge, ["keygen"]).arg(&path));
    assert_eq!(done.code, Some(0), "{done:?}");
    let key = PrivateKey::load(&path).unwrap();
    assert_eq!(done.stdout, format!("{}\n", key.destination().b32()));
    let base64 = key.expose_base64();
    let secret = &base64[base64.len() - 40..];
    assert!(!done.stdout.contains(secret) && !done.stderr.contains(secret));
}

#[test]
fn keygen_json_names_file_and_address() {
    let (bridge, folder) = (TestBridge::start().unwrap(), Folder::new());
    let path = folder.file("new.key");
    let done = run(sam(&bridge, ["--json", "-q", "keygen"]).arg(&path));
    let address = PrivateKey::load(&path).unwrap().destination().b32();
    let expected = format!(
        "{{\"file\":\"{}\",\"b32\":\"{address}\"}}\n",
        path.display()
    );
    assert_eq!((done.code, done.stdout), (Some(0), expected));
    assert_eq!(done.stderr, "");
}

#[test]
fn keygen_existing_file_is_kept() {
    let (bridge, folder) = (TestBridge::start().unwrap(), Folder::new());
    let path = folder.file("old.key");
    fs::write(&path, "something else").unwrap();
    let done = run(sam(&bridge, ["keygen"]).arg(&path));
    assert_eq!(done.code, Some(6), "{done:?}");
    assert!(done.stderr.contains("exists already"), "{done:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "something else");
    assert_eq!(bridge.connections(), 0);
}

#[test]
fn keygen_without_file_is_usage_error() {
    let bridge = TestBridge::start().unwrap();
    let done = run(&mut sam(&bridge, ["keygen"]));
    assert_eq!(done.code, Some(2), "{done:?}");
    assert_eq!(bridge.connections(), 0);
}

#[test]
fn keygen_stdout_prints_whole_key() {
    let bridge = TestBridge::start().unwrap();
    let done = run(&mut sam(&bridge, ["keygen", "--stdout"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let key = PrivateKey::from_base64(done.stdout.trim_end()).unwrap();
    assert_eq!(done.stderr, format!("{}\n", key.destination().b32()));
}

#[test]
fn key_file_that_is_damaged_fails_without_its_content() {
    let (bridge, folder) = (TestBridge::start().unwrap(), Folder::new());
    let path = folder.file("damaged.key");
    fs::write(&path, "not-a-key-but-secret").unwrap();
    restrict(&path);
    let done = run(sam(&bridge, ["listen", "--key"]).arg(&path));
    assert_eq!(done.code, Some(6), "{done:?}");
    assert!(!done.stderr.contains("secret"), "{done:?}");
}

fn restrict(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn bridge_with_users_refuses_program_without_user() {
    let bridge = TestBridge::builder()
        .user("me", "open-sesame")
        .start()
        .unwrap();
    let done = run(&mut sam(&bridge, ["doctor"]));
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(done.stdout.contains("give --user"), "{done:?}");
}

#[test]
fn password_from_file_is_used_and_not_printed() {
    let (bridge, folder) = (
        TestBridge::builder()
            .user("me", "open-sesame")
            .start()
            .unwrap(),
        Folder::new(),
    );
    let path = folder.file("password");
    fs::write(&path, "open-sesame\r\n").unwrap();
    let done = run(sam(&bridge, ["doctor", "--user", "me", "--password-file"]).arg(&path));
    assert_eq!(done.code, Some(0), "{done:?}");
    fs::write(&path, "close-sesame").unwrap();
    let done = run(sam(&bridge, ["doctor", "--user", "me", "--password-file"]).arg(&path));
    assert_eq!(done.code, Some(3), "{done:?}");
    assert!(!format!("{done:?}").contains("sesame"), "{done:?}");
}

#[test]
fn password_from_environment_is_used() {
    let bridge = TestBridge::builder()
        .user("me", "open-sesame")
        .start()
        .unwrap();
    let mut command = sam(&bridge, ["doctor"]);
    command
        .env("I2P_SAM_USER", "me")
        .env("I2P_SAM_PASSWORD", "open-sesame");
    let done = run(&mut command);
    assert_eq!(done.code, Some(0), "{done:?}");
}

#[test]
fn user_without_password_is_usage_error() {
    let bridge = TestBridge::start().unwrap();
    let done = run(&mut sam(&bridge, ["doctor", "--user", "me"]));
    assert_eq!(done.code, Some(2), "{done:?}");
    assert_eq!(bridge.connections(), 0);
}
