use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::bridge::{KeyUse, note_loss};
use crate::error::{Error, Phase, Refusal, ResultCode, SessionLoss};
use crate::session::frames::{Frame, Frames};
use crate::session::guard::SessionGuard;
use crate::session::replies::Replies;
use crate::session::subsession::{Beneath, Claim};
use crate::session::voice::Voice;
use crate::sync::{Deadline, Lifetime, Monitor, lock, spawn};
use crate::wire::{Command, Line, Message, read_line};

/// Longest wait for a bridge to hang up after QUIT. Java I2P and emissary do so at once.
const FAREWELL: Duration = Duration::from_secs(2);

/// A session's control socket. The session lives exactly as long as it does.
///
/// A FORWARD socket is kept as one, too: it must stay open, be read and have its PING answered, and
/// what depends on it ends with it.
///
/// One thread, the keeper, is its only reader: it answers PING, hands replies to who asked, notes why
/// the session ended, and ends with it everything that was made from the session. What is said goes
/// through [`Voice`], so that the keeper never waits for a bridge that does not read.
///
/// A subsession has one as well, without a keeper: the socket, and all that is said, is its primary
/// session's, and it ends by being removed ([`Beneath`]).
pub(crate) struct Control {
    socket: Arc<TcpStream>,
    lifetime: Arc<Lifetime>,
    keeper_gone: Arc<Monitor<bool>>,
    voice: Voice,
    replies: Replies,
    beneath: Option<Beneath>,
    of_forwarding: bool,
    /// Ends with the control socket. A FORWARD socket and a subsession have none.
    key_use: Mutex<Option<KeyUse>>,
    /// What a heartbeat does besides the question that the bridge of every session answers.
    beats: Mutex<Vec<Beat>>,
}

/// Proves that what it belongs to lives, or fails with why it does not. Nothing if it is gone.
pub(crate) type Beat = Arc<dyn Fn() -> Option<Result<(), Error>> + Send + Sync>;

impl Control {
    /// Takes over the socket of a session that was just made.
    pub(crate) fn start(
        socket: Arc<TcpStream>,
        heartbeat: Option<Duration>,
        frames: Option<Box<dyn Frames>>,
        key_use: Option<KeyUse>,
    ) -> io::Result<Arc<Self>> {
        let control = Self::new(socket, heartbeat, None);
        *lock(&control.key_use) = key_use;
        Arc::new(control).run(frames)
    }

    fn run(self: Arc<Self>, frames: Option<Box<dyn Frames>>) -> io::Result<Arc<Self>> {
        let keeper = Arc::clone(&self);
        spawn("i2p-sam-keeper", move || keeper.keep(frames))?;
        if self.voice.heartbeat().is_some() {
            // Without its heartbeat there is to be no session, at the bridge neither.
            self.voice
                .wake_up(&self)
                .inspect_err(|_| self.close(Duration::ZERO))?;
        }
        Ok(self)
    }

    /// Takes over a FORWARD socket. Each heartbeat does this alone.
    pub(crate) fn start_forwarding(
        socket: Arc<TcpStream>,
        heartbeat: Option<Duration>,
        beat: Beat,
    ) -> io::Result<Arc<Self>> {
        let mut control = Self::new(socket, heartbeat, None);
        control.of_forwarding = true;
        control.add_to_heartbeat(beat);
        Arc::new(control).run(None)
    }

    /// That of a subsession that was just added.
    pub(crate) fn beneath(
        primary: &SessionGuard,
        id: &str,
        claim: Claim,
    ) -> Result<Arc<Self>, Error> {
        let socket = Arc::clone(&primary.core().control.socket);
        let beneath = Beneath::new(primary, id);
        let control = Arc::new(Self::new(socket, None, Some(beneath)));
        if let Some(beneath) = &control.beneath {
            beneath.take_place(&control, primary.clone(), claim)?;
        }
        Ok(control)
    }

    fn new(socket: Arc<TcpStream>, heartbeat: Option<Duration>, beneath: Option<Beneath>) -> Self {
        Self {
            socket,
            lifetime: Lifetime::new(beneath.as_ref().map(Beneath::primary_lifetime)),
            keeper_gone: Monitor::new(false),
            voice: Voice::new(heartbeat),
            replies: Replies::default(),
            beneath,
            of_forwarding: false,
            key_use: Mutex::default(),
            beats: Mutex::default(),
        }
    }

    /// Adds to what each heartbeat does.
    pub(crate) fn add_to_heartbeat(&self, beat: Beat) {
        lock(&self.beats).push(beat);
    }

    /// Does what was added to the heartbeat, and forgets what is gone.
    pub(crate) fn run_beats(&self) -> Result<(), Error> {
        // Without the lock: a beat may take as long as a bridge takes to answer.
        let beats = lock(&self.beats).clone();
        for beat in beats {
            match beat() {
                Some(outcome) => outcome?,
                None => lock(&self.beats).retain(|other| !Arc::ptr_eq(other, &beat)),
            }
        }
        Ok(())
    }

