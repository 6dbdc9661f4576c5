use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::cancel::{Fired, Registration, Registry, Target, Wake};
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Refusal, ResultCode, SessionLoss};
use crate::interrupts::{Interrupts, lock, wait};
use crate::session::voice::Voice;
use crate::wire::{Command, Line, Message, read_line};

/// Longest wait for a bridge to hang up after QUIT. Java I2P and emissary do so at once.
const FAREWELL: Duration = Duration::from_secs(2);

/// Stack of the session's own threads: they hold a line and little else.
pub(crate) const SMALL_STACK: usize = 128 * 1024;

/// A session's control socket. The session lives exactly as long as it does.
///
/// A FORWARD socket is kept as one, too: it must stay open, be read and have its PING answered, and
/// what depends on it ends with it.
///
/// One thread, the keeper, is its only reader: it answers PING, notes why the session ended, and
/// ends with it everything that was made from the session. What is said goes through [`Voice`],
/// so that the keeper never waits for a bridge that does not read.
pub(crate) struct Control {
    socket: Arc<TcpStream>,
    dependents: Arc<Registry>,
    state: Mutex<State>,
    changed: Condvar,
    voice: Voice,
}

#[derive(Default)]
struct State {
    loss: Option<SessionLoss>,
    keeper_gone: bool,
}

impl Control {
    /// Takes over the socket of a session that was just made.
    pub(crate) fn start(
        socket: Arc<TcpStream>,
        heartbeat: Option<Duration>,
    ) -> io::Result<Arc<Self>> {
        let control = Arc::new(Self {
            socket,
            dependents: Arc::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            voice: Voice::new(heartbeat),
        });
        let keeper = Arc::clone(&control);
        spawn("i2p-sam-keeper", move || keeper.keep())?;
        if heartbeat.is_some() {
            control.voice.wake_up(&control)?;
        }
        Ok(control)
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn voice(&self) -> &Voice {
        &self.voice
    }

    /// Why the session is gone, if it is.
    pub(crate) fn loss(&self) -> Option<SessionLoss> {
        lock(&self.state).loss.clone()
    }

    /// What is registered ends with the session.
    pub(crate) fn register(&self, target: Target) -> Result<Registration, Error> {
        self.dependents
            .register(target)
            .map_err(|Fired| Error::SessionLost(self.loss().unwrap_or(SessionLoss::Closed)))
    }

    /// Waits until the session is gone.
    pub(crate) fn wait_lost(
        self: &Arc<Self>,
        deadline: Deadline,
        interrupts: &Interrupts,
    ) -> Result<SessionLoss, Error> {
        let phase = Phase::WaitClosed;
        let _watch = interrupts.watch_waiter(self, phase)?;
        let mut state = lock(&self.state);
        loop {
            if let Some(loss) = &state.loss {
                return Ok(loss.clone());
            }
            interrupts.check(phase)?;
            state = wait(&self.changed, state, phase, deadline)?;
        }
    }

    /// Notes that the session is gone, and ends with it what depends on it. The first reason
    /// stays. Says whether this was it.
    pub(crate) fn lose(&self, loss: SessionLoss) -> bool {
        let by_us = loss == SessionLoss::Closed;
        {
            let mut state = lock(&self.state);
            if state.loss.is_some() {
                return false;
            }
            state.loss = Some(loss);
        }
        self.changed.notify_all();
        self.dependents.fire();
        self.voice.hush();
        if !by_us {
            self.hang_up();
        }
        true
    }

    /// Closes the session without waiting for anything: its streams at once, and the session itself
    /// when `parting` has passed.
    ///
    /// i2pd tells the far side of a stream nothing when its session ends right behind it.
    pub(crate) fn close(self: &Arc<Self>, parting: Duration) {
        if !self.lose(SessionLoss::Closed) {
            return;
        }
        // QUIT makes Java I2P and emissary free id and key at once.
        if self.voice.say_last(self, Command::quit(), parting).is_err() {
            self.hang_up();
        }
    }

    /// Closes the session later, when what its streams wrote last has had time to arrive.
    pub(crate) fn close_after(self: &Arc<Self>, time: Duration) {
        if self.loss().is_some() {
            return;
        }
        if time.is_zero() || self.voice.close_after(self, time).is_err() {
            self.close(Duration::ZERO);
        }
    }

    /// Waits until the bridge has hung up too, for a moment after `parting` only.
    pub(crate) fn await_farewell(&self, parting: Duration) {
        let deadline = Deadline::after(Some(FAREWELL + parting));
        let mut state = lock(&self.state);
        while !state.keeper_gone {
            match wait(&self.changed, state, Phase::WaitClosed, deadline) {
                Ok(woken) => state = woken,
                Err(_) => return,
            }
        }
    }

    pub(crate) fn hang_up(&self) {
        // It fails only where there is no connection any more.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    fn keep(self: &Arc<Self>) {
        let loss = self.listen();
        self.lose(loss);
        lock(&self.state).keeper_gone = true;
        self.changed.notify_all();
    }

    /// Reads until the session ends, and says why it did.
    fn listen(self: &Arc<Self>) -> SessionLoss {
        let mut line = Vec::new();
        loop {
            let end = match read_line(&mut &*self.socket, &mut line) {
                Ok(Line::End) => return SessionLoss::BridgeGone,
                Ok(end) => end,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return SessionLoss::Garbled;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return SessionLoss::BridgeGone;
                }
                Err(error) => return SessionLoss::Io(error.kind()),
            };
            self.voice.heard_something();
            if let Some(loss) = self.heed(&line) {
                return loss;
            }
            if end == Line::Unterminated {
                return SessionLoss::BridgeGone;
            }
        }
    }

    /// What the bridge says unasked: PING, or that the session is over. Anything else is passed
    /// over; a bridge may know more than we do.
    fn heed(self: &Arc<Self>, line: &[u8]) -> Option<SessionLoss> {
        let message = Message::parse(line).ok()?;
        if message.topic() == "PING" {
            // A text that cannot be said back is no PING of a router's.
            let pong = Command::pong(message.text()?).ok()?;
            return self.voice.say(self, &pong).err();
        }
        if !message.is("SESSION", "STATUS") {
            return None;
        }
        match message.result()? {
            ResultCode::Ok => None,
            code => {
                let phase = Phase::WaitClosed;
                Some(SessionLoss::Refused(Refusal::new(phase, code, &message)))
            }
        }
    }
}

impl Wake for Control {
    fn wake(&self) {
        let _state = lock(&self.state);
        self.changed.notify_all();
    }
}

/// Starts one of the session's own threads.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(SMALL_STACK)
        .spawn(work)
        .map(drop)
}
