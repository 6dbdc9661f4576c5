//! `sam doctor`: is the bridge there, and does a stream come back to us?

use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{Error, SamListener, SamStream, StreamSession, Version};

use crate::context::{Context, check_loss};
use crate::failure::Failure;
use crate::json::Object;
use crate::router::Router;

/// A stream that carries nothing for this time is taken to be broken.
const PATIENCE: Duration = Duration::from_secs(60);
/// A router may find a destination only some seconds after it was created.
const DIALS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(3);
const WORD: &[u8; 32] = b"sam doctor sends this to itself.";

const STEPS: [&str; 5] = ["bridge", "router", "session", "dialler", "stream"];

/// Examines each bridge. It fails if one of them has a fault.
pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let mut worst = None;
    for bridge in context.bridge.routers() {
        let address = bridge.address();
        let alone = context.at(bridge);
        let mut report = Report::new(&alone, address);
        let outcome = report.examine();
        context.stop.check()?;
        if let Err(failure) = outcome {
            worst = Some(failure.code());
            report.fail(&failure)?;
        }
        report.end()?;
    }
    match worst {
        Some(code) => Err(Failure::Shown(code)),
        None => Ok(()),
    }
}

/// The steps at one bridge. Each is printed when it ends.
struct Report<'a> {
    context: &'a Context,
    address: String,
    steps: Vec<String>,
    ok: bool,
    started: Instant,
}

impl<'a> Report<'a> {
    fn new(context: &'a Context, address: String) -> Self {
        Self {
            context,
            address,
            steps: Vec::new(),
            ok: true,
            started: Instant::now(),
        }
    }

    fn examine(&mut self) -> Result<(), Failure> {
        let version = self.bridge()?;
        self.router(version)?;
        let server = self.session("a server")?;
        let dialler = self.session("a dialler")?;
        let outcome = self.stream(&server, &dialler);
        server.close();
        dialler.close();
        outcome
    }

    fn bridge(&mut self) -> Result<Version, Failure> {
        let progress = self.begin(&format!("Connecting to {}", self.address));
        let version = self.context.bridge.version()?;
        drop(progress);
        self.pass(&format!("{} answers, with SAM {version}", self.address))?;
        Ok(version)
    }

    fn router(&mut self, version: Version) -> Result<(), Failure> {
        let progress = self.begin("Recognizing the router");
        let router = Router::recognize(&self.context.bridge, version)?;
        drop(progress);
        self.pass(&format!(
            "{}, by its behaviour: {}",
            router.name(),
            router.sign()
        ))
    }

    fn session(&mut self, purpose: &str) -> Result<StreamSession, Failure> {
        let progress = self.begin(&format!(
            "Building tunnels for {purpose}: seconds, or minutes in a new router"
        ));
        let session = self.context.session(None)?.stream()?;
        drop(progress);
        let took = self.took();
        self.pass(&format!("a session for {purpose}, made in {took}"))?;
        Ok(session)
    }

    fn stream(&mut self, server: &StreamSession, dialler: &StreamSession) -> Result<(), Failure> {
        let progress = self.begin("Dialling our own destination");
        let listener = server.listener()?;
        // It ends with the session, if no stream comes.
        thread::spawn(move || echo(&listener));
        let (stream, dials) = self.dial(server, dialler)?;
        let dialled = self.took();
        let sent = Instant::now();
        exchange(&stream).map_err(|source| lost_on_the_way(dialler, &source))?;
        drop(progress);
        let dials = match dials {
            1 => String::new(),
            dials => format!(" at the {dials}. attempt"),
        };
        self.pass(&format!(
            "our own destination, dialled in {dialled}{dials}; {} bytes there and back in {}",
            WORD.len(),
            shown(sent.elapsed())
        ))
    }

    fn dial(
        &self,
        server: &StreamSession,
        dialler: &StreamSession,
    ) -> Result<(SamStream, u32), Failure> {
        let mut dials = 1;
        loop {
            match dialler.connect(server.destination()) {
                Ok(stream) => return Ok((stream, dials)),
                Err(error) if error.is_retryable() && dials < DIALS => dials += 1,
                Err(error) => return Err(error.into()),
            }
            // A pause that ends with the session, and at Ctrl-C.
            match dialler.wait_closed(Some(PAUSE)) {
                Ok(loss) => return Err(Error::SessionLost(loss).into()),
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Starts the clock of the next step.
    fn begin(&mut self, text: &str) -> crate::progress::Progress {
        self.started = Instant::now();
        self.context.progress(text)
    }

    fn took(&self) -> String {
        shown(self.started.elapsed())
    }

    fn pass(&mut self, detail: &str) -> Result<(), Failure> {
        self.print('✓', detail)?;
        self.record(true, detail, None);
        Ok(())
    }

    fn fail(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.ok = false;
        let detail = failure.text().unwrap_or_default();
        self.print('✗', &detail)?;
        let remedy = failure.remedy();
        if let (Some(remedy), false) = (remedy, self.context.output.is_json()) {
            self.context
                .output
                .result(&format!("  Remedy: {remedy}."))?;
        }
        self.record(false, &detail, remedy);
        let left = STEPS.get(self.steps.len()..).unwrap_or_default();
        if !left.is_empty() && !self.context.output.is_json() {
            let left = left.join(", ");
            self.context
                .output
                .result(&format!("- not tried: {left}"))?;
        }
        Ok(())
    }

    fn step(&self) -> &'static str {
        STEPS.get(self.steps.len()).copied().unwrap_or_default()
    }

    fn print(&self, mark: char, detail: &str) -> Result<(), Failure> {
        if self.context.output.is_json() {
            return Ok(());
        }
        self.context
            .output
            .result(&format!("{mark} {}: {detail}", self.step()))
    }

    fn record(&mut self, ok: bool, detail: &str, remedy: Option<&str>) {
        let step = Object::new()
            .string("step", self.step())
            .boolean("ok", ok)
            .milliseconds("ms", Some(self.started.elapsed()))
            .string("detail", detail)
            .maybe("remedy", remedy);
        self.steps.push(step.finish());
    }

    fn end(self) -> Result<(), Failure> {
        if !self.context.output.is_json() {
            return Ok(());
        }
        let report = Object::new()
            .string("bridge", &self.address)
            .boolean("ok", self.ok);
        self.context
            .output
            .object(report.array("steps", &self.steps))
    }
}

/// Sends back what the first caller sends.
fn echo(listener: &SamListener) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut word = [0; WORD.len()];
    stream.read_exact(&mut word)?;
    stream.write_all(&word)?;
    stream.finish(PATIENCE)
}

fn exchange(mut stream: &SamStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(WORD)?;
    let mut word = [0; WORD.len()];
    stream.read_exact(&mut word)?;
    match &word == WORD {
        true => Ok(()),
        false => Err(io::Error::other("other bytes came back than were sent")),
    }
}

fn lost_on_the_way(session: &StreamSession, source: &io::Error) -> Failure {
    if let Err(failure) = check_loss(session) {
        return failure;
    }
    Failure::Peer(format!(
        "the stream to our own destination carries nothing ({source}): run sam doctor again in a minute, \
         and update the router if it still fails"
    ))
}

/// Returns a time in seconds, or in milliseconds if it is shorter.
fn shown(time: Duration) -> String {
    match time.as_millis() {
        short @ 0..1000 => format!("{short} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
