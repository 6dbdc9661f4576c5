//! No displayed value contains a byte of a private key, a password, or a session's id, even if the
//! bridge repeats them or a user passes a key in the wrong place.

use std::any::type_name;
use std::collections::{BTreeSet, HashSet};
use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc;
use std::time::Duration;

use i2p_sam::router::{I2pd, LaunchError, LaunchStep};
use i2p_sam::server::{Server, ServerFailure, ServerOptions};
use i2p_sam::testing::{Fault, ListenerFeed, Profile, StreamPair, TestBridge};
use i2p_sam::wire::{Command, DatagramHeader, Line, Message, RawHeader, Reply, StreamHeader};
use i2p_sam::{
    AddressError, B32, B33, BacklogPolicy, Cancel, Carried, ClientTunnel, ConnectOptions,
    DatagramOptions, DatagramStyle, DatagramTransport, Destination, EncryptionType, Error,
    ForwardOptions, HealingEvent, HealingOptions, Host, HostName, I2pAddr, InactivityAction,
    LeaseSetAuth, LeaseSetType, LimitAction, MessageReliability, Phase, PrivateKey, RawOptions,
    ResultCode, SamBridge, SamStream, Sender, ServerTunnel, SessionLoss, SessionOptions,
    SignatureType, StreamingProfile, TunnelError, TunnelOptions, UdpOptions, UrlPart, Version,
};

use crate::logging;
use crate::support::restless::Router;
use crate::support::{LONG, ScriptedBridge, Stage, field, in_background, key, outcome};

const USER: &str = "operator-of-the-router";
const PASSWORD: &str = "Correct-Horse-Battery";
const B33_TEXT: &str = "yme6uy5xfgm6dp2wwyox5trojra6sdavhu5gyceesjad6xatmcs7o6qg.b32.i2p";

/// The shortest run of a secret's characters that counts as a leak.
const RUN: usize = 8;

/// Formats values, and searches the output for secrets.
#[derive(Default)]
struct Watcher {
    runs: HashSet<Vec<u8>>,
    types: BTreeSet<String>,
}

impl Watcher {
    fn new() -> Self {
        let mut watcher = Self::default();
        for seed in 7..=9 {
            watcher.guard_key(&key(seed));
        }
        watcher.guard(USER);
        watcher.guard(PASSWORD);
        watcher
    }

    fn guard(&mut self, secret: &str) {
        let runs = secret.as_bytes().windows(RUN);
        let telling = runs.filter(|run| run.iter().any(|byte| *byte != run[0]));
        self.runs.extend(telling.map(<[u8]>::to_vec));
    }

    /// Guards the private part of a key: as base64 of either alphabet, and as bytes in decimal and
    /// hex.
    fn guard_key(&mut self, key: &PrivateKey) {
        let public = key.destination().as_bytes().len();
        let base64 = key.expose_base64();
        let secret = &base64[(public * 8).div_ceil(6)..];
        self.guard(secret);
        self.guard(&secret.replace('-', "+").replace('~', "/"));
        for bytes in key.expose_bytes()[public..].windows(4) {
            if bytes.iter().all(|byte| *byte == bytes[0]) {
                continue;
            }
            let hex = |byte: &u8| format!("{byte:02x}");
            let hex: String = bytes.iter().map(hex).collect();
            self.guard(&hex);
            self.guard(&hex.to_uppercase());
        }
    }

    fn look_at(&mut self, shown: &str) {
        for run in shown.as_bytes().windows(RUN) {
            if self.runs.contains(run) {
                let run = String::from_utf8_lossy(run);
                panic!("{run:?} of a secret stands in {shown:?}");
            }
        }
    }

    fn note<T: ?Sized>(&mut self) {
        let name = type_name::<T>();
        let path = name.split('<').next().unwrap_or(name);
        let word = path.rsplit("::").next().unwrap_or(path);
        self.types.insert(word.to_owned());
    }

    fn debug<T: Debug>(&mut self, value: &T) {
        self.note::<T>();
        self.look_at(&format!("{value:?}"));
        self.look_at(&format!("{value:#?}"));
    }

    fn display<T: Debug + Display>(&mut self, value: &T) {
        self.debug(value);
        self.look_at(&value.to_string());
    }

    /// Checks an error, and all its sources.
    fn error<T: StdError + 'static>(&mut self, error: &T) {
        self.display(error);
        let mut source = error.source();
        while let Some(error) = source {
            self.look_at(&format!("{error} {error:?} {error:#?}"));
            source = error.source();
        }
    }

    /// Checks one of our errors, its parts, and its `io::Error`.
    fn failure(&mut self, error: Error) {
        self.error(&error);
        match &error {
            Error::Refused(refusal) => {
                self.error(refusal);
                self.display(refusal.code());
                self.debug(&refusal.explanation().map(str::to_owned));
            }
            Error::SessionLost(loss) => self.error(loss),
            Error::Protocol { source, .. } => self.error(source),
            Error::Command(error) => self.error(error),
            Error::InvalidConfig(error) => self.error(error),
            Error::Address(error) => self.error(error),
            Error::Key(error) => self.error(error),
            Error::KeyFile(error) => self.error(error),
            _ => {}
        }
        self.error(&io::Error::from(error));
    }
}

/// Every way to corrupt a key: truncated, too long, with a wrong character, doubled.
fn spoilt(text: &str) -> Vec<String> {
    let mut spoilt: Vec<_> = (0..text.len()).map(|len| text[..len].to_owned()).collect();
    spoilt.push(format!("{text}A"));
    spoilt.push(format!("{text}\n"));
    spoilt.push(format!("{text}{text}"));
    for at in [0, 400, 530, 600, 907] {
        for wrong in ["!", "+", "=", " ", "\u{e9}"] {
            let mut text = text.to_owned();
            text.replace_range(at..=at, wrong);
            spoilt.push(text);
        }
    }
    spoilt
}

