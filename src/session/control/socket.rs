use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::bridge::{KeyUse, write_all};
use crate::error::{Error, Phase, SessionLoss};
use crate::logging::event;
use crate::session::control::outbound::{COMMAND_GAP, Outbound, Step, later};
use crate::session::control::pending_requests::PendingRequests;
use crate::sync::{BufferPool, Call, Deadline, Lifetime, Monitor, Wake, lock, spawn};
use crate::wire::Command;

/// The longest wait for a bridge to close the socket after QUIT. Java I2P and emissary do so at once.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest time to write one command.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// The time between two datagrams: i2pd reads one from a segment, and the rest only when more arrives.
const DATAGRAM_GAP: Duration = Duration::from_millis(5);

/// A session's control socket. The session lives exactly as long as this socket.
///
/// A FORWARD socket is one as well: it must stay open and be read, its PING must be answered, and
/// everything that depends on it ends with it.
///
/// A primary session and its subsessions share one.
pub(crate) struct ControlSocket {
    socket: Arc<TcpStream>,
    lifetime: Arc<Lifetime>,
    reader_gone: Arc<Monitor<bool>>,
    outbound: Arc<Monitor<Outbound>>,
    requests: Arc<Monitor<PendingRequests>>,
    /// The buffers of the datagrams that wait to be written.
    buffers: BufferPool,
    heartbeat: Option<Duration>,
    /// The checks that a heartbeat runs besides the lookup that every bridge answers.
    beats: Mutex<Vec<Beat>>,
    of_forwarding: bool,
    /// Ends with the control socket. A FORWARD socket has none.
    key_use: Mutex<Option<KeyUse>>,
}

/// Proves that its owner is alive, or fails with the reason why not. Returns `None` if its owner is
/// gone.
pub(crate) type Beat = Arc<dyn Fn() -> Option<Result<(), Error>> + Send + Sync>;

impl ControlSocket {
    /// Creates the control socket of a session, without its threads.
    pub(super) fn of_session(
        socket: Arc<TcpStream>,
        heartbeat: Option<Duration>,
        key_use: Option<KeyUse>,
    ) -> Self {
        Self {
            key_use: Mutex::new(key_use),
            ..Self::new(socket, heartbeat)
        }
    }

    /// Creates a FORWARD socket, without its threads. Its heartbeat runs only this check.
    pub(super) fn of_forwarding(
        socket: Arc<TcpStream>,
        heartbeat: Option<Duration>,
        beat: Beat,
    ) -> Self {
        Self {
            of_forwarding: true,
            beats: Mutex::new(vec![beat]),
            ..Self::new(socket, heartbeat)
        }
    }

    fn new(socket: Arc<TcpStream>, heartbeat: Option<Duration>) -> Self {
        Self {
            socket,
            lifetime: Lifetime::new(None),
            reader_gone: Monitor::new(false),
            outbound: Monitor::new(Outbound::new(heartbeat)),
            requests: Monitor::new(PendingRequests::default()),
            buffers: BufferPool::default(),
            heartbeat,
            beats: Mutex::default(),
            of_forwarding: false,
            key_use: Mutex::default(),
        }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn lifetime(&self) -> &Arc<Lifetime> {
        &self.lifetime
    }

    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        self.heartbeat
    }

    pub(crate) fn buffers(&self) -> &BufferPool {
        &self.buffers
    }

    pub(super) fn requests(&self) -> &Monitor<PendingRequests> {
        &self.requests
    }

    /// Adds a check to each heartbeat.
    pub(crate) fn add_to_heartbeat(&self, beat: Beat) {
        lock(&self.beats).push(beat);
    }

    /// Queues a command, and does not wait until it is written.
    pub(super) fn send(self: &Arc<Self>, command: Command) -> Result<(), SessionLoss> {
        self.outbound.update(|outbound| {
            if outbound.is_stopped() {
                return Ok(());
            }
            if !outbound.push_command(command) {
                return Err(SessionLoss::ProtocolViolation);
            }
            self.ensure_writer(outbound)
                .map_err(|error| SessionLoss::Io(error.kind()))
        })
    }

