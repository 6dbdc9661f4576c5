use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::address::{PrivateKey, Wiped};
use crate::bridge::{Connection, KEY_REST, KeyInUse, KeyUse};
use crate::builder::{Identity, SessionBuilder};
use crate::error::{Error, Phase, Refusal};
use crate::logging::event;
use crate::session::Frames;
use crate::session::control::ControlSocket;
use crate::session::core::{SessionCore, SessionGuard};
use crate::session::id::unguessable;
use crate::sync::{Call, Deadline};
use crate::wire::{Command, Pair, Version};

/// The least time i2pd needs for a new session. It checks every 3 s if one is ready (2.45: every 20 s).
/// A reply that arrives sooner is about a session that existed already.
const SOONEST_NEW_SESSION: Duration = Duration::from_secs(2);

/// The number of times a session is created again if i2pd confuses it with an older one.
const MAX_CONFUSIONS: usize = 2;

/// The pause between two attempts with a key that the bridge has not released.
const DUPLICATE_PAUSE: Duration = Duration::from_millis(250);

impl SessionBuilder {
    /// Creates a session, and starts the thread that reads its control socket.
    pub(crate) fn create(
        &self,
        style: &'static str,
        pairs: &[Pair],
        frames: Option<Box<dyn Frames>>,
    ) -> Result<SessionGuard, Error> {
        let phase = Phase::SessionCreate;
        self.check_limits()?;
        let began = Instant::now();
        let made = Creation::new(self, style, pairs).run()?;
        event!(
            Info,
            "session of style {style} created at {} in {:?}: {}",
            self.bridge.address(),
            began.elapsed(),
            made.key.destination().b32()
        );
        let control = ControlSocket::start(made.socket, self.heartbeat, frames, made.key_use)
            .map_err(Error::io(phase))?;
        Ok(SessionGuard::new(SessionCore {
            bridge: self.bridge.clone(),
            control: Arc::clone(&control),
            end: control,
            id: made.id,
            key: made.key,
            version: made.version,
            ports: self.ports,
            linger: self.linger,
            streams: Arc::default(),
            streamed: AtomicBool::new(false),
        }))
    }
}

/// The creation of one session, with as many attempts as its key needs.
struct Creation<'a> {
    builder: &'a SessionBuilder,
    style: &'static str,
    pairs: &'a [Pair],
    call: Call,
    began: Instant,
    deadline: Deadline,
}

/// A session that the bridge has created.
struct Made {
    socket: Arc<TcpStream>,
    version: Version,
    id: String,
    key: PrivateKey,
    key_use: Option<KeyUse>,
}

/// The outcome of one attempt.
enum Attempt {
    Made(Box<Made>),
    /// The key is not free yet: try again after this time.
    Wait(Duration),
    /// i2pd took the session for an older one with the same key. The attempt has ended the session.
    Confused,
}

impl<'a> Creation<'a> {
    fn new(builder: &'a SessionBuilder, style: &'static str, pairs: &'a [Pair]) -> Self {
        Self {
            builder,
            style,
            pairs,
            call: Call::new(Phase::SessionCreate).or_cancel(builder.bridge.cancel()),
            began: Instant::now(),
            deadline: Deadline::after(builder.bridge.config().timeouts.session_create),
        }
    }

    fn run(&self) -> Result<Made, Error> {
        let mut confusions = 0;
        loop {
            let pause = match self.attempt()? {
                Attempt::Made(made) => return Ok(*made),
                Attempt::Wait(time) => time,
                Attempt::Confused if confusions == MAX_CONFUSIONS => {
                    return Err(Refusal::key_in_use("another program uses the key").into());
                }
                Attempt::Confused => {
                    event!(
                        Warn,
                        "i2pd returned a session that had ended; it is created again"
                    );
                    confusions += 1;
                    KEY_REST
                }
            };
            event!(
                Debug,
                "the bridge has not released the key; next attempt in {pause:?}"
            );
            let attempts = self.call.clone().until(self.deadline);
            attempts.sleep(pause)?;
            attempts.left()?;
        }
    }

    fn attempt(&self) -> Result<Attempt, Error> {
        let phase = Phase::SessionCreate;
        let id = unguessable();
        let command = self.builder.command(self.style, &id, self.pairs)?;
        let config = self.builder.bridge.config();
        let mut connection = Connection::open(config, &self.call)?;
        let version = connection.version();
        self.builder.check_quotes(version)?;
        self.builder.check_ports(self.style, version)?;
        match &self.builder.identity {
            Identity::Transient(_) => {
                let key = self.request(&mut connection, &command)?;
                let bridge = connection.bridge_addr(phase)?;
                // It fails only if the bridge returns the same new key twice.
                let key_use = KeyUse::begin(bridge, key.destination()).ok();
                Attempt::made(connection, id, key, key_use)
            }
            Identity::Key(key) => self.attempt_with_key(connection, &command, id, key),
        }
    }

    fn attempt_with_key(
        &self,
        mut connection: Connection,
        command: &Command,
        id: String,
        key: &PrivateKey,
    ) -> Result<Attempt, Error> {
        let bridge = connection.bridge_addr(Phase::SessionCreate)?;
        let Some(is_i2pd) = connection.is_i2pd(Phase::SessionCreate, self.deadline)? else {
            return Ok(Attempt::Wait(Duration::ZERO));
        };
        let key_use = KeyUse::begin(bridge, key.destination()).map_err(|KeyInUse| {
            Refusal::key_in_use("another session of this program uses the key")
        })?;
        let rest = key_use.rest_left();
        if !rest.is_zero() && is_i2pd {
            key_use.withdraw();
            return Ok(Attempt::Wait(rest));
        }
        let asked = Instant::now();
        match self.request(&mut connection, command) {
            // Its control socket closes here, before any peer can dial it.
            Ok(_) if is_i2pd && asked.elapsed() < SOONEST_NEW_SESSION => Ok(Attempt::Confused),
            Ok(key) => Attempt::made(connection, id, key, Some(key_use)),
            Err(Error::Refused(refusal)) => {
                key_use.withdraw();
                // A session with this key has just ended: one of ours, or, on i2pd, one of a program
                // that ran before this one.
                let ended = !rest.is_zero() || is_i2pd && self.began.elapsed() < KEY_REST;
                match refusal.means_duplicate() && ended {
                    true => Ok(Attempt::Wait(DUPLICATE_PAUSE)),
                    false => Err(refusal.into()),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Sends SESSION CREATE, and returns the key of the created session.
    fn request(&self, connection: &mut Connection, command: &Command) -> Result<PrivateKey, Error> {
        let phase = Phase::SessionCreate;
        let reply = connection.request(command, phase, self.deadline)?;
        let key = reply.require("DESTINATION");
        let key = key.map_err(|error| Error::protocol(phase, error))?;
        // The text is a copy if the bridge escaped a part of it.
        self.builder.made_key(&Wiped::new(key.into_owned()))
    }
}

impl Attempt {
    fn made(
        connection: Connection,
        id: String,
        key: PrivateKey,
        key_use: Option<KeyUse>,
    ) -> Result<Self, Error> {
        let version = connection.version();
        let (socket, _) = connection.hand_over(Phase::SessionCreate)?;
        Ok(Self::Made(Box::new(Made {
            socket,
            version,
            id,
            key,
            key_use,
        })))
    }
}