/// A key that signs with a transient key.
fn offline_key() -> PrivateKey {
    let key = key(7);
    let mut bytes = key.expose_bytes()[..391 + 256].to_vec();
    bytes.extend([0; 32]);
    bytes.extend([0x70, 0, 0, 1, 0, 7]);
    bytes.extend((0..128_u8).map(|n| n.wrapping_mul(37) ^ 0x5a));
    PrivateKey::from_bytes(&bytes).unwrap()
}

fn keys_and_addresses(watcher: &mut Watcher) {
    let key = key(7);
    let offline = offline_key();
    watcher.guard_key(&offline);
    watcher.debug(&key);
    watcher.debug(&offline);
    watcher.debug(&offline.offline_signature().unwrap());
    watcher.display(&key.signature_type());
    watcher.display(key.destination());
    let addr = I2pAddr::from(key.destination()).with_port(80);
    watcher.display(&addr);
    watcher.display(addr.host());
    watcher.display(&B32::from(key.destination()));
    watcher.display(&B33_TEXT.parse::<B33>().unwrap());
    watcher.display(&"stats.i2p".parse::<HostName>().unwrap());
}

fn keys_that_cannot_be_read(watcher: &mut Watcher) {
    let key = key(7);
    for text in spoilt(&key.expose_base64()) {
        if let Err(error) = PrivateKey::from_base64(&text) {
            watcher.error(&error);
        }
    }
    let bytes = key.expose_bytes();
    let longer = [bytes, &bytes[500..]].concat();
    for len in (0..longer.len()).filter(|len| *len != bytes.len()) {
        let error = PrivateKey::from_bytes(&longer[..len]).unwrap_err();
        watcher.error(&error);
    }
}

/// A key that was pasted in place of an address.
fn keys_taken_for_addresses(watcher: &mut Watcher) {
    let key = key(7).expose_base64();
    let secret = &key[522..];
    let mut texts = spoilt(&key);
    for part in [&key, secret, &secret[..60], &secret[..52], &secret[..40]] {
        for behind in ["", ":80", ":99999", ".i2p", ".b32.i2p", " .i2p"] {
            texts.push(format!("{part}{behind}"));
        }
    }
    texts.push(format!("a.i2p:{key}"));
    for link in [
        "http://",
        "a.i2p/",
        "a.i2p@",
        "http://a.i2p/?i2paddresshelper=",
    ] {
        texts.push(format!("{link}{key}"));
        texts.push(format!("{link}{secret}"));
    }
    // A host name can have any form, so a valid one is no error and may be displayed.
    for text in &texts {
        let errors = [
            text.parse::<I2pAddr>().err(),
            I2pAddr::from_url(text).err(),
            text.parse::<Host>().err(),
            text.parse::<HostName>().err(),
            text.parse::<Destination>().err(),
            text.parse::<B32>().err(),
            text.parse::<B33>().err(),
        ];
        if let Err(error) = text.parse::<SignatureType>() {
            watcher.error(&error);
        }
        for error in errors.into_iter().flatten() {
            watcher.error(&error);
        }
        if let Err(error) = SamBridge::new(text) {
            watcher.failure(error);
        }
        if let Err(error) = text.parse::<Version>() {
            watcher.error(&error);
        }
    }
    let link = format!("stats.i2p/{key}").parse::<I2pAddr>().unwrap_err();
    watcher.error(&link);
    let AddressError::SurplusPart { part } = link else {
        panic!("{link}");
    };
    watcher.debug(&part);
    let bridge = ScriptedBridge::start(|_| {}).bridge();
    let error = bridge.lookup(&key).unwrap_err();
    watcher.failure(error);
}

/// A folder for one test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("secrets-{name}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        close_to_others(&path);
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn close_to_others(path: &Path) {
    #[cfg(unix)]
    set_mode(path, 0o600);
    #[cfg(not(unix))]
    let _ = path;
}

fn key_files(watcher: &mut Watcher) {
    let folder = Folder::new("files");
    let (bytes, text) = (key(7).expose_bytes().to_vec(), key(7).expose_base64());
    let cut = folder.file("cut", &bytes[..600]);
    let cut_text = folder.file("cut-text", &text.as_bytes()[..700]);
    let long = folder.file("long", &[&bytes[..], b"and more"].concat());
    let long_text = folder.file("long-text", format!("{text}{text}").as_bytes());
    let spoilt = folder.file(
        "spoilt",
        text.replacen(&text[600..604], "+/!?", 1).as_bytes(),
    );
    let private_only = folder.file("private-only", &bytes[391..]);
    let other_destination = key(6).destination().to_base64();
    let two_lines = folder.file(
        "two-lines",
        format!("{other_destination}\n{text}").as_bytes(),
    );
    let wrapped = folder.file(
        "wrapped",
        format!("{}\n{}", &text[..600], &text[600..]).as_bytes(),
    );
    let too_large = folder.file("too-large", text.repeat(100).as_bytes());
    let empty = folder.file("empty", b"");
    let missing = folder.0.join("missing");
    for path in [
        &cut,
        &cut_text,
        &long,
        &long_text,
        &spoilt,
        &private_only,
        &two_lines,
        &wrapped,
        &too_large,
        &empty,
        &missing,
        &folder.0,
    ] {
        let error = PrivateKey::load(path).unwrap_err();
        watcher.error(&error);
        watcher.failure(error.into());
    }
    let other = folder.file("other", &bytes);
    watcher.error(&key(6).save(&other).unwrap_err());
    watcher.error(&key(7).save(&cut).unwrap_err());
    #[cfg(unix)]
    {
        set_mode(&other, 0o644);
        watcher.error(&PrivateKey::load(&other).unwrap_err());
        watcher.error(&key(7).save(&other).unwrap_err());
    }
    let unsaved = PrivateKey::load_or_generate(missing.join("further"), || Ok::<_, Error>(key(7)));
    watcher.failure(unsaved.unwrap_err());
}

