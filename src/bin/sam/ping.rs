//! `sam ping`: the time that a dial takes.

use std::time::{Duration, Instant};

use i2p_sam::{Error, StreamSession};

use crate::arguments::Ping;
use crate::context::Context;
use crate::failure::{Failure, in_full};
use crate::json::{Object, milliseconds};

pub(crate) fn run(context: &Context, ping: &Ping) -> Result<(), Failure> {
    let session = context.stream(context.session(None)?)?;
    let mut tally = Tally::default();
    let outcome = dial_all(context, &session, ping, &mut tally);
    session.close();
    // The dials until Ctrl-C count.
    if !matches!(outcome, Ok(()) | Err(Failure::Interrupted)) {
        outcome?;
    }
    tally.print(context, ping)?;
    match tally.error {
        Some(error) if tally.times.is_empty() => Err(Failure::Shown(Failure::from(error).code())),
        None if tally.times.is_empty() => Err(Failure::Interrupted),
        _ => Ok(()),
    }
}

#[derive(Default)]
struct Tally {
    times: Vec<Duration>,
    failed: usize,
    /// The last error of a dial.
    error: Option<Error>,
}

fn dial_all(
    context: &Context,
    session: &StreamSession,
    ping: &Ping,
    tally: &mut Tally,
) -> Result<(), Failure> {
    for number in 1..=ping.count {
        if number > 1 {
            pause(session, ping.interval)?;
        }
        dial(context, session, ping, number, tally)?;
    }
    Ok(())
}

fn dial(
    context: &Context,
    session: &StreamSession,
    ping: &Ping,
    number: u32,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let peer = &ping.destination;
    let progress = context.progress(&format!("Dialling {peer}"));
    let start = Instant::now();
    let outcome = session.connect(peer);
    let time = start.elapsed();
    drop(progress);
    let line = match outcome {
        Ok(_) => {
            tally.times.push(time);
            format!("{number}: {} ms", milliseconds(time))
        }
        Err(error @ Error::Cancelled { .. }) => return Err(error.into()),
        Err(error) if error.is_session_lost() => return Err(error.into()),
        Err(error) => {
            tally.failed += 1;
            let line = format!("{number}: {}", in_full(&error));
            tally.error = Some(error);
            line
        }
    };
    if context.output.is_json() {
        return Ok(());
    }
    context.output.result(&line)
}

/// Waits; the wait ends with the session, and at Ctrl-C.
fn pause(session: &StreamSession, time: Duration) -> Result<(), Failure> {
    if time.is_zero() {
        return Ok(());
    }
    match session.wait_closed(Some(time)) {
        Ok(loss) => Err(Error::SessionLost(loss).into()),
        Err(error) if error.is_timeout() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

impl Tally {
    fn print(&self, context: &Context, ping: &Ping) -> Result<(), Failure> {
        let shortest = self.times.iter().min().copied();
        let longest = self.times.iter().max().copied();
        let average = self.average();
        let dials = self.times.len() + self.failed;
        if context.output.is_json() {
            let times: Vec<String> = self.times.iter().copied().map(milliseconds).collect();
            return context.output.object(
                Object::new()
                    .string("destination", &ping.destination.to_string())
                    .number("dials", dials as u64)
                    .number("succeeded", self.times.len() as u64)
                    .array("times_ms", &times)
                    .milliseconds("shortest_ms", shortest)
                    .milliseconds("average_ms", average)
                    .milliseconds("longest_ms", longest)
                    .maybe(
                        "error",
                        self.error.as_ref().map(|error| in_full(error)).as_deref(),
                    ),
            );
        }
        let mut line = format!("{} of {dials} dials succeeded", self.times.len());
        if let (Some(shortest), Some(average), Some(longest)) = (shortest, average, longest) {
            line.push_str(&format!(
                "; shortest, average and longest: {}, {}, {} ms",
                milliseconds(shortest),
                milliseconds(average),
                milliseconds(longest)
            ));
        }
        context.output.result(&line)
    }

    fn average(&self) -> Option<Duration> {
        let count = u32::try_from(self.times.len()).ok()?;
        self.times.iter().sum::<Duration>().checked_div(count)
    }
}