    /// Queues a datagram when there is room for it.
    pub(crate) fn send_datagram(
        self: &Arc<Self>,
        datagram: Vec<u8>,
        nonblocking: bool,
        call: &Call,
    ) -> Result<(), Error> {
        let mut datagram = Some(datagram);
        call.wait_on(&self.outbound, |outbound| {
            if !outbound.has_room_for_datagram() {
                return match nonblocking {
                    true => Err(Error::WouldBlock),
                    false => Ok(None),
                };
            }
            if let Some(datagram) = datagram.take() {
                outbound.push_datagram(datagram);
            }
            let writes = self.ensure_writer(outbound);
            writes.map(Some).map_err(|source| call.io_error(source))
        })?;
        self.outbound.wake();
        Ok(())
    }

    /// Starts the heartbeat, if there is one.
    pub(super) fn start_heartbeat(self: &Arc<Self>) -> io::Result<()> {
        match self.heartbeat {
            Some(_) => self
                .outbound
                .update(|outbound| self.ensure_writer(outbound)),
            None => Ok(()),
        }
    }

    /// Records that the bridge is alive, because it sent something.
    pub(super) fn note_life(&self) {
        if self.heartbeat.is_some() {
            self.outbound.lock().note_life();
        }
    }

    /// Records that the session is lost or closed, and ends everything that depends on it. Only the first
    /// reason is kept. Returns true if this was the first.
    pub(crate) fn fail(&self, loss: SessionLoss) -> bool {
        if self.lifetime.has_ended() {
            return false;
        }
        let by_us = loss == SessionLoss::Closed;
        // First, because a thread that is woken may create a session with the key.
        if let Some(key_use) = &*lock(&self.key_use) {
            key_use.end();
        }
        if !self.lifetime.end(loss) {
            return false;
        }
        self.outbound.update(|outbound| outbound.stop(by_us));
        if !by_us {
            let bridge = self.socket.peer_addr();
            self.hang_up();
            // The logger may be slow, so it comes last.
            if let (Some(loss), Ok(bridge)) = (self.lifetime.loss(), bridge) {
                event!(Warn, "a session at {bridge} is lost: {loss}");
            }
        }
        true
    }

    /// Ends everything that depends on the session at once, and the session itself when `parting` has
    /// passed.
    ///
    /// i2pd does not end a stream at the far side if its session ends right after it.
    pub(crate) fn quit(self: &Arc<Self>, parting: Duration) {
        if !self.fail(SessionLoss::Closed) {
            return;
        }
        // QUIT makes Java I2P and emissary release the id and the key at once.
        let quits = self.outbound.update(|outbound| {
            outbound.end_with(Command::quit(), later(Instant::now(), parting));
            self.ensure_writer(outbound)
        });
        if quits.is_err() {
            self.hang_up();
        }
    }

    /// Closes the session after this time, in which the last bytes of its streams can arrive.
    pub(crate) fn quit_after(self: &Arc<Self>, time: Duration) {
        if self.lifetime.has_ended() {
            return;
        }
        let wait = || {
            self.outbound.update(|outbound| {
                outbound.close_at(later(Instant::now(), time));
                self.ensure_writer(outbound)
            })
        };
        if time.is_zero() || wait().is_err() {
            self.quit(Duration::ZERO);
        }
    }

    /// Waits until the bridge has closed the socket too, for at most 2 s after `parting`.
    pub(crate) fn wait_hung_up(&self, parting: Duration) {
        let deadline = Deadline::after(Some(QUIT_TIMEOUT + parting));
        self.reader_gone
            .wait_until(deadline, |gone| gone.then_some(()));
    }