/// Lines of a bridge that contain this in every place.
fn lines_with(secret: &str) -> Vec<String> {
    let half = &secret[..secret.len() / 2];
    [
        format!("SESSION STATUS RESULT=I2P_ERROR MESSAGE={secret}"),
        format!("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"bad key {secret}, sorry\""),
        format!("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"\\\"{secret}\\\"\""),
        format!("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"'{secret}'\\\\\" {secret}=x"),
        format!("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"{secret}.b32.i2p\""),
        format!("SESSION STATUS RESULT=I2P_ERROR MESSAGE=\"{secret}"),
        format!("SESSION STATUS RESULT=INVALID_KEY NAME={secret} DESTINATION={secret}"),
        format!("SESSION STATUS RESULT={secret}"),
        format!("SESSION STATUS RESULT=\"{secret}\""),
        format!("SESSION STATUS RESULT=\"no {secret}.b32.i2p\""),
        format!("SESSION STATUS RESULT=OK DESTINATION={secret}A"),
        format!("SESSION STATUS RESULT=OK DESTINATION={half}"),
        format!("SESSION STATUS RESULT=OK DESTINATION=\"{half}"),
        format!("SESSION STATUS RESULT=OK DESTINATION={half} {half}"),
        format!("SESSION STATUS {secret}=OK"),
        format!("SESSION {secret} RESULT=NO"),
        format!("SESSION {secret}"),
        format!("{secret} STATUS RESULT=NO"),
        format!("{secret}=1"),
        secret.to_owned(),
        format!("STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"Session is closed {secret}\""),
        format!("STREAM STATUS RESULT=INVALID_ID MESSAGE={secret}"),
        format!("HELLO REPLY RESULT=OK VERSION={secret}"),
        format!("NAMING REPLY RESULT=OK NAME={secret} VALUE={secret}"),
        format!("NAMING REPLY RESULT=KEY_NOT_FOUND NAME={secret} MESSAGE={secret}"),
        format!("DEST REPLY PUB={secret} PRIV={half}"),
        format!("DEST REPLY PUB={half} PRIV={secret}"),
        format!("DEST REPLY RESULT=I2P_ERROR PUB={half} MESSAGE={secret}"),
    ]
    .into()
}

fn lines_of_the_wire(watcher: &mut Watcher) {
    let key = key(7).expose_base64();
    let pings = [format!("PING {key}"), format!("PONG {key}")];
    for line in lines_with(&key).iter().chain(&pings) {
        let message = Message::parse(line.as_bytes()).unwrap();
        watcher.debug(&message);
        watcher.debug(&message.result());
        watcher.debug(&message.explanation());
        watcher.debug(&message.params());
        for param in message.params() {
            match param {
                Ok(param) => {
                    watcher.debug(&param);
                    watcher.debug(&param.value());
                    if let Some(value) = param.value() {
                        watcher.debug(&value);
                    }
                }
                Err(error) => {
                    watcher.error(&error);
                    watcher.display(&error.kind());
                }
            }
        }
        match StreamHeader::parse(line.as_bytes()) {
            Ok(header) => watcher.debug(&header),
            Err(error) => watcher.error(&error),
        }
    }
    let invalid = [key.as_bytes(), b"\xff"].concat();
    watcher.error(&Message::parse(&invalid).unwrap_err());
    watcher.debug(&Line::Complete);
}

fn commands_of_the_wire(watcher: &mut Watcher) {
    let key = key(7).expose_base64();
    let create = || Command::new("SESSION", "CREATE");
    let hello = Command::hello(Version::V3_1, Version::V3_3, Some((USER, PASSWORD)));
    for command in [
        create().pair("DESTINATION", &key),
        create().pair(key.trim_end_matches('='), "1"),
        create().pair("ID", &format!("\"{key} ")),
        Command::stream_accept(&key),
        Command::stream_connect(&key, &key, Some(1), None),
        Command::naming_lookup(&key),
        Command::ping(&key),
        Command::pong(&key),
        hello,
    ] {
        watcher.debug(&command.unwrap());
    }
    let spoilt = format!("{key}\n");
    for command in [
        create().pair(&spoilt, "1"),
        create().pair("DESTINATION", &spoilt),
        create().pair(&key, &spoilt),
        create().pair(&key, ""),
        create().pair(&key.repeat(10), "1"),
        create().pair(&key, &key.repeat(10)),
        Command::ping(&spoilt),
        Command::hello(
            Version::V3_1,
            Version::V3_3,
            Some((USER, &format!("{PASSWORD}\0"))),
        ),
    ] {
        let error = command.unwrap_err();
        watcher.error(&error);
        watcher.display(&error.fault());
    }
}

fn bridge_with_credentials(scripted: &ScriptedBridge) -> SamBridge {
    SamBridge::builder()
        .address(scripted.address().to_string())
        .credentials(USER, PASSWORD)
        .build()
        .unwrap()
}

