//! Launches of programs that behave as i2pd does: shell scripts, of which some become this test program again.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::router::data_dir::Scratch;
use crate::router::{I2pdBuilder, LaunchError, LaunchStep};
use crate::sync::Cancel;

const LONG: Duration = Duration::from_secs(30);

/// The variable with the arguments of a program that becomes this one.
const ARGUMENTS: &str = "I2P_SAM_FAKE_I2PD";

/// A script in the place of i2pd.
struct Fake {
    folder: Scratch,
}

impl Fake {
    /// Creates the script; `$here` is its folder, and `serve` becomes a program with a SAM bridge.
    fn new(body: &str) -> Self {
        let folder = Scratch::create().unwrap();
        let exe = env::current_exe().unwrap();
        let test = "router::i2pd::tests::child_serves_hello";
        let script = format!(
            "#!/bin/sh\nhere=$(dirname \"$0\")\n\
             for argument; do case $argument in --logfile=*) log=${{argument#*=}};; esac; done\n\
             all=\"$*\"\n\
             serve() {{ {ARGUMENTS}=\"$all\" exec '{}' --ignored --exact {test}; }}\n{body}\n",
            exe.display(),
        );
        let fake = Self { folder };
        // The shell writes it: a child that another test forks meanwhile would keep the file open for writing,
        // and the system refuses to run such a file.
        let write = "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\"";
        let mut shell = Command::new("sh");
        shell.args(["-c", write]).arg(fake.program()).arg(script);
        assert!(shell.status().unwrap().success());
        fake
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("i2pd")
    }

    fn builder(&self) -> I2pdBuilder {
        I2pd::builder().program(self.program()).timeout(Some(LONG))
    }
}

/// Returns true if a process has this id.
fn exists(id: u32) -> bool {
    let mut kill = Command::new("kill");
    kill.args(["-0", &id.to_string()]).stderr(Stdio::null());
    kill.status().unwrap().success()
}

/// Replies to HELLO at the port in the arguments, until it is killed.
#[test]
#[ignore = "the other tests start it, in the place of i2pd"]
fn child_serves_hello() {
    let Ok(arguments) = env::var(ARGUMENTS) else {
        return;
    };
    let mut arguments = arguments.split(' ');
    let port = arguments.find_map(|text| text.strip_prefix("--sam.port="));
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap().parse().unwrap())).unwrap();
    let mut open = Vec::new();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        BufReader::new(&stream)
            .read_line(&mut String::new())
            .unwrap();
        let _ = stream.write_all(b"HELLO REPLY RESULT=OK VERSION=3.3\n");
        open.push(stream);
    }
}

#[test]
fn program_missing_fails() {
    let outcome = I2pd::builder().program("/no/such/i2pd").launch();
    assert!(
        matches!(outcome, Err(LaunchError::Program { .. })),
        "{outcome:?}"
    );
}

#[test]
fn program_that_ends_fails_with_its_output_and_log() {
    let fake = Fake::new("echo 'the log' >\"$log\"; echo 'the output' >&2; exit 3");
    let error = fake.builder().launch().unwrap_err();
    let LaunchError::Exited { status, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(status.code(), Some(3));
    assert_eq!(error.log(), Some("the output\nthe log"));
    assert!(
        error.to_string().ends_with("the output\nthe log"),
        "{error}"
    );
}

#[test]
fn program_that_serves_is_launched_and_stopped() {
    let fake = Fake::new("serve");
    let router = fake.builder().launch().unwrap();
    let (id, bridge) = (router.id(), router.bridge());
    assert!(router.is_running() && exists(id));
    assert_eq!(bridge.version().unwrap(), crate::Version::V3_3);
    let folder = router.data_dir().to_owned();
    router.stop();
    assert!(!router.is_running() && !exists(id));
    assert!(matches!(bridge.version(), Err(Error::Unreachable { .. })));
    assert!(router.wait(None).unwrap().is_some());
    drop(router);
    assert!(!folder.exists());
}

#[test]
fn router_dropped_is_gone() {
    let fake = Fake::new("serve");
    let router = fake.builder().launch().unwrap();
    let id = router.id();
    drop(router);
    assert!(!exists(id));
}

#[test]
fn router_of_panicking_thread_is_gone() {
    let fake = Fake::new("serve");
    let builder = fake.builder();
    let (sender, ids) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let router = builder.launch().unwrap();
        sender.send(router.id()).unwrap();
        panic!("the program fails");
    });
    assert!(thread.join().is_err());
    assert!(!exists(ids.recv().unwrap()));
}

#[test]
fn steps_are_reported_in_order() {
    let fake = Fake::new("serve");
    let (sender, steps) = mpsc::channel();
    let builder = fake.builder();
    let router = builder
        .on_progress(move |step| sender.send(step.clone()).unwrap())
        .launch()
        .unwrap();
    let program = fake.program();
    let data_dir = router.data_dir().to_owned();
    let started = LaunchStep::Started { id: router.id() };
    let starting = LaunchStep::Starting { program, data_dir };
    assert_eq!(steps.try_recv().unwrap(), starting);
    assert_eq!(steps.try_recv().unwrap(), started);
    assert!(matches!(
        steps.try_recv().unwrap(),
        LaunchStep::Ready { .. }
    ));
}

#[test]
fn program_without_reply_is_killed_at_the_deadline() {
    let fake = Fake::new("echo 'no network' >\"$log\"; exec sleep 600");
    let (sender, steps) = mpsc::channel();
    let builder = fake.builder().timeout(Some(Duration::from_secs(1)));
    let error = builder
        .on_progress(move |step| sender.send(step.clone()).unwrap())
        .launch()
        .unwrap_err();
    assert!(matches!(error, LaunchError::Timeout { .. }), "{error}");
    assert_eq!(error.log(), Some("no network"));
    let id = steps.iter().find_map(|step| match step {
        LaunchStep::Started { id } => Some(id),
        _ => None,
    });
    assert!(!exists(id.unwrap()));
}