    pub(crate) fn hang_up(&self) {
        // It fails only if the connection is gone.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Takes the use of the session's key, which ends when it is dropped.
    pub(super) fn take_key_use(&self) -> Option<KeyUse> {
        lock(&self.key_use).take()
    }

    /// Records that nothing reads the socket any more.
    pub(super) fn note_reader_gone(&self) {
        self.reader_gone.update(|gone| *gone = true);
    }
}

/// The writer thread.
impl ControlSocket {
    /// Starts the writer thread, unless it runs.
    fn ensure_writer(self: &Arc<Self>, outbound: &mut Outbound) -> io::Result<()> {
        if !outbound.has_writer() {
            let writer = Arc::clone(self);
            spawn("i2p-sam-writer", move || writer.run_writer())?;
            outbound.begin_writing();
        }
        Ok(())
    }

    /// The work of the writer thread. It ends 5 s after the last command if there is no heartbeat,
    /// after QUIT, or when the session is lost.
    fn run_writer(self: &Arc<Self>) {
        loop {
            let outcome = match self.next_step() {
                Step::Command(command) => self.write(command.as_bytes()),
                Step::Datagram(datagram) => self.write_datagram(datagram),
                Step::Heartbeat => self.send_heartbeat(),
                Step::Dead(interval) => {
                    self.fail(SessionLoss::HeartbeatTimeout(interval));
                    continue;
                }
                Step::Close => {
                    self.quit(Duration::ZERO);
                    continue;
                }
                Step::Quit => {
                    // It fails only if the connection is gone.
                    let _ = self.socket.shutdown(Shutdown::Write);
                    self.wait_hung_up(Duration::ZERO);
                    return self.hang_up();
                }
                Step::Leave => return,
            };
            if let Err(error) = outcome {
                // If it is not the first reason, we closed the session, and the bridge does not even read
                // the last command.
                if !self.fail(loss(error)) {
                    return self.hang_up();
                }
            }
        }
    }

    /// Waits for the next step.
    fn next_step(&self) -> Step {
        let idle_since = Instant::now();
        let step = self.outbound.wait_until_due(|outbound| {
            let next = outbound.next(Instant::now(), idle_since);
            next.map_err(Deadline::at)
        });
        if matches!(step, Step::Datagram(_)) {
            // There is room for another datagram.
            self.outbound.wake();
        }
        step
    }

    fn send_heartbeat(&self) -> Result<(), Error> {
        if self.of_forwarding {
            // On a FORWARD socket a bridge answers no command.
            self.note_life();
        } else {
            self.look_up_me()?;
        }
        self.run_beats()
    }

    /// Sends a lookup that every router answers. A PING would make i2pd close the socket.
    fn look_up_me(&self) -> Result<(), Error> {
        // The deadline of the running lookup notices a bridge that is gone. A second lookup would be
        // answered after it.
        if self.requests.lock().is_looking_up(Instant::now()) {
            self.note_life();
            return Ok(());
        }
        // Another command may just have been written, or may be written at once.
        thread::sleep(COMMAND_GAP);
        self.write(Command::naming_lookup("ME")?.as_bytes())?;
        thread::sleep(COMMAND_GAP);
        Ok(())
    }

    /// Runs the checks of a heartbeat, and removes those whose owner is gone.
    fn run_beats(&self) -> Result<(), Error> {
        // Without the lock: a check may take as long as the bridge takes to reply.
        let beats = lock(&self.beats).clone();
        for beat in beats {
            match beat() {
                Some(outcome) => outcome?,
                None => lock(&self.beats).retain(|other| !Arc::ptr_eq(other, &beat)),
            }
        }
        Ok(())
    }

    fn write_datagram(&self, datagram: Vec<u8>) -> Result<(), Error> {
        let outcome = self.write(&datagram);
        self.buffers.give_back(datagram);
        thread::sleep(DATAGRAM_GAP);
        outcome
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let call = Call::new(Phase::Command).within(Some(WRITE_TIME));
        write_all(&self.socket, bytes, &call)
    }
}

/// Returns the loss that an error of the writer thread means.
fn loss(error: Error) -> SessionLoss {
    match error {
        Error::UnexpectedEof { .. } => SessionLoss::Disconnected,
        Error::Io { source, .. } => SessionLoss::Io(source.kind()),
        Error::SessionLost(loss) => loss,
        _ => SessionLoss::ProtocolViolation,
    }
}