fn what_a_program_holds(watcher: &mut Watcher) {
    let (call, calls) = mpsc::channel::<()>();
    let calls = Mutex::new(calls);
    let scripted = ScriptedBridge::router(move |visit, stage| match stage {
        Stage::Session => visit.until_quit(),
        Stage::Accept => {
            if calls.lock().unwrap().recv().is_ok() {
                visit.say(&format!("{}\n", key(1).destination()));
                visit.rest();
            }
        }
        Stage::Command(_) => {
            visit.say("STREAM STATUS RESULT=OK\n");
            visit.rest();
        }
    });
    let builder = SamBridge::builder().credentials(USER, PASSWORD);
    watcher.debug(&builder);
    let bridge = bridge_with_credentials(&scripted);
    watcher.debug(&bridge);
    watcher.debug(&bridge.auth());
    watcher.display(&bridge.version().unwrap());

    let secret = key(7).expose_base64();
    let options = SessionOptions::new()
        .option("i2cp.leaseSetPrivKey", &secret[522..600])
        .lease_set_secret(&secret[600..640])
        .i2cp_password(PASSWORD);
    watcher.debug(&options);
    // An option that cannot be sent is kept.
    watcher.debug(&options.clone().option("i2cp.leaseSetSecret", &secret));
    watcher.debug(&options.clone().option(&secret, "1"));
    watcher.debug(&options.clone().option(&secret[522..600], "1\n"));
    watcher.debug(&options.clone().lease_set_client_psk("joe", &secret));
    let session_builder = bridge
        .session()
        .key(&key(7))
        .options(options)
        .pending_accepts(1);
    watcher.debug(&session_builder);
    let refused = session_builder.clone().option("x", &secret).stream();
    watcher.failure(refused.unwrap_err());

    let session = session_builder.stream().unwrap();
    watcher.guard(session.id());
    watcher.debug(&session);
    watcher.debug(&session.guard());
    watcher.debug(session.private_key());
    let listener = session.listener().unwrap();
    watcher.debug(&listener);
    watcher.debug(&listener.incoming());
    call.send(()).unwrap();
    let (accepted, peer) = listener.accept_timeout(LONG).unwrap();
    watcher.debug(&accepted);
    watcher.display(&peer);
    watcher.debug(&session.connect("peer.i2p:80").unwrap());
    watcher.debug(&ConnectOptions::new().from_port(1));
    what_forwards(watcher, &bridge);
    watcher.debug(&Cancel::new());
    session.close();
    watcher.debug(&session);
    watcher.failure(session.connect("peer.i2p").unwrap_err());
}

fn what_forwards(watcher: &mut Watcher, bridge: &SamBridge) {
    let options = ForwardOptions::new().host("10.0.0.2");
    watcher.debug(&options);
    let session = bridge.session().key(&key(8)).stream().unwrap();
    watcher.guard(session.id());
    let forwarding = session.forward_to(80, &options).unwrap();
    watcher.debug(&forwarding);
    watcher.failure(session.forward().unwrap_err());
    drop(forwarding);
    let forward = session.forward().unwrap();
    watcher.debug(&forward);
    watcher.debug(&forward.incoming());
    session.close();
    watcher.failure(forward.accept().unwrap_err());
}

/// Values that contain only public text or none.
fn plain_words(watcher: &mut Watcher) {
    watcher.display(&Phase::Hello);
    watcher.display(&ResultCode::InvalidId);
    watcher.error(&SessionLoss::ProtocolViolation);
    watcher.display(&UrlPart::Scheme);
    watcher.debug(&EncryptionType::EciesX25519);
    watcher.debug(&LeaseSetType::Encrypted);
    watcher.debug(&LeaseSetAuth::Psk);
    watcher.debug(&StreamingProfile::Bulk);
    watcher.debug(&InactivityAction::SendAck);
    watcher.debug(&LimitAction::Text("too many".to_owned()));
    watcher.debug(&MessageReliability::BestEffort);
    watcher.debug(&BacklogPolicy::Wait);
}

/// A peer may write anything into its lease set, and a bridge may repeat anything.
fn what_a_lookup_finds(watcher: &mut Watcher) {
    let secret = key(7).expose_base64();
    let word = secret.trim_end_matches('=').to_owned();
    let option = format!("1 1 0 0 25 a.i2p {secret},{secret},1 1 0 0 25 {secret},0 1 1 {secret}");
    let scripted = ScriptedBridge::start(move |visit| {
        visit.greet();
        visit.line();
        let destination = key(1).destination().to_base64();
        visit.say(&format!(
            "NAMING REPLY RESULT=OK NAME={secret} VALUE={destination} \
             OPTION:_smtp._tcp=\"{option}\" OPTION:{secret}={secret} OPTION:_{word}._tcp=\"0 1 1\"\n"
        ));
    });
    let bridge = SamBridge::builder()
        .address(scripted.address().to_string())
        .lookup_cache(8, LONG)
        .build()
        .unwrap();
    let found = bridge.lookup_record("peer.i2p").unwrap();
    watcher.debug(&found);
    watcher.debug(&bridge);
    let mut records = 0;
    for record in found.services() {
        records += 1;
        match record {
            Ok(record) => watcher.debug(&record),
            Err(error) => watcher.error(&error),
        }
    }
    assert_eq!(records, 5);
}

/// Calls to a bridge that answers every command except SESSION CREATE with `line`.
fn failures_of_calls(watcher: &mut Watcher, line: &str) {
    let reply = format!("{line}\n");
    let scripted = ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(command) = visit.line() else { return };
        if visit.number == 0 {
            visit.make_session(&command);
            visit.until_quit();
        } else {
            visit.say(&reply);
        }
    });
    let bridge = bridge_with_credentials(&scripted);
    let session = bridge.session().key(&key(7)).pending_accepts(1);
    let session = session.stream().unwrap();
    let calls = [
        bridge.generate(SignatureType::Ed25519).err(),
        bridge.lookup("peer.i2p").err(),
        bridge.lookup_record("peer.i2p").err(),
        bridge.auth().add(USER, PASSWORD).err(),
        bridge.session().key(&key(8)).stream().err(),
        bridge.session().stream().err(),
        session.forward().err(),
        session.listener().err(),
        session.connect("peer.i2p").err(),
    ];
    let errors: Vec<_> = calls.into_iter().flatten().collect();
    assert!(errors.len() >= 4, "{line}: {errors:?}");
    for error in errors {
        watcher.failure(error);
    }
    watcher.debug(&session);
    watcher.debug(&session.loss());
}