#[test]
fn launch_cancelled_kills_the_program() {
    let fake = Fake::new("exec sleep 600");
    let (cancel, (sender, ids)) = (Cancel::new(), mpsc::channel());
    let handle = cancel.clone();
    let builder = fake.builder().timeout(None).with_cancel(&cancel);
    let outcome = builder
        .on_progress(move |step| {
            if let LaunchStep::Started { id } = step {
                sender.send(*id).unwrap();
                handle.cancel();
            }
        })
        .launch();
    assert!(
        matches!(outcome, Err(LaunchError::Cancelled)),
        "{outcome:?}"
    );
    assert!(!exists(ids.recv().unwrap()));
}

#[test]
fn port_in_use_is_replaced_by_another() {
    let fake = Fake::new(
        "if mkdir \"$here/first\" 2>&-; then\n\
         echo 'Clients: Exception in SAM bridge: bind: Address already in use' >\"$log\"\n\
         exec sleep 600\nfi\nserve",
    );
    let (sender, steps) = mpsc::channel();
    let router = fake
        .builder()
        .on_progress(move |step| sender.send(step.clone()).unwrap())
        .launch()
        .unwrap();
    assert!(steps.try_iter().any(|step| step == LaunchStep::PortsInUse));
    assert!(router.data_dir().join("i2pd.log.old").exists());
}

#[test]
fn ports_always_in_use_fail() {
    let fake = Fake::new("echo 'bind: Address already in use' >\"$log\"; exec sleep 600");
    let error = fake.builder().launch().unwrap_err();
    assert!(matches!(error, LaunchError::PortsInUse { .. }), "{error}");
}

#[test]
fn data_folder_of_launched_router_is_refused() {
    let (fake, folder) = (Fake::new("serve"), Scratch::create().unwrap());
    let builder = fake.builder().data_dir(folder.path());
    let router = builder.launch().unwrap();
    let outcome = builder.launch();
    assert!(
        matches!(outcome, Err(LaunchError::DataDirInUse { .. })),
        "{outcome:?}"
    );
    drop(router);
    assert!(builder.launch().is_ok());
}

#[test]
fn data_folder_of_other_i2pd_is_refused() {
    let fake = Fake::new("echo 'i2pd: Could not lock pid file x/i2pd.pid' >&2; exit 1");
    let folder = Scratch::create().unwrap();
    fs::write(folder.path().join("i2pd.pid"), "4711\n").unwrap();
    let error = fake.builder().data_dir(folder.path()).launch().unwrap_err();
    let LaunchError::DataDirInUse { id, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(id, Some(4711));
}

#[test]
fn data_folder_remains() {
    let (fake, parent) = (Fake::new("serve"), Scratch::create().unwrap());
    let folder = parent.path().join("router");
    drop(fake.builder().data_dir(&folder).launch().unwrap());
    assert!(folder.is_dir());
}

#[test]
fn settings_reach_the_program() {
    let fake = Fake::new("echo \"$all\" >\"$here/arguments\"; serve");
    let config = fake.folder.path().join("my.conf");
    fs::write(&config, "ipv6 = true\n").unwrap();
    let router = fake
        .builder()
        .config_file(&config)
        .bandwidth(99)
        .arg("--loglevel=info")
        .launch()
        .unwrap();
    let text = fs::read_to_string(fake.folder.path().join("arguments")).unwrap();
    let port = router.bridge().address().replace("127.0.0.1:", "");
    for argument in [
        format!("--conf={}", config.display()),
        format!("--datadir={}", router.data_dir().display()),
        format!("--sam.port={port}"),
        "--bandwidth=99".to_owned(),
        "--loglevel=info".to_owned(),
    ] {
        assert!(
            text.split_whitespace().any(|given| given == argument),
            "{text}"
        );
    }
}

#[test]
fn config_file_missing_fails() {
    let fake = Fake::new("serve");
    let outcome = fake.builder().config_file("/no/such/file").launch();
    assert!(
        matches!(outcome, Err(LaunchError::ConfigFile { .. })),
        "{outcome:?}"
    );
}

/// The work of a program that is killed.
#[test]
#[ignore = "another test starts it, and kills it"]
fn child_launches_router() {
    let Some(folder) = env::var_os("I2P_SAM_FAKE_FOLDER").map(PathBuf::from) else {
        return;
    };
    // A folder of the router's own would remain.
    let builder = I2pd::builder().program(folder.join("i2pd"));
    let router = builder.data_dir(folder.join("data")).launch().unwrap();
    println!("bridge: {}", router.bridge().address());
    std::thread::park();
}

#[test]
fn router_of_killed_program_ends() {
    let fake = Fake::new("serve");
    let mut program = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("router::i2pd::tests::child_launches_router")
        .env("I2P_SAM_FAKE_FOLDER", fake.folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| Some(line.unwrap().split_once("bridge: ")?.1.to_owned()));
    let mut stream = TcpStream::connect(address.unwrap()).unwrap();
    stream.write_all(b"HELLO VERSION\n").unwrap();
    program.kill().unwrap();
    program.wait().unwrap();
    // The stream ends with the router.
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut rest = String::new();
    let end = stream.read_to_string(&mut rest);
    let waited = end.err().map(|error| error.kind());
    assert!(
        waited.is_none_or(|kind| kind == io::ErrorKind::ConnectionReset),
        "{waited:?}"
    );
}
