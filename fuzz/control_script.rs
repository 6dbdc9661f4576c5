//! A bridge that makes a session as it should, and then says anything at all.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use i2p_sam::{
    DatagramStyle, DatagramTransport, Error, PrivateKey, SamBridge, SessionBuilder, SessionLoss,
};

use super::{Outcome, refused};

/// Whoever waits longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the bytes meet: the first byte says it, the others are what the bridge says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scene {
    Streams,
    Datagrams,
    RawDatagrams,
    Subsessions,
    /// They come on the socket of a pending accept, and not on the control socket.
    Accept,
}

impl Scene {
    fn of(byte: u8) -> Self {
        match byte % 5 {
            0 => Self::Streams,
            1 => Self::Datagrams,
            2 => Self::RawDatagrams,
            3 => Self::Subsessions,
            _ => Self::Accept,
        }
    }
}

/// Whatever a bridge says behind the reply that makes a session, and however it is cut into
/// segments: every call ends, and so does the session.
pub fn control_script(input: &[u8]) -> Outcome {
    let Some(([first, cut], script)) = input.split_first_chunk() else {
        return Outcome::Refused("Empty".to_owned());
    };
    let scene = Scene::of(*first);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a port");
    let address = listener.local_addr().expect("it has an address");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| serve(scope, &listener, &over, scene, (script, usize::from(*cut))));
        let outcome = play(scene, address);
        over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(address));
        outcome
    })
}

fn play(scene: Scene, address: SocketAddr) -> Outcome {
    let patience = Some(PATIENCE);
    let bridge = SamBridge::builder()
        .address(address.to_string())
        .hello_timeout(patience)
        .command_timeout(patience)
        .session_create_timeout(patience)
        .build();
    let builder = bridge
        .expect("this is a bridge")
        .session()
        .pending_accepts(1);
    match scene {
        Scene::Streams => streams(builder),
        Scene::Datagrams => datagrams(builder),
        Scene::RawDatagrams => raw_datagrams(builder),
        Scene::Subsessions => subsessions(builder),
        Scene::Accept => accept(builder),
    }
}

fn streams(builder: SessionBuilder) -> Outcome {
    let session = builder.stream().expect("the session is made");
    told(&session.wait_closed(Some(PATIENCE)))
}

fn datagrams(builder: SessionBuilder) -> Outcome {
    let builder = builder.datagram_transport(DatagramTransport::ControlSocket);
    let session = builder.datagram(DatagramStyle::Datagram);
    let session = session.expect("the session is made");
    session
        .set_read_timeout(Some(PATIENCE))
        .expect("it is no zero");
    let mut buf = vec![0; 65_536];
    let mut came = 0;
    let error = loop {
        match session.recv_from(&mut buf) {
            Ok((_, sender)) => {
                came += 1;
                // The session may be gone already.
                let _ = session.send_to(b"answer", &sender);
            }
            Err(error) => break error,
        }
    };
    assert!(error.is_session_lost(), "{error}");
    match (came, session.dropped().malformed) {
        (0, 0) => told(&session.wait_closed(Some(PATIENCE))),
        (0, _) => Outcome::Read("malformed datagram"),
        (_, _) => Outcome::Read("datagram"),
    }
}

fn raw_datagrams(builder: SessionBuilder) -> Outcome {
    let session = builder
        .datagram_transport(DatagramTransport::ControlSocket)
        .raw();
    let session = session.expect("the session is made");
    session
        .set_read_timeout(Some(PATIENCE))
        .expect("it is no zero");
    let mut buf = vec![0; 65_536];
    let mut came = 0;
    let error = loop {
        match session.recv_with_header(&mut buf) {
            Ok(_) => came += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_session_lost(), "{error}");
    match came {
        0 => told(&session.wait_closed(Some(PATIENCE))),
        _ => Outcome::Read("raw datagram"),
    }
}

fn subsessions(builder: SessionBuilder) -> Outcome {
    let primary = builder.primary().expect("the session is made");
    let added = primary.subsession().stream();
    if let Err(error) = &added {
        assert!(!error.is_timeout(), "{error}");
    }
    // Whether the answer or the end came first is a matter of luck.
    told(&primary.wait_closed(Some(PATIENCE)))
}

fn accept(builder: SessionBuilder) -> Outcome {
    let session = builder.stream().expect("the session is made");
    let listener = match session.listener() {
        Ok(listener) => listener,
        Err(error) => return refused(&error),
    };
    let outcome = listener.accept_timeout(Duration::from_millis(50));
    let outcome = match outcome {
        Ok((mut stream, _)) => {
            let mut rest = Vec::new();
            // A reset is an end, too.
            let _ = stream.read_to_end(&mut rest);
            Outcome::Read("stream")
        }
        Err(error) => refused(&error),
    };
    session.close();
    outcome
}

/// The reason for which the session is gone; that it is not gone is a finding.
fn told(loss: &Result<SessionLoss, Error>) -> Outcome {
    refused(loss.as_ref().expect("the session ends with its bridge"))
}

/// Takes in connections until the play is over.
fn serve<'a>(
    scope: &'a thread::Scope<'a, '_>,
    listener: &TcpListener,
    over: &AtomicBool,
    scene: Scene,
    script: (&'a [u8], usize),
) {
    for socket in listener.incoming() {
        if over.load(Ordering::SeqCst) {
            return;
        }
        let socket = socket.expect("a connection can be taken");
        scope.spawn(move || visit(&socket, scene, script));
    }
}

fn visit(socket: &TcpStream, scene: Scene, script: (&[u8], usize)) -> Option<()> {
    let mut lines = BufReader::new(socket).lines().map_while(Result::ok);
    lines.next()?;
    say(socket, b"HELLO REPLY RESULT=OK VERSION=3.3\n")?;
    let asked = lines.next()?;
    let is_session = asked.starts_with("SESSION CREATE");
    if is_session {
        let key = key();
        let made = format!(
            "SESSION STATUS RESULT=OK DESTINATION={}\n",
            &*key.expose_base64()
        );
        say(socket, made.as_bytes())?;
    }
    if scene == Scene::Subsessions {
        lines.next()?;
    }
    if is_session != (scene == Scene::Accept) {
        speak(socket, script)?;
        socket.shutdown(Shutdown::Write).ok()?;
    }
    // What is said meanwhile has somewhere to go; QUIT is answered with the end.
    lines.find(|line| line == "QUIT");
    Some(())
}

/// Says the script in pieces of this size.
fn speak(socket: &TcpStream, (script, cut): (&[u8], usize)) -> Option<()> {
    socket.set_nodelay(true).ok()?;
    // Thousands of segments would only take time.
    let size = cut.max(script.len() / 64).max(1);
    script.chunks(size).try_for_each(|piece| say(socket, piece))
}

fn say(mut socket: &TcpStream, bytes: &[u8]) -> Option<()> {
    socket.write_all(bytes).ok()
}

fn key() -> PrivateKey {
    let mut bytes = vec![7; 384];
    bytes.extend([5, 0, 4, 0, 7, 0, 0]);
    bytes.extend([7; 288]);
    PrivateKey::from_bytes(&bytes).expect("it has the form of a key")
}