fn replies_that_repeat_the_key(watcher: &mut Watcher) {
    for line in lines_with(&key(7).expose_base64()) {
        failures_of_calls(watcher, &line);
    }
}

fn greetings_that_repeat_the_key(watcher: &mut Watcher) {
    for line in lines_with(&key(7).expose_base64()) {
        let scripted = ScriptedBridge::start(move |visit| {
            visit.line();
            visit.say(&format!("{line}\n"));
        });
        let error = scripted.bridge().version().unwrap_err();
        watcher.failure(error);
    }
}

fn control_lines_that_repeat_the_key(watcher: &mut Watcher) {
    let key_text = key(7).expose_base64();
    let mut lines = lines_with(&key_text);
    lines.push(format!("PING {key_text}"));
    lines.push(key_text.repeat(100));
    for line in lines {
        let scripted = ScriptedBridge::router(move |visit, stage| {
            if let Stage::Session = stage {
                visit.say(&format!("{line}\n"));
            }
        });
        let session = scripted.bridge().session().key(&key(7)).stream().unwrap();
        let loss = session.wait_closed(Some(LONG)).unwrap();
        watcher.guard(session.id());
        watcher.error(&loss);
        watcher.debug(&session);
        watcher.failure(session.connect("peer.i2p").unwrap_err());
        watcher.failure(session.listener().unwrap_err());
    }
}

fn accepts_that_repeat_the_key(watcher: &mut Watcher) {
    for line in lines_with(&key(7).expose_base64()) {
        let scripted = ScriptedBridge::router(move |visit, stage| match stage {
            Stage::Session => visit.until_quit(),
            // On each accept, since the next one replaces the refusal of the previous one.
            _ => visit.say(&format!("{line}\n")),
        });
        let session = scripted.bridge().session().key(&key(7)).pending_accepts(1);
        let session = session.stream().unwrap();
        let listener = session.listener().unwrap();
        let error = listener.accept_timeout(LONG).unwrap_err();
        assert!(!error.is_timeout(), "the bridge's words were lost");
        watcher.failure(error);
        watcher.debug(&listener);
    }
}

/// A bridge that repeats the command in an explanation.
fn commands_that_are_repeated(watcher: &mut Watcher) {
    let scripted = ScriptedBridge::start(move |visit| {
        visit.greet();
        let Some(command) = visit.line() else { return };
        if visit.number == 0 {
            visit.make_session(&command);
            return visit.until_quit();
        }
        let command = command.trim_end();
        let reply = match visit.number % 3 {
            0 => command.to_owned(),
            1 => format!("X STATUS RESULT=I2P_ERROR MESSAGE=\"cannot {command}\""),
            _ => format!("X STATUS RESULT=\"{command}\""),
        };
        visit.say(&format!("{reply}\n"));
    });
    let bridge = scripted.bridge();
    let session = bridge.session().key(&key(7)).pending_accepts(1);
    let session = session.stream().unwrap();
    watcher.guard(session.id());
    for _ in 0..3 {
        watcher.failure(session.connect("peer.i2p").unwrap_err());
    }
    for _ in 0..3 {
        watcher.failure(session.listener().unwrap_err());
    }
    for _ in 0..3 {
        let error = bridge.session().key(&key(8)).stream().unwrap_err();
        for line in scripted.received() {
            watcher.guard(field(&line, "ID").unwrap_or_default());
        }
        watcher.failure(error);
    }
}

fn check(show: fn(&mut Watcher)) {
    let lines = logging::collect();
    let mut watcher = Watcher::new();
    show(&mut watcher);
    // The lines of tests that run meanwhile are checked as well.
    for line in logging::since(lines) {
        watcher.look_at(&line);
    }
}

#[test]
fn key_is_displayed_as_address() {
    check(keys_and_addresses);
}

#[test]
fn peer_data_resembling_keys_is_concealed() {
    check(what_a_lookup_finds);
}

#[test]
fn unreadable_key_is_concealed() {
    check(keys_that_cannot_be_read);
}

#[test]
fn key_given_as_address_is_concealed() {
    check(keys_taken_for_addresses);
}

#[test]
fn key_file_contents_are_concealed() {
    check(key_files);
}

#[test]
fn bridge_lines_are_displayed_without_keys() {
    check(lines_of_the_wire);
}

#[test]
fn commands_are_concealed() {
    check(commands_of_the_wire);
}

fn healing_sessions(watcher: &mut Watcher) {
    let scripted = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session if visit.number == 0 => {}
        Stage::Session => visit.until_quit(),
        _ => drop(visit.rest()),
    });
    let (sender, events) = mpsc::channel();
    let sender = Mutex::new(sender);
    let options = HealingOptions::new()
        .initial_backoff(Duration::ZERO)
        .on_event(move |_, event| drop(sender.lock().unwrap().send(event.clone())));
    let builder = scripted.bridge().session().key(&key(7));
    let session = builder.healing_with(&options).unwrap();
    watcher.debug(&options);
    for _ in 0..3 {
        watcher.debug::<HealingEvent>(&events.recv_timeout(LONG).unwrap());
    }
    watcher.guard(session.session().unwrap().id());
    watcher.debug(&session);
    watcher.debug(&session.listener().unwrap());
    session.close();
    watcher.failure(session.connect("peer.i2p").unwrap_err());
    let error = std::sync::Arc::new(session.connect("peer.i2p").unwrap_err());
    watcher.failure(Error::GaveUp(error));
}

