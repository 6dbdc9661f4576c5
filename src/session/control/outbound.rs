use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::wire::Command;

/// The time between two commands that do not answer the bridge: i2pd and emissary 0.4.0 ignore one that
/// arrives in the same segment as another.
pub(crate) const COMMAND_GAP: Duration = Duration::from_millis(100);

/// The most commands that wait to be written. A bridge that causes more of them does not read.
const MOST_COMMANDS: usize = 64;

/// The most datagrams that wait to be written.
const MOST_DATAGRAMS: usize = 12;

/// The time for which the writer thread stays when there is nothing to write.
const IDLE_TIME: Duration = Duration::from_secs(5);

/// The data to write to a control socket, in order, and the times of the steps that are due without it:
/// the heartbeat, the close of a session without guards, and the last command.
///
/// It is a value: the thread that writes takes one [`Step`] after the other from it.
pub(super) struct Outbound {
    queue: VecDeque<Item>,
    /// The number of datagrams in the queue.
    datagrams: usize,
    /// True while there is a writer thread.
    has_writer: bool,
    /// Only the last command is written from now on.
    stopped: bool,
    /// The last command, and the time at which it is due. The socket is closed after it.
    last: Option<(Command, Instant)>,
    /// The last command was written.
    parting: bool,
    heartbeat: Option<Duration>,
    next_beat: Option<Instant>,
    unanswered: bool,
    /// The time at which a session without guards is closed.
    close_at: Option<Instant>,
}

enum Item {
    Command(Command),
    Datagram(Vec<u8>),
}

/// The next step of the writer thread.
#[derive(Debug)]
pub(super) enum Step {
    Command(Command),
    Datagram(Vec<u8>),
    Heartbeat,
    /// The bridge did not answer the last heartbeat before the next was due.
    Dead(Duration),
    Close,
    Quit,
    /// There is no writer thread any more.
    Leave,
}

impl Outbound {
    pub(super) fn new(heartbeat: Option<Duration>) -> Self {
        Self {
            queue: VecDeque::new(),
            datagrams: 0,
            has_writer: false,
            stopped: false,
            last: None,
            parting: false,
            heartbeat,
            next_beat: None,
            unanswered: false,
            close_at: None,
        }
    }

    pub(super) fn has_writer(&self) -> bool {
        self.has_writer
    }

    /// Records that a writer thread takes the steps from now on, until [`Step::Leave`].
    pub(super) fn begin_writing(&mut self) {
        self.has_writer = true;
    }

    /// Returns true if only the last command is written from now on.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Queues a command. Returns false if the queue is full.
    #[must_use]
    pub(super) fn push_command(&mut self, command: Command) -> bool {
        if self.queue.len() - self.datagrams >= MOST_COMMANDS {
            return false;
        }
        self.queue.push_back(Item::Command(command));
        true
    }

    pub(super) fn has_room_for_datagram(&self) -> bool {
        self.datagrams < MOST_DATAGRAMS
    }

    pub(super) fn push_datagram(&mut self, datagram: Vec<u8>) {
        self.queue.push_back(Item::Datagram(datagram));
        self.datagrams += 1;
    }

    /// Queues nothing but the command, which is due at this time. The socket is closed after it.
    pub(super) fn end_with(&mut self, last: Command, at: Instant) {
        self.last = Some((last, at));
        self.stopped = true;
    }

    /// Makes [`Step::Close`] due at this time.
    pub(super) fn close_at(&mut self, at: Instant) {
        self.close_at = Some(at);
    }

    /// Empties the queue, except for the datagrams if `finish`, and queues no more commands.
    pub(super) fn stop(&mut self, finish: bool) {
        self.queue
            .retain(|item| finish && matches!(item, Item::Datagram(_)));
        self.datagrams = self.queue.len();
        self.stopped = true;
    }

    /// Records that the bridge is alive, because it sent something.
    pub(super) fn note_life(&mut self) {
        self.unanswered = false;
    }

    /// Returns the next step, or the time of the next one if none is due. The writer thread has had
    /// nothing to write since `idle_since`.
    pub(super) fn next(&mut self, now: Instant, idle_since: Instant) -> Result<Step, Instant> {
        match self.queue.pop_front() {
            Some(Item::Command(command)) => return Ok(Step::Command(command)),
            Some(Item::Datagram(datagram)) => {
                self.datagrams -= 1;
                return Ok(Step::Datagram(datagram));
            }
            None => {}
        }
        if self.parting {
            return Ok(Step::Quit);
        }
        match self.due_at(now, idle_since) {
            at if at <= now => Ok(self.due(now)),
            at => Err(at),
        }
    }

    /// Returns the time of the next step, if nothing is queued before.
    fn due_at(&mut self, now: Instant, idle_since: Instant) -> Instant {
        if let Some((_, at)) = &self.last {
            return *at;
        }
        if self.stopped {
            return now;
        }
        let beat = self
            .heartbeat
            .map(|interval| *self.next_beat.get_or_insert_with(|| later(now, interval)));
        match (beat, self.close_at) {
            (Some(beat), Some(close)) => beat.min(close),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => idle_since + IDLE_TIME,
        }
    }

