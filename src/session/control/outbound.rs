use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::bridge::write_all;
use crate::error::{Error, Phase, SessionLoss};
use crate::session::control::socket::ControlSocket;
use crate::sync::{BufferPool, Call, Deadline, Monitor, Wake, spawn};
use crate::wire::Command;

/// The most commands that wait to be written. A bridge that causes more of them does not read.
const MOST_QUEUED: usize = 64;

/// The longest time to write one command.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// The time between two commands that do not answer the bridge: i2pd and emissary 0.4.0 ignore one that
/// arrives in the same segment as another.
pub(crate) const COMMAND_GAP: Duration = Duration::from_millis(100);

/// The time between two datagrams: i2pd reads one from a segment, and the rest only when more arrives.
const DATAGRAM_GAP: Duration = Duration::from_millis(5);

/// The most datagrams that wait to be written.
const MOST_DATAGRAMS: usize = 12;

/// The time for which the thread stays when there is nothing to write.
const IDLE_TIME: Duration = Duration::from_secs(5);

/// Writes to a control socket, in order, on a thread that runs while it is needed.
///
/// The reader thread must go on while a bridge does not read, or the two would wait for each other.
/// Dropping a session must not block. So neither of them writes.
pub(crate) struct ControlWriter {
    state: Arc<Monitor<State>>,
    heartbeat: Option<Duration>,
    /// The buffers of the datagrams that wait to be written.
    buffers: BufferPool,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Outbound>,
    /// The number of datagrams among the entries that wait.
    datagrams: usize,
    running: bool,
    /// Only the last command is written from now on.
    stopped: bool,
    /// The last command, and the time at which it is due. The socket is closed after it.
    last: Option<(Command, Instant)>,
    /// The last command was written.
    parting: bool,
    next_beat: Option<Instant>,
    unanswered: bool,
    /// The time at which a session without guards is closed.
    close_at: Option<Instant>,
}

/// A command or datagram that waits to be written.
enum Outbound {
    Command(Command),
    Datagram(Vec<u8>),
}

/// The next step of the thread.
enum Action {
    Send(Command),
    Datagram(Vec<u8>),
    Heartbeat,
    /// The bridge did not answer the last heartbeat before the next was due.
    Dead(Duration),
    Close,
    Quit,
    Leave,
}

impl ControlWriter {
    pub(crate) fn new(heartbeat: Option<Duration>) -> Self {
        Self {
            state: Monitor::new(State::default()),
            heartbeat,
            buffers: BufferPool::default(),
        }
    }

    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        self.heartbeat
    }

    pub(crate) fn buffers(&self) -> &BufferPool {
        &self.buffers
    }

    /// Queues a command, and does not wait until it is written.
    pub(crate) fn send(
        &self,
        control: &Arc<ControlSocket>,
        command: &Command,
    ) -> Result<(), SessionLoss> {
        self.state.update(|state| {
            if state.stopped {
                return Ok(());
            }
            if state.queue.len() - state.datagrams >= MOST_QUEUED {
                return Err(SessionLoss::ProtocolViolation);
            }
            state.queue.push_back(Outbound::Command(command.clone()));
            state
                .ensure_running(control)
                .map_err(|error| SessionLoss::Io(error.kind()))
        })
    }

    /// Writes a last command when this time has passed, and then closes the socket.
    pub(crate) fn send_last(
        &self,
        control: &Arc<ControlSocket>,
        command: Command,
        after: Duration,
    ) -> io::Result<()> {
        self.state.update(|state| {
            state.last = Some((command, from_now(after)));
            state.stopped = true;
            state.ensure_running(control)
        })
    }

    /// Closes the session when this time has passed.
    pub(crate) fn close_after(
        &self,
        control: &Arc<ControlSocket>,
        time: Duration,
    ) -> io::Result<()> {
        self.state.update(|state| {
            state.close_at = Some(from_now(time));
            state.ensure_running(control)
        })
    }

    /// Empties the queue, except for the datagrams if `finish`, and queues nothing more.
    pub(crate) fn stop(&self, finish: bool) {
        self.state.update(|state| {
            state
                .queue
                .retain(|outbound| finish && matches!(outbound, Outbound::Datagram(_)));
            state.datagrams = state.queue.len();
            state.stopped = true;
        });
    }

    /// Starts the heartbeat.
    pub(crate) fn start_heartbeat(&self, control: &Arc<ControlSocket>) -> io::Result<()> {
        self.state.update(|state| state.ensure_running(control))
    }

    /// Records that the bridge is alive, because it sent something.
    pub(crate) fn note_life(&self) {
        if self.heartbeat.is_some() {
            self.state.lock().unanswered = false;
        }
    }

    /// Waits for the next step.
    fn next(&self) -> Action {
        let idle_since = Instant::now();
        let next = self.state.wait_until_due(|state| {
            match state.queue.pop_front() {
                Some(Outbound::Command(command)) => return Ok(Action::Send(command)),
                Some(Outbound::Datagram(outbound)) => {
                    state.datagrams -= 1;
                    return Ok(Action::Datagram(outbound));
                }
                None => {}
            }
            if state.parting {
                return Ok(Action::Quit);
            }
            let due = Deadline::at(self.due_at(state, idle_since));
            match due.has_passed() {
                true => Ok(self.due(state)),
                false => Err(due),
            }
        });
        if matches!(next, Action::Datagram(_)) {
            // There is room for another datagram.
            self.state.wake();
        }
        next
    }

    /// Returns the time of the next step, if nothing is queued before.
    fn due_at(&self, state: &mut State, idle_since: Instant) -> Instant {
        if let Some((_, at)) = &state.last {
            return *at;
        }
        if state.stopped {
            return idle_since;
        }
        let beat = self
            .heartbeat
            .map(|interval| *state.next_beat.get_or_insert_with(|| from_now(interval)));
        match (beat, state.close_at) {
            (Some(beat), Some(close)) => beat.min(close),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => idle_since + IDLE_TIME,
        }
    }

    /// Returns the step that is due now.
    fn due(&self, state: &mut State) -> Action {
        if let Some((command, _)) = state.last.take() {
            state.parting = true;
            return Action::Send(command);
        }
        if !state.stopped && state.close_at.is_some_and(|at| at <= Instant::now()) {
            return Action::Close;
        }
        let Some(interval) = self.heartbeat.filter(|_| !state.stopped) else {
            state.running = false;
            return Action::Leave;
        };
        if state.unanswered {
            return Action::Dead(interval);
        }
        state.unanswered = true;
        state.next_beat = Some(from_now(interval));
        Action::Heartbeat
    }
}