#[test]
fn healing_session_conceals_secrets() {
    check(healing_sessions);
}

fn multihomed_sessions(watcher: &mut Watcher) {
    let routers = [Router::start(), Router::start()];
    let [bridge, fallback] = routers.each_ref().map(|router| router.scripted.bridge());
    let bridge = SamBridge::builder().address(bridge.address());
    let bridge = bridge.fallback(&fallback).build().unwrap();
    let session = bridge.session().key(&key(7)).multihomed().unwrap();
    let listener = session.listener().unwrap();
    for replica in session.replicas() {
        if let Some(session) = replica.session() {
            watcher.guard(session.id());
        }
        watcher.debug(&replica);
    }
    watcher.debug(&session);
    watcher.debug(&listener);
    watcher.debug(&listener.stats());
    session.close();
    watcher.failure(listener.accept().unwrap_err());
    watcher.failure(session.connect("peer.i2p").unwrap_err());
}

#[test]
fn multihomed_session_conceals_secrets() {
    check(multihomed_sessions);
}

fn tunnels(watcher: &mut Watcher) {
    let scripted = ScriptedBridge::router(|visit, stage| match stage {
        Stage::Session => drop(visit.line()),
        Stage::Accept => drop(visit.rest()),
        Stage::Command(line) => {
            let line = line.trim_end();
            visit.say(&format!(
                "STREAM STATUS RESULT=I2P_ERROR MESSAGE=\"{line}\"\n"
            ));
        }
    });
    let (sender, failures) = mpsc::channel();
    let sender = Mutex::new(sender);
    let options = TunnelOptions::new()
        .on_failure(move |failure| drop(sender.lock().unwrap().send(failure.clone())));
    let session = scripted.bridge().session().key(&key(7)).pending_accepts(1);
    let session = session.stream().unwrap();
    watcher.guard(session.id());
    watcher.debug(&options);
    let listener = session.listener().unwrap();
    let server = ServerTunnel::start(listener, "127.0.0.1:1", &options).unwrap();
    let client = ClientTunnel::start(session.clone(), "127.0.0.1:0", "peer.i2p", &options);
    let client = client.unwrap();
    let _program = TcpStream::connect(client.local_addr()).unwrap();
    watcher.error::<TunnelError>(&failures.recv_timeout(LONG).unwrap());
    session.close();
    watcher.debug(&server.wait(Some(LONG)).unwrap());
    watcher.debug(&server);
    watcher.debug(&client.stats());
    watcher.debug(&client);
}

#[test]
fn tunnels_conceal_secrets() {
    check(tunnels);
}

fn servers(watcher: &mut Watcher) {
    let (sender, failures) = mpsc::channel();
    let sender = Mutex::new(sender);
    let options = ServerOptions::new().on_failure(move |failure| {
        assert!(matches!(failure, ServerFailure::Handler { .. }));
        let shown = format!("{failure} {failure:?} {failure:#?}");
        sender.lock().unwrap().send(shown).unwrap();
    });
    watcher.debug(&options);
    watcher.note::<ServerFailure>();
    let server = Server::new(&options);
    let (feed, listener) = ListenerFeed::new().unwrap();
    feed.push(SamStream::pair().unwrap().1);
    let stopping = server.clone();
    let serving = in_background(move || {
        server.serve(listener, |_| Err::<(), _>(io::Error::other("out of paper")))
    });
    watcher.look_at(&failures.recv_timeout(LONG).unwrap());
    stopping.stop();
    outcome(&serving).unwrap();
    watcher.debug(&stopping);
    watcher.display(&stopping.stats());
    watcher.debug(&Carried::default());
}

#[test]
fn servers_conceal_secrets() {
    check(servers);
}

fn raw_replies(watcher: &mut Watcher) {
    let key = key(7).expose_base64();
    let line = format!("SESSION STATUS RESULT=OK DESTINATION={key}\n");
    watcher.debug(&Reply::new(line).unwrap());
}

#[test]
fn raw_reply_conceals_key() {
    check(raw_replies);
}

#[cfg(unix)]
fn launched_routers(watcher: &mut Watcher) {
    let argument = format!("--http.pass={PASSWORD}");
    let (sender, steps) = mpsc::channel();
    let (router, _folder) = crate::launch::stand_in(|builder| {
        let builder = builder.arg(&argument);
        watcher.debug(&builder);
        builder.on_progress(move |step| sender.send(step.clone()).unwrap())
    });
    watcher.debug(&router);
    for step in steps.try_iter() {
        watcher.display(&step);
    }
    let key = key(7).expose_base64();
    for refused in [&argument[2..], &key] {
        watcher.error(
            &I2pd::builder()
                .arg(refused)
                .program("/")
                .launch()
                .unwrap_err(),
        );
    }
    watcher.error(&key.parse::<SignatureType>().unwrap_err());
}

#[cfg(unix)]
#[test]
fn launched_routers_conceal_secrets() {
    check(launched_routers);
}

fn launchers(watcher: &mut Watcher) {
    let builder = I2pd::builder().program("/nowhere/i2pd").offline(true);
    watcher.debug(&builder);
    watcher.error::<LaunchError>(&builder.launch().unwrap_err());
    // Only on Unix can a script stand in for i2pd.
    watcher.note::<I2pd>();
    watcher.note::<LaunchStep>();
}

