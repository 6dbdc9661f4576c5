use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::write_all;
use crate::error::{Error, Phase, SessionLoss};
use crate::session::control::Control;
use crate::sync::{BufferPool, Call, Deadline, Monitor, Wake, spawn};
use crate::wire::Command;

/// Most commands that wait to be said. A bridge that makes us say more does not listen.
const MOST_QUEUED: usize = 64;

/// Longest time one command takes to be written.
const WRITE_TIME: Duration = Duration::from_secs(30);

/// Time between commands of which neither answers the bridge: i2pd and emissary 0.4.0 pass over one
/// that comes in one segment with another.
pub(crate) const BREATH: Duration = Duration::from_millis(100);

/// Time between two datagrams: i2pd reads one out of a segment, and leaves what else is in it until
/// it hears more.
const DATAGRAM_BREATH: Duration = Duration::from_millis(5);

/// Most datagrams that wait to be said.
const MOST_DATAGRAMS: usize = 12;

/// How long the thread that speaks stays when there is nothing to say.
const LINGER: Duration = Duration::from_secs(5);

/// What is said on a control socket, in order, by a thread that is there while it is needed.
///
/// The keeper must go on reading while a bridge does not, or the two would wait for each other;
/// and dropping a session must not block. So neither writes.
pub(crate) struct Voice {
    state: Arc<Monitor<State>>,
    heartbeat: Option<Duration>,
    /// For datagrams that wait to be said.
    buffers: BufferPool,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Said>,
    /// How many of those that wait are datagrams.
    datagrams: usize,
    speaking: bool,
    /// Nothing is said any more, but for a last word.
    hushed: bool,
    /// A last word, and when it is to be said. The socket is closed behind it.
    last: Option<(Command, Instant)>,
    /// The last word was said.
    parting: bool,
    next_beat: Option<Instant>,
    unanswered: bool,
    /// Nobody holds the session any more, and then it is closed.
    close_at: Option<Instant>,
}

/// What waits to be said.
enum Said {
    Command(Command),
    Datagram(Vec<u8>),
}

/// What the thread does next.
enum Next {
    Say(Command),
    Datagram(Vec<u8>),
    Beat,
    /// The last heartbeat was not answered until the next was due.
    Dead(Duration),
    Close,
    Farewell,
    Leave,
}

impl Voice {
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

    /// Says a command after those that wait. It is not waited for.
    pub(crate) fn say(&self, control: &Arc<Control>, command: &Command) -> Result<(), SessionLoss> {
        self.state.update(|state| {
            if state.hushed {
                return Ok(());
            }
            if state.queue.len() - state.datagrams >= MOST_QUEUED {
                return Err(SessionLoss::Garbled);
            }
            state.queue.push_back(Said::Command(command.clone()));
            state
                .ensure_speaking(control)
                .map_err(|error| SessionLoss::Io(error.kind()))
        })
    }

    /// Says a last command when this time has passed, and closes the socket behind it.
    pub(crate) fn say_last(
        &self,
        control: &Arc<Control>,
        command: Command,
        after: Duration,
    ) -> io::Result<()> {
        self.state.update(|state| {
            state.last = Some((command, from_now(after)));
            state.hushed = true;
            state.ensure_speaking(control)
        })
    }

    /// Closes the session when this time has passed.
    pub(crate) fn close_after(&self, control: &Arc<Control>, time: Duration) -> io::Result<()> {
        self.state.update(|state| {
            state.close_at = Some(from_now(time));
            state.ensure_speaking(control)
        })
    }

    /// Says nothing more, or nothing but the datagrams that were sent before.
    pub(crate) fn hush(&self, finish: bool) {
        self.state.update(|state| {
            state
                .queue
                .retain(|said| finish && matches!(said, Said::Datagram(_)));
            state.datagrams = state.queue.len();
            state.hushed = true;
        });
    }

    /// Starts the heartbeat.
    pub(crate) fn wake_up(&self, control: &Arc<Control>) -> io::Result<()> {
        self.state.update(|state| state.ensure_speaking(control))
    }

    /// The bridge is alive, whatever it said.
    pub(crate) fn heard_something(&self) {
        if self.heartbeat.is_some() {
            self.state.lock().unanswered = false;
        }
    }

    /// Waits for something to do.
    fn next(&self) -> Next {
        let idle_since = Instant::now();
        let next = self.state.wait_until_due(|state| {
            match state.queue.pop_front() {
                Some(Said::Command(command)) => return Ok(Next::Say(command)),
                Some(Said::Datagram(said)) => {
                    state.datagrams -= 1;
                    return Ok(Next::Datagram(said));
                }
                None => {}
            }
            if state.parting {
                return Ok(Next::Farewell);
            }
            let due = Deadline::at(self.due_at(state, idle_since));
            match due.has_passed() {
                true => Ok(self.due(state)),
                false => Err(due),
            }
        });
        if matches!(next, Next::Datagram(_)) {
            // There is room for another.
            self.state.wake();
        }
        next
    }