impl State {
    /// Starts the writer thread, unless it runs.
    fn ensure_running(&mut self, control: &Arc<ControlSocket>) -> io::Result<()> {
        if !self.running {
            let writer = Arc::clone(control);
            spawn("i2p-sam-writer", move || writer.run_writer())?;
            self.running = true;
        }
        Ok(())
    }
}

/// Returns the time after this duration. A time that the clock cannot represent is limited.
fn from_now(time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

    Instant::now() + time.min(FAR)
}

impl ControlSocket {
    /// The work of the writer thread. It ends 5 s after the last command if there is no heartbeat,
    /// after QUIT, or when the session is lost.
    fn run_writer(self: &Arc<Self>) {
        loop {
            let outcome = match self.writer().next() {
                Action::Send(command) => self.write(&command),
                Action::Datagram(outbound) => self.write_datagram(outbound),
                Action::Heartbeat => self.send_heartbeat(),
                Action::Dead(interval) => {
                    self.fail(SessionLoss::HeartbeatTimeout(interval));
                    continue;
                }
                Action::Close => {
                    self.close(Duration::ZERO);
                    continue;
                }
                Action::Quit => {
                    // It fails only if the connection is gone.
                    let _ = self.socket().shutdown(Shutdown::Write);
                    self.wait_hung_up(Duration::ZERO);
                    return self.hang_up();
                }
                Action::Leave => return,
            };
            if let Err(error) = outcome {
                let first = self.fail(match error {
                    Error::UnexpectedEof { .. } => SessionLoss::Disconnected,
                    Error::Io { source, .. } => SessionLoss::Io(source.kind()),
                    Error::SessionLost(loss) => loss,
                    _ => SessionLoss::ProtocolViolation,
                });
                // We closed the session, and the bridge does not even read the last command.
                if !first {
                    return self.hang_up();
                }
            }
        }
    }

    fn send_heartbeat(&self) -> Result<(), Error> {
        if self.is_of_forwarding() {
            self.writer().note_life();
        } else {
            self.look_up_me()?;
        }
        self.run_beats()
    }

    /// Sends a lookup that every router answers. A PING would make i2pd close the socket.
    fn look_up_me(&self) -> Result<(), Error> {
        // The deadline of the running lookup notices a bridge that is gone. A second lookup would be
        // answered after it.
        if self.is_looking_up() {
            self.writer().note_life();
            return Ok(());
        }
        // Another command may just have been written, or may be written at once.
        thread::sleep(COMMAND_GAP);
        self.write(&Command::naming_lookup("ME")?)?;
        thread::sleep(COMMAND_GAP);
        Ok(())
    }

    fn write(&self, command: &Command) -> Result<(), Error> {
        self.write_bytes(command.as_bytes())
    }

    fn write_datagram(&self, outbound: Vec<u8>) -> Result<(), Error> {
        let outcome = self.write_bytes(&outbound);
        self.writer().buffers().give_back(outbound);
        thread::sleep(DATAGRAM_GAP);
        outcome
    }

    fn write_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        let call = Call::new(Phase::Command).within(Some(WRITE_TIME));
        write_all(self.socket(), bytes, &call)
    }

    /// Queues a datagram when there is room for it.
    pub(crate) fn send_datagram(
        self: &Arc<Self>,
        outbound: Vec<u8>,
        nonblocking: bool,
        call: &Call,
    ) -> Result<(), Error> {
        let writer = self.writer();
        let mut outbound = Some(outbound);
        call.wait_on(&writer.state, |state| {
            if state.datagrams >= MOST_DATAGRAMS {
                return match nonblocking {
                    true => Err(Error::WouldBlock),
                    false => Ok(None),
                };
            }
            state.queue.extend(outbound.take().map(Outbound::Datagram));
            state.datagrams += 1;
            let speaks = state.ensure_running(self);
            speaks.map(Some).map_err(|source| call.io_error(source))
        })?;
        writer.state.wake();
        Ok(())
    }
}