#[test]
fn launchers_conceal_secrets() {
    check(launchers);
}

fn datagrams(watcher: &mut Watcher) {
    let scripted = ScriptedBridge::router(|visit, _| visit.until_quit());
    let bridge = scripted.bridge();
    let builder = bridge.session().key(&key(7));
    let session = builder.clone().datagram(DatagramStyle::Datagram).unwrap();
    let raw = builder.key(&key(8));
    let raw = raw.raw_with(&RawOptions::new().header(true)).unwrap();
    watcher.guard(session.id());
    watcher.guard(raw.id());
    watcher.debug(&session);
    watcher.debug(&session.dropped());
    watcher.debug(&raw);
    watcher.failure(session.send_to(b"", key(1).destination()).unwrap_err());
    session.close();
    watcher.failure(session.recv_from(&mut [0]).unwrap_err());
    watcher.debug(&DatagramStyle::Datagram3);
    watcher.debug(&UdpOptions::new().advertise("host", 1).accept_any_port());
    watcher.debug(&DatagramTransport::ControlSocket);
    watcher.debug(&DatagramOptions::new().from_port(1));
    watcher.debug(&RawOptions::new());
    watcher.debug(&Sender::Unauthenticated {
        address: B32::from_hash([7; 32]),
        from_port: None,
        to_port: None,
    });
    let packet = format!("{}\nhello", key(7).destination());
    watcher.debug(&DatagramHeader::split(packet.as_bytes()).unwrap().0);
    watcher.debug(
        &RawHeader::split(b"PROTOCOL=1 FROM_PORT=2 TO_PORT=3\n")
            .unwrap()
            .0,
    );
}

#[test]
fn datagram_sessions_conceal_secrets() {
    check(datagrams);
}

fn primary_sessions(watcher: &mut Watcher) {
    let scripted = ScriptedBridge::router(|visit, _| {
        while let Some(line) = visit.line() {
            let id = field(&line, "ID").unwrap_or_default();
            let verdict = match field(&line, "LISTEN_PORT") {
                Some("1") => format!("I2P_ERROR ID=\"{id}\" MESSAGE=\"Duplicate ID {id}\""),
                Some("2") => format!("{id} ID={id}"),
                _ => format!("OK ID=\"{id}\" MESSAGE=\"ADD {id}\""),
            };
            visit.say(&format!("SESSION STATUS RESULT={verdict}\n"));
        }
    });
    let primary = scripted.bridge().session().key(&key(7)).primary().unwrap();
    let session = primary.subsession().stream().unwrap();
    watcher.guard(session.id());
    let errors = [1, 2].map(|n| primary.subsession().listen_port(n).stream().unwrap_err());
    for line in scripted.received() {
        watcher.guard(field(&line, "ID").unwrap_or("nobody's"));
    }
    for error in errors {
        watcher.failure(error);
    }
    watcher.debug(&primary);
    watcher.debug(&session);
    watcher.debug(&primary.subsession().listen_port(3));
    watcher.failure(primary.subsession().stream().unwrap_err());
    primary.close();
    watcher.failure(primary.subsession().stream().unwrap_err());
}

#[test]
fn primary_sessions_conceal_secrets() {
    check(primary_sessions);
}

#[test]
fn bridges_sessions_and_streams_conceal_secrets() {
    check(what_a_program_holds);
}

#[test]
fn key_in_reply_is_concealed() {
    check(replies_that_repeat_the_key);
}

#[test]
fn key_in_greeting_is_concealed() {
    check(greetings_that_repeat_the_key);
}

#[test]
fn key_on_control_socket_is_concealed() {
    check(control_lines_that_repeat_the_key);
}

#[test]
fn key_sent_to_pending_accept_is_concealed() {
    check(accepts_that_repeat_the_key);
}

#[test]
fn echoed_command_conceals_key_and_id() {
    check(commands_that_are_repeated);
}

#[test]
fn echoed_password_is_concealed() {
    let scripted = ScriptedBridge::start(|visit| {
        visit.line();
        visit.say(&format!(
            "HELLO REPLY RESULT=I2P_ERROR MESSAGE=\"{PASSWORD} is no password\"\n"
        ));
    });
    let bridge = bridge_with_credentials(&scripted);
    let error = bridge.version().unwrap_err();
    Watcher::new().failure(error);
}

/// Passwords that a bridge repeats in another form: cut at the TAB, or taken for a key.
const ODD_PASSWORDS: [&str; 3] = [
    "Correct\tHorse-Battery",
    "p!Zq7wX2kP9vN4bT6yR1mL8cJ3hF5d!quite",
    "Correct \"Horse\" \\Battery",
];

/// The forms in which a bridge may repeat a password: unchanged, escaped, and each of its words
/// alone.
fn repeated(password: &str) -> Vec<String> {
    let escaped = password.replace('\\', "\\\\").replace('"', "\\\"");
    let twice = escaped.replace('\\', "\\\\").replace('"', "\\\"");
    let mut forms = vec![escaped, twice, password.replace('\t', " ")];
    forms.extend(password.split(['\t', ' ', '"', '\\']).map(str::to_owned));
    forms
}

/// Runs this call, and answers its command with each form of the password.
fn check_repeated(password: &str, topic: &str, call: impl Fn(&SamBridge) -> Error) {
    let mut watcher = Watcher::new();
    for part in password.split(['\t', ' ', '"', '\\']) {
        watcher.guard(part);
    }
    for form in repeated(password)
        .into_iter()
        .filter(|form| !form.is_empty())
    {
        let reply = format!("{topic} RESULT=I2P_ERROR MESSAGE=\"bad value: {form}\"\n");
        let scripted = match topic {
            "HELLO REPLY" => ScriptedBridge::start(move |visit| {
                visit.line();
                visit.say(&reply);
            }),
            _ => ScriptedBridge::answering(reply),
        };
        let error = call(&scripted.bridge());
        assert!(matches!(error, Error::Refused(_)), "{error}");
        assert!(error.to_string().contains("bad value: "), "{error}");
        watcher.failure(error);
    }
}