    /// Returns the step that is due now.
    fn due(&mut self, now: Instant) -> Step {
        if let Some((command, _)) = self.last.take() {
            self.parting = true;
            return Step::Command(command);
        }
        if !self.stopped && self.close_at.is_some_and(|at| at <= now) {
            return Step::Close;
        }
        let Some(interval) = self.heartbeat.filter(|_| !self.stopped) else {
            self.has_writer = false;
            return Step::Leave;
        };
        if self.unanswered {
            return Step::Dead(interval);
        }
        self.unanswered = true;
        self.next_beat = Some(later(now, interval));
        Step::Heartbeat
    }
}

/// Returns the time after this duration. A time that the clock cannot represent is limited.
pub(super) fn later(now: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

    now + time.min(FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_secs(10);

    /// Returns the words of the steps that are due now, without those that repeat for ever.
    fn steps(outbound: &mut Outbound, now: Instant) -> Vec<String> {
        let mut steps = Vec::new();
        while let Ok(step) = outbound.next(now, now) {
            let ends = matches!(step, Step::Close | Step::Dead(_) | Step::Quit | Step::Leave);
            steps.push(match step {
                Step::Command(command) => String::from_utf8_lossy(command.as_bytes())
                    .trim()
                    .to_owned(),
                Step::Datagram(datagram) => String::from_utf8(datagram).unwrap(),
                other => format!("{other:?}"),
            });
            if ends {
                break;
            }
        }
        steps
    }

    fn command(text: &str) -> Command {
        Command::pong(text).unwrap()
    }

    #[test]
    fn outbound_queued_items_come_in_order() {
        let (mut outbound, now) = (Outbound::new(None), Instant::now());
        assert!(outbound.push_command(command("1")));
        outbound.push_datagram(b"two".to_vec());
        assert!(outbound.push_command(command("3")));
        assert_eq!(steps(&mut outbound, now), ["PONG 1", "two", "PONG 3"]);
    }

    #[test]
    fn outbound_idle_thread_leaves_after_five_seconds() {
        let (mut outbound, now) = (Outbound::new(None), Instant::now());
        outbound.begin_writing();
        assert_eq!(outbound.next(now, now).unwrap_err(), now + IDLE_TIME);
        assert!(outbound.has_writer());
        let later = outbound.next(now + IDLE_TIME, now);
        assert!(matches!(later, Ok(Step::Leave)), "{later:?}");
        assert!(!outbound.has_writer());
    }

    #[test]
    fn outbound_full_of_commands_refuses_another() {
        let mut outbound = Outbound::new(None);
        outbound.push_datagram(Vec::new());
        for _ in 0..MOST_COMMANDS {
            assert!(outbound.push_command(command("1")));
        }
        assert!(!outbound.push_command(command("1")));
    }

    #[test]
    fn outbound_full_has_room_after_one_is_taken() {
        let (mut outbound, now) = (Outbound::new(None), Instant::now());
        for _ in 0..MOST_DATAGRAMS {
            assert!(outbound.has_room_for_datagram());
            outbound.push_datagram(Vec::new());
        }
        assert!(!outbound.has_room_for_datagram());
        assert!(matches!(outbound.next(now, now), Ok(Step::Datagram(_))));
        assert!(outbound.has_room_for_datagram());
    }

    #[test]
    fn outbound_unanswered_heartbeat_is_fatal_at_the_next() {
        let (mut outbound, now) = (Outbound::new(Some(BEAT)), Instant::now());
        assert_eq!(outbound.next(now, now).unwrap_err(), now + BEAT);
        assert_eq!(steps(&mut outbound, now + BEAT), ["Heartbeat"]);
        assert_eq!(steps(&mut outbound, now + BEAT * 2), ["Dead(10s)"]);
    }

    #[test]
    fn outbound_answered_heartbeat_is_followed_by_the_next() {
        let (mut outbound, now) = (Outbound::new(Some(BEAT)), Instant::now());
        assert!(outbound.next(now, now).is_err());
        for beat in 1..4 {
            assert_eq!(steps(&mut outbound, now + BEAT * beat), ["Heartbeat"]);
            outbound.note_life();
        }
    }

    #[test]
    fn outbound_close_before_the_heartbeat_is_due_first() {
        let (mut outbound, now) = (Outbound::new(Some(BEAT)), Instant::now());
        outbound.close_at(now + BEAT / 2);
        assert_eq!(outbound.next(now, now).unwrap_err(), now + BEAT / 2);
        assert_eq!(steps(&mut outbound, now + BEAT / 2), ["Close"]);
    }

    #[test]
    fn outbound_stopped_by_us_writes_datagrams_and_last_command() {
        let (mut outbound, now) = (Outbound::new(Some(BEAT)), Instant::now());
        outbound.close_at(now);
        assert!(outbound.push_command(command("1")));
        outbound.push_datagram(b"two".to_vec());
        outbound.stop(true);
        outbound.end_with(command("3"), now + BEAT);
        assert_eq!(steps(&mut outbound, now), ["two"]);
        assert_eq!(outbound.next(now, now).unwrap_err(), now + BEAT);
        assert_eq!(steps(&mut outbound, now + BEAT), ["PONG 3", "Quit"]);
    }

    #[test]
    fn outbound_stopped_by_a_loss_writes_nothing_more() {
        let (mut outbound, now) = (Outbound::new(Some(BEAT)), Instant::now());
        assert!(outbound.push_command(command("1")));
        outbound.push_datagram(b"two".to_vec());
        outbound.stop(false);
        assert_eq!(steps(&mut outbound, now), ["Leave"]);
    }

    #[test]
    fn outbound_time_beyond_the_clock_is_limited() {
        let now = Instant::now();
        assert!(later(now, Duration::MAX) > now);
    }
}