    /// Returns true if it is a FORWARD socket, which answers no questions.
    pub(crate) fn is_of_forwarding(&self) -> bool {
        self.of_forwarding
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn voice(&self) -> &Voice {
        &self.voice
    }

    pub(crate) fn replies(&self) -> &Replies {
        &self.replies
    }

    /// Whether the session lives. That of a subsession ends with its primary session's.
    pub(crate) fn lifetime(&self) -> &Arc<Lifetime> {
        &self.lifetime
    }

    /// Returns the reason for which the session is gone, if it is.
    pub(crate) fn loss(&self) -> Option<SessionLoss> {
        self.lifetime.loss()
    }

    /// Whose socket it is: that of the primary session, for a subsession.
    pub(crate) fn owner(self: &Arc<Self>) -> &Arc<Self> {
        match &self.beneath {
            Some(beneath) => beneath.primary(),
            None => self,
        }
    }

    /// Notes that the session is gone, and ends what depends on it. The first reason stays. Returns true
    /// if this was it.
    pub(crate) fn lose(&self, loss: SessionLoss) -> bool {
        let by_us = loss == SessionLoss::Closed;
        let first = self.lifetime.parent_loss().is_none();
        if self.lifetime.is_noted() {
            return false;
        }
        // Those that are woken may make a session with the key.
        if let Some(key_use) = &*lock(&self.key_use) {
            key_use.end();
        }
        if !self.lifetime.end(loss) {
            return false;
        }
        self.voice.hush(by_us && first);
        if !(by_us && first) {
            self.hang_up();
        }
        first
    }

    /// Closes the session without waiting for anything: its streams at once, and the session itself
    /// when `parting` has passed, which alone a subsession waits for.
    ///
    /// i2pd tells the far side of a stream nothing when its session ends right behind it.
    pub(crate) fn close(self: &Arc<Self>, parting: Duration) {
        if !self.lose(SessionLoss::Closed) {
            return;
        }
        if let Some(beneath) = &self.beneath {
            return beneath.remove(parting);
        }
        // QUIT makes Java I2P and emissary free id and key at once.
        if self.voice.say_last(self, Command::quit(), parting).is_err() {
            self.hang_up();
        }
    }

    /// Closes the session later, when what its streams wrote last has had time to arrive.
    pub(crate) fn close_after(self: &Arc<Self>, time: Duration) {
        if self.lifetime.has_ended() {
            return;
        }
        if time.is_zero() || self.voice.close_after(self, time).is_err() {
            self.close(Duration::ZERO);
        }
    }

    /// Waits until the bridge has hung up too, for a moment after `parting` only.
    pub(crate) fn await_farewell(&self, parting: Duration) {
        if let Some(beneath) = &self.beneath {
            return beneath.await_removal();
        }
        let deadline = Deadline::after(Some(FAREWELL + parting));
        self.keeper_gone
            .wait_until(deadline, |gone| gone.then_some(()));
    }

    pub(crate) fn hang_up(&self) {
        if let Some(beneath) = &self.beneath {
            return beneath.let_go();
        }
        // It fails only where there is no connection any more.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// The work of the thread that reads. It ends when the bridge closes the socket, or
    /// [`hang_up`](Control::hang_up) shuts it down.
    fn keep(self: &Arc<Self>, frames: Option<Box<dyn Frames>>) {
        let loss = self.listen(frames);
        let key_use = lock(&self.key_use).take();
        // Before anybody learns of the loss, and starts the router again.
        if key_use.is_some() && !self.lifetime.has_ended() {
            note_loss(&self.socket);
        }
        drop(key_use);
        self.lose(loss);
        self.keeper_gone.update(|gone| *gone = true);
    }

    /// Reads until the session ends, and says why it did.
    fn listen(self: &Arc<Self>, mut frames: Option<Box<dyn Frames>>) -> SessionLoss {
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
            let frame = frames
                .as_mut()
                .map(|frames| frames.take(&line, end, &self.socket));
            match frame {
                Some(Frame::Datagram) => continue,
                Some(Frame::Lost(loss)) => return loss,
                Some(Frame::Other) | None => {}
            }
            if let Some(loss) = self.heed(&line, end) {
                return loss;
            }
            if end == Line::Unterminated {
                return SessionLoss::BridgeGone;
            }
        }
    }

    /// What the bridge says: PING, a reply, or that the session is over. Anything else is passed
    /// over; a bridge may know more than we do.
    fn heed(self: &Arc<Self>, line: &[u8], end: Line) -> Option<SessionLoss> {
        let message = Message::parse(line).ok()?;
        if message.topic() == "PING" {
            // A text that cannot be said back is no PING of a router's.
            let pong = Command::pong(message.text()?).ok()?;
            return self.voice.say(self, &pong).err();
        }
        let is_lookup = message.is("NAMING", "REPLY");
        if !is_lookup && !message.is("SESSION", "STATUS") {
            return None;
        }
        let code = message.result()?;
        // A result nobody knows is the beginning of one that was cut: `RESULT=O`.
        if matches!(code, ResultCode::Ok | ResultCode::Other(_)) && end != Line::Complete {
            return None;
        }
        if is_lookup {
            self.heed_lookup(code, &message);
            return None;
        }
        let refusal = Refusal::new(Phase::WaitClosed, code.clone(), &message);
        // It may come instead of a reply.
        if refusal.speaks_of_the_end() {
            return Some(SessionLoss::Refused(refusal));
        }
        match self.heed_reply(code, &message) || *refusal.code() == ResultCode::Ok {
            true => None,
            false => Some(SessionLoss::Refused(refusal)),
        }
    }
}