#[test]
fn reencoded_password_is_concealed() {
    for password in ODD_PASSWORDS {
        check_repeated(password, "HELLO REPLY", |bridge| {
            let builder = SamBridge::builder().address(bridge.address());
            let bridge = builder.credentials("joe", password).build().unwrap();
            bridge.version().unwrap_err()
        });
        check_repeated(password, "AUTH STATUS", |bridge| {
            bridge.auth().add("joe", password).unwrap_err()
        });
        check_repeated(password, "SESSION STATUS", |bridge| {
            let options = SessionOptions::new().i2cp_password(password);
            // A key is given, so that none is generated first.
            let session = bridge.session().key(&key(7)).options(options);
            session.stream().unwrap_err()
        });
    }
}

#[test]
fn password_in_bridge_address_is_concealed() {
    let mut watcher = Watcher::new();
    let error = SamBridge::new(&format!("joe:{PASSWORD}@router.lan:7656")).unwrap_err();
    assert!(error.to_string().contains("router.lan"), "{error}");
    watcher.failure(error);
}

#[test]
fn key_given_as_name_is_concealed() {
    let scripted = ScriptedBridge::start(|_| {});
    let text = key(7).expose_base64();
    let mut watcher = Watcher::new();
    watcher.debug(&SamBridge::builder().address(&text));
    watcher.debug(&SamBridge::builder().udp_address(&text));
    let session = scripted.bridge().session().nickname(&text);
    watcher.debug(&session);
    watcher.failure(session.stream().unwrap_err());
}

#[test]
fn test_bridge_conceals_keys_and_passwords() {
    test_bridge(&mut Watcher::new());
}

fn test_bridge(watcher: &mut Watcher) {
    let builder = TestBridge::builder().user("alice", PASSWORD);
    watcher.debug(&builder);
    watcher.debug(&Profile::Java);
    let bridge = TestBridge::start().unwrap();
    let (sender, seen) = mpsc::channel();
    let sender = Mutex::new(sender);
    let fault = Fault::script(move |exchange| {
        let _ = sender.lock().unwrap().send(format!("{exchange:?}"));
        exchange.proceed();
    });
    watcher.debug(&fault);
    watcher.debug(&Fault::reply(key(7).expose_base64()));
    bridge.inject("SESSION CREATE", fault);
    let session = bridge.bridge().session().key(&key(7)).stream().unwrap();
    watcher.debug(&session);
    watcher.debug(&bridge);
    watcher.look_at(&seen.recv_timeout(LONG).unwrap());
    watcher.types.insert("Exchange".to_owned());
    let pair = StreamPair::new().unwrap();
    watcher.debug(&pair);
    let (feed, listener) = ListenerFeed::new().unwrap();
    watcher.debug(&feed);
    watcher.debug(&listener);
}

/// Collects the names of all public structs and enums under this folder.
fn public_types(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            public_types(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let words = ["pub struct ", "pub enum ", "pub union "];
            let Some(rest) = words.iter().find_map(|word| line.strip_prefix(word)) else {
                continue;
            };
            let end = rest.find(|char: char| !char.is_alphanumeric() && char != '_');
            found.insert(rest[..end.unwrap_or(rest.len())].to_owned());
        }
    }
}

/// Every public type of the crate must be checked in one of the tests above, unless it is in a
/// module that seals a trait. (`unreachable_pub` ensures that `pub` types can be reached from
/// outside.)
#[test]
fn every_public_type_is_checked() {
    let mut watcher = Watcher::new();
    for show in [
        keys_and_addresses,
        keys_that_cannot_be_read,
        keys_taken_for_addresses,
        key_files,
        lines_of_the_wire,
        commands_of_the_wire,
        what_a_program_holds,
        datagrams,
        primary_sessions,
        healing_sessions,
        multihomed_sessions,
        tunnels,
        servers,
        launchers,
        raw_replies,
        #[cfg(unix)]
        launched_routers,
        plain_words,
        what_a_lookup_finds,
        replies_that_repeat_the_key,
        test_bridge,
    ] {
        show(&mut watcher);
    }
    let mut types = BTreeSet::new();
    public_types(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut types,
    );
    assert!(types.len() > 40, "the sources were not found");
    let forgotten: Vec<_> = types.difference(&watcher.types).collect();
    assert!(forgotten.is_empty(), "shown in no test: {forgotten:?}");
}

/// The check must have no gap: it must find each kind of secret.
#[test]
fn watcher_detects_leaks() {
    let watcher = || {
        let mut watcher = Watcher::new();
        watcher.guard("the-session-s-id");
        watcher
    };
    let key = key(7);
    let base64 = key.expose_base64();
    let bytes = key.expose_bytes();
    for leak in [
        base64[600..608].to_owned(),
        base64[522..530].replace('-', "+"),
        format!(
            "{:02x}{:02x}{:02x}{:02x}",
            bytes[400], bytes[401], bytes[402], bytes[403]
        ),
        PASSWORD[3..11].to_owned(),
        "session-".to_owned(),
    ] {
        let shown = format!("an error: {leak}");
        let seen = std::panic::catch_unwind(|| watcher().look_at(&shown));
        assert!(seen.is_err(), "{leak}");
    }
    watcher().look_at(&base64[..520]);
}