    /// When there is something to do, if nothing is said before.
    fn due_at(&self, state: &mut State, idle_since: Instant) -> Instant {
        if let Some((_, at)) = &state.last {
            return *at;
        }
        if state.hushed {
            return idle_since;
        }
        let beat = self
            .heartbeat
            .map(|interval| *state.next_beat.get_or_insert_with(|| from_now(interval)));
        match (beat, state.close_at) {
            (Some(beat), Some(close)) => beat.min(close),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => idle_since + LINGER,
        }
    }

    /// The time to wait has run out.
    fn due(&self, state: &mut State) -> Next {
        if let Some((command, _)) = state.last.take() {
            state.parting = true;
            return Next::Say(command);
        }
        if !state.hushed && state.close_at.is_some_and(|at| at <= Instant::now()) {
            return Next::Close;
        }
        let Some(interval) = self.heartbeat.filter(|_| !state.hushed) else {
            state.speaking = false;
            return Next::Leave;
        };
        if state.unanswered {
            return Next::Dead(interval);
        }
        state.unanswered = true;
        state.next_beat = Some(from_now(interval));
        Next::Beat
    }
}

impl State {
    /// Starts the thread that writes, unless it runs.
    fn ensure_speaking(&mut self, control: &Arc<Control>) -> io::Result<()> {
        if !self.speaking {
            let speaker = Arc::clone(control);
            spawn("i2p-sam-voice", move || speaker.speak())?;
            self.speaking = true;
        }
        Ok(())
    }
}

/// A time that the clock cannot hold is far enough away.
fn from_now(time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

    Instant::now() + time.min(FAR)
}

impl Control {
    /// The work of the thread that writes. It ends 5 s after the last command if there is no heartbeat,
    /// after QUIT, or when the session is lost.
    fn speak(self: &Arc<Self>) {
        loop {
            let outcome = match self.voice().next() {
                Next::Say(command) => self.write(&command),
                Next::Datagram(said) => self.write_datagram(said),
                Next::Beat => self.send_heartbeat(),
                Next::Dead(interval) => {
                    self.lose(SessionLoss::Unanswered(interval));
                    continue;
                }
                Next::Close => {
                    self.close(Duration::ZERO);
                    continue;
                }
                Next::Farewell => {
                    // It fails only where there is no connection any more.
                    let _ = self.socket().shutdown(Shutdown::Write);
                    self.await_farewell(Duration::ZERO);
                    return self.hang_up();
                }
                Next::Leave => return,
            };
            if let Err(error) = outcome {
                let first = self.lose(match error {
                    Error::UnexpectedEof { .. } => SessionLoss::BridgeGone,
                    Error::Io { source, .. } => SessionLoss::Io(source.kind()),
                    Error::SessionLost(loss) => loss,
                    _ => SessionLoss::Garbled,
                });
                // We closed it, and the bridge does not even take our last word.
                if !first {
                    return self.hang_up();
                }
            }
        }
    }

    fn send_heartbeat(&self) -> Result<(), Error> {
        if self.is_of_forwarding() {
            self.voice().heard_something();
        } else {
            self.ask_who_we_are()?;
        }
        self.run_beats()
    }

    /// Asks what every router answers; a PING makes i2pd hang up.
    fn ask_who_we_are(&self) -> Result<(), Error> {
        // Its own deadline notices a bridge that is gone; the answer to a heartbeat would come after.
        if self.is_looking_up() {
            self.voice().heard_something();
            return Ok(());
        }
        // Something may just have been asked, or may be asked at once.
        thread::sleep(BREATH);
        self.write(&Command::naming_lookup("ME")?)?;
        thread::sleep(BREATH);
        Ok(())
    }

    fn write(&self, command: &Command) -> Result<(), Error> {
        self.write_bytes(command.as_bytes())
    }

    fn write_datagram(&self, said: Vec<u8>) -> Result<(), Error> {
        let outcome = self.write_bytes(&said);
        self.voice().buffers().give_back(said);
        thread::sleep(DATAGRAM_BREATH);
        outcome
    }

    fn write_bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        let call = Call::new(Phase::Command).within(Some(WRITE_TIME));
        write_all(self.socket(), bytes, &call)
    }

    /// Says a datagram after what waits to be said, when there is room for it.
    pub(crate) fn say_datagram(
        self: &Arc<Self>,
        said: Vec<u8>,
        nonblocking: bool,
        call: &Call,
    ) -> Result<(), Error> {
        let voice = self.voice();
        let mut said = Some(said);
        call.wait_on(&voice.state, |state| {
            if state.datagrams >= MOST_DATAGRAMS {
                return match nonblocking {
                    true => Err(Error::WouldBlock),
                    false => Ok(None),
                };
            }
            state.queue.extend(said.take().map(Said::Datagram));
            state.datagrams += 1;
            let speaks = state.ensure_speaking(self);
            speaks.map(Some).map_err(|source| call.io_error(source))
        })?;
        voice.state.wake();
        Ok(())
    }
}
