//! Real i2pd routers, launched by the library.

#[path = "../routers/i2pd.rs"]
mod i2pd;

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use i2p_sam::router::{I2pd, I2pdBuilder, LaunchError};
use i2p_sam::{Error, SamBridge, StreamSession};
use i2pd::Installation;

const LONG: Duration = Duration::from_secs(120);

/// The variable with the arguments of a program that stands in for i2pd.
const ARGUMENTS: &str = "I2P_SAM_STAND_IN";

/// Replies to HELLO at the port in the arguments, until it is killed.
#[test]
#[ignore = "other tests start it, in the place of i2pd"]
fn child_serves_hello() {
    let Ok(arguments) = env::var(ARGUMENTS) else {
        return;
    };
    let mut arguments = arguments.split(' ');
    let port = arguments.find_map(|text| text.strip_prefix("--sam.port="));
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap().parse().unwrap())).unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.write_all(b"HELLO REPLY RESULT=OK VERSION=3.3\n");
        // It is closed after the bridge, so that no byte of the command is lost in a reset.
        let _ = stream.read_to_end(&mut Vec::new());
    }
}

/// Launches this program in the place of i2pd. The folder contains a script that starts it.
pub(crate) fn stand_in(adapt: impl FnOnce(I2pdBuilder) -> I2pdBuilder) -> (I2pd, Folder) {
    let folder = Folder::new("stand-in");
    let program = folder.0.join("i2pd");
    let exe = env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\n{ARGUMENTS}=\"$*\" exec '{}' --ignored --exact launch::child_serves_hello\n",
        exe.display()
    );
    // The shell writes it: a child that another test forks meanwhile would keep the file open for writing, and
    // the system refuses to run such a file.
    let mut shell = Command::new("sh");
    shell.args(["-c", "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\""]);
    assert!(shell.arg(&program).arg(script).status().unwrap().success());
    let builder = I2pd::builder().program(program).timeout(Some(LONG));
    (adapt(builder).launch().unwrap(), folder)
}

fn found(installation: Option<Installation>) -> Installation {
    installation.expect("no i2pd: tests/routers/fetch-i2pd provides it")
}

fn builder(installation: &Installation) -> I2pdBuilder {
    let builder = I2pd::builder().program(installation.program());
    builder.offline(true).timeout(Some(LONG))
}

/// A new folder, which is removed when this is dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("i2p-sam-{name}-{}-{serial}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn session(bridge: &SamBridge, installation: &Installation) -> StreamSession {
    let options = installation.session_options().iter();
    let builder = bridge.session().linger(Duration::ZERO);
    let builder = options.fold(builder, |builder, (name, value)| {
        builder.option(name, value)
    });
    builder.stream().unwrap()
}

/// Sends a word from one session of the router to another and back.
fn ping_pong(bridge: &SamBridge, installation: &Installation) {
    let (server, client) = thread::scope(|scope| {
        let server = scope.spawn(|| session(bridge, installation));
        let client = session(bridge, installation);
        (server.join().unwrap(), client)
    });
    let listener = server.listener().unwrap();
    let echo = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).unwrap();
        stream.write_all(&word).unwrap();
        stream.finish(LONG).unwrap();
    });
    let mut stream = client.connect(server.destination()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(b"PING").unwrap();
    let mut word = [0; 4];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"PING");
    drop(stream);
    echo.join().unwrap();
}

fn exists(id: u32) -> bool {
    let mut kill = Command::new("kill");
    kill.args(["-0", &id.to_string()]).stderr(Stdio::null());
    kill.status().unwrap().success()
}

fn check_that_it_serves_twice(installation: &Installation, name: &str) {
    let folder = Folder::new(name);
    let builder = builder(installation).data_dir(&folder.0);
    let router = builder.launch().unwrap();
    let (id, bridge) = (router.id(), router.bridge());
    ping_pong(&bridge, installation);
    router.stop();
    assert!(!router.is_running() && !exists(id));
    // i2pd ends with success if it had the time to end.
    assert!(router.wait(None).unwrap().unwrap().success());
    assert!(matches!(bridge.version(), Err(Error::Unreachable { .. })));
    drop(router);
    let keys = || fs::read(folder.0.join("router.keys")).unwrap();
    let identity = keys();
    let router = builder.launch().unwrap();
    assert_eq!(keys(), identity);
    ping_pong(&router.bridge(), installation);
}

#[test]
#[ignore = "it needs i2pd, and takes half a minute"]
fn new_i2pd_launched_twice_in_one_folder_serves() {
    check_that_it_serves_twice(&found(i2pd::I2pd::find_new()), "new");
}

#[test]
#[ignore = "it needs i2pd, and takes a minute"]
fn old_i2pd_launched_twice_in_one_folder_serves() {
    check_that_it_serves_twice(&found(i2pd::I2pd::find_old()), "old");
}

/// Starts i2pd as a user would, in a folder.
fn start(program: &Path, folder: &Path) -> process::Child {
    let log = folder.join("other.log");
    let mut command = Command::new(program);
    for (name, value) in [("datadir", folder), ("logfile", &log)] {
        command.arg(format!("--{name}={}", value.display()));
    }
    command.args([
        "--log=file",
        "--netid=77",
        "--address4=127.0.0.1",
        "--reseed.urls=http://127.0.0.1:1/",
        "--reseed.yggurls=http://127.0.0.1:1/",
        "--ssu2.enabled=false",
        "--sam.enabled=false",
        "--http.enabled=false",
        "--httpproxy.enabled=false",
        "--socksproxy.enabled=false",
    ]);
    command.spawn().unwrap()
}

#[test]
#[ignore = "it needs i2pd"]
fn folder_of_another_i2pd_is_refused() {
    for installation in [i2pd::I2pd::find_old(), i2pd::I2pd::find_new()].map(found) {
        let folder = Folder::new("shared");
        let mut other = start(installation.program(), &folder.0);
        let pid_file = folder.0.join("i2pd.pid");
        while fs::read_to_string(&pid_file).is_ok_and(|id| id.is_empty()) || !pid_file.exists() {
            assert!(other.try_wait().unwrap().is_none());
            thread::yield_now();
        }
        let outcome = builder(&installation).data_dir(&folder.0).launch();
        let (id, running) = (other.id(), other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
        assert!(running);
        match outcome.unwrap_err() {
            LaunchError::DataDirInUse { id: found, .. } => assert_eq!(found, Some(id)),
            error => panic!("{error}"),
        }
    }
}

#[test]
#[ignore = "it needs i2pd"]
fn unknown_argument_of_i2pd_is_in_the_error() {
    for installation in [i2pd::I2pd::find_old(), i2pd::I2pd::find_new()].map(found) {
        let error = builder(&installation)
            .arg("--bogus=1")
            .launch()
            .unwrap_err();
        let log = error.log().unwrap_or_default();
        assert!(log.contains("unrecognised option '--bogus=1'"), "{error}");
    }
}
