//! Finds the bridge for an example: the router's if one answers, otherwise that of a private
//! network.

#![allow(dead_code, reason = "each example uses a part of it")]

use std::env::{self, VarError};
use std::error::Error;
use std::io::Write;
use std::iter;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::server::{Server, ServerOptions};
use i2p_sam::{
    HealingOptions, HealingSession, SamBridge, SessionBuilder, SessionOptions, StreamSession,
};
use i2p_sam_testnet::Testnet;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Names more options for the sessions: `inbound.length=0 outbound.length=0`. A router that knows
/// no other router can build no tunnels without these two.
const OPTIONS: &str = "I2P_SAM_OPTIONS";

/// Ends an example, and prints the error if it failed.
pub(crate) fn exit_code(outcome: Outcome) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprintln!("Error: {}", in_full(&*error));
    ExitCode::FAILURE
}

/// Returns an error with its causes: an error's `Display` does not repeat the text of its source.
pub(crate) fn in_full(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// Returns a server with small stacks that prints each failure.
pub(crate) fn server() -> Server {
    let options = ServerOptions::new().stack_size(128 * 1024);
    Server::new(&options.on_failure(|failure| eprintln!("{}", in_full(failure))))
}

/// Stops the server at Ctrl-C, and when the system asks the process to end. A second signal ends the process
/// at once.
pub(crate) fn stop_on_ctrl_c(server: &Server) -> Outcome {
    let server = server.clone();
    ctrlc::set_handler(move || {
        if server.is_stopped() {
            std::process::exit(130);
        }
        let running = server.stats().open;
        eprintln!("Stopping; {running} are running. Ctrl-C again ends it at once.");
        server.stop();
    })?;
    Ok(())
}

/// A bridge that answers, and the options that its network needs.
pub(crate) struct Place {
    pub(crate) bridge: SamBridge,
    options: SessionOptions,
    /// The private network; it ends when this value is dropped.
    network: Option<Testnet>,
}

impl Place {
    /// Returns the bridge at `I2P_SAM_ADDRESS`, or at 127.0.0.1:7656, if it answers; otherwise the
    /// bridge of a private I2P network of three routers, started inside this process.
    pub(crate) fn find() -> Outcome<Self> {
        match Self::at_router()? {
            Some(place) => Ok(place),
            None => Self::embedded(),
        }
    }

    /// Returns the bridge at `I2P_SAM_ADDRESS`, or at 127.0.0.1:7656, if it answers.
    pub(crate) fn at_router() -> Outcome<Option<Self>> {
        let bridge = SamBridge::from_env()?;
        match bridge.version() {
            Ok(version) => {
                eprintln!("The SAM bridge at {} uses SAM {version}.", bridge.address());
                Ok(Some(Self {
                    bridge,
                    options: with_named(SessionOptions::new())?,
                    network: None,
                }))
            }
            Err(i2p_sam::Error::Unreachable { address, .. }) => {
                eprintln!("No SAM bridge answers at {address}.");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Starts a private network, which ends when the returned value is dropped.
    pub(crate) fn embedded() -> Outcome<Self> {
        eprintln!("Starting a private I2P network of three routers inside this process instead.");
        let network = Testnet::start_with(|step| eprintln!("  {step}"))?;
        let mut options = SessionOptions::new();
        for (name, value) in Testnet::OPTIONS {
            options = options.option(name, value);
        }
        let bridge = SamBridge::builder()
            .address(network.sam_address().to_string())
            .udp_address(network.udp_address().to_string())
            .build()?;
        Ok(Self {
            bridge,
            options: with_named(options)?,
            network: Some(network),
        })
    }

    /// Returns a session builder with the options that this network needs.
    pub(crate) fn session(&self, nickname: &str) -> SessionBuilder {
        self.session_at(&self.bridge, nickname)
    }

    /// Returns a session builder at another bridge of a network that needs the same options.
    pub(crate) fn session_at(&self, bridge: &SamBridge, nickname: &str) -> SessionBuilder {
        let builder = bridge.session().options(self.options.clone());
        builder.nickname(nickname)
    }

    /// Creates a session, and prints dots while the router builds tunnels.
    pub(crate) fn stream_session(&self, nickname: &str) -> Outcome<StreamSession> {
        let builder = self.session(nickname);
        eprint!("Building tunnels for {nickname} ");
        let session = with_dots(move || builder.stream())?;
        Ok(session)
    }

    /// Creates a session that is made again whenever it is lost, and prints each such event.
    pub(crate) fn healing_session(
        &self,
        nickname: &str,
        builder: SessionBuilder,
    ) -> Outcome<HealingSession> {
        // A router may still hold the key of a server that was killed a moment ago.
        let options = HealingOptions::new().retry_initial(true);
        let options = options.on_event(|_, event| eprintln!("{event}"));
        eprint!("Building tunnels for {nickname} ");
        let session = with_dots(move || builder.healing_with(&options))?;
        Ok(session)
    }

    /// Returns the environment with which another process reaches the same network, if it needs
    /// one.
    pub(crate) fn environment(&self) -> String {
        match &self.network {
            Some(network) => format!(
                "I2P_SAM_ADDRESS={} I2P_SAM_UDP_ADDRESS={} ",
                network.sam_address(),
                network.udp_address()
            ),
            None => String::new(),
        }
    }
}

/// Adds the options from the environment.
fn with_named(mut options: SessionOptions) -> Outcome<SessionOptions> {
    let text = match env::var(OPTIONS) {
        Err(VarError::NotPresent) => return Ok(options),
        named => named?,
    };
    for pair in text.split_whitespace() {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| format!("{OPTIONS}: {pair:?} is not name=value"))?;
        options = options.option(name, value);
    }
    Ok(options)
}

/// Prints a dot each second until the work is done, and then the time it took.
fn with_dots<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let start = Instant::now();
    let (done, wait) = mpsc::channel::<()>();
    let worker = thread::spawn(move || {
        let _done = done;
        work()
    });
    while wait.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprint!(".");
        let _ = std::io::stderr().flush();
    }
    eprintln!(" {:.1} s", start.elapsed().as_secs_f32());
    match worker.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
