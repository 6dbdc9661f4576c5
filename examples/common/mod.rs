//! Where an example runs: on the router's bridge if one answers, else on a private network.

#![allow(dead_code, reason = "each example uses a part of it")]

pub(crate) mod server;

use std::env::{self, VarError};
use std::io::Write;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use i2p_sam::{
    HealingOptions, HealingSession, SamBridge, SessionBuilder, SessionOptions, StreamSession,
};
use i2p_sam_testnet::Testnet;

pub(crate) use server::{Outcome, in_full};

/// Names further options of the sessions: `inbound.length=0 outbound.length=0`. A router that knows
/// no other can make no tunnels without these two.
const OPTIONS: &str = "I2P_SAM_OPTIONS";

/// Ends an example, and prints why if it failed.
pub(crate) fn exit_code(outcome: Outcome) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprintln!("Error: {}", in_full(&*error));
    ExitCode::FAILURE
}

/// A bridge that answers, and what its network needs to be told.
pub(crate) struct Place {
    pub(crate) bridge: SamBridge,
    options: SessionOptions,
    /// Ends with this.
    network: Option<Testnet>,
}

impl Place {
    /// The bridge that `I2P_SAM_ADDRESS` names or the one on 127.0.0.1:7656, if it answers; else
    /// the bridge of a private I2P network of three routers, started inside this process.
    pub(crate) fn find() -> Outcome<Self> {
        match Self::at_router()? {
            Some(place) => Ok(place),
            None => Self::embedded(),
        }
    }

    /// The bridge that `I2P_SAM_ADDRESS` names or the one on 127.0.0.1:7656, if it answers.
    pub(crate) fn at_router() -> Outcome<Option<Self>> {
        let bridge = SamBridge::from_env()?;
        match bridge.version() {
            Ok(version) => {
                eprintln!(
                    "The SAM bridge at {} speaks SAM {version}.",
                    bridge.address()
                );
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

    /// A private network, which ends when this is dropped.
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

    /// A session in the making, with the options that this network needs.
    pub(crate) fn session(&self, nickname: &str) -> SessionBuilder {
        self.session_at(&self.bridge, nickname)
    }

    /// A session at another bridge, of a network that needs to be told the same.
    pub(crate) fn session_at(&self, bridge: &SamBridge, nickname: &str) -> SessionBuilder {
        let builder = bridge.session().options(self.options.clone());
        builder.nickname(nickname)
    }

    /// Makes a session, and shows that something happens while the router builds tunnels.
    pub(crate) fn stream_session(&self, nickname: &str) -> Outcome<StreamSession> {
        let builder = self.session(nickname);
        eprint!("Building tunnels for {nickname} ");
        let session = with_dots(move || builder.stream())?;
        Ok(session)
    }

    /// Makes a session that is made again whenever it is lost, and says so when it is.
    pub(crate) fn healing_session(
        &self,
        nickname: &str,
        builder: SessionBuilder,
    ) -> Outcome<HealingSession> {
        // A router may hold the key of a server that was killed a moment ago.
        let options = HealingOptions::new().retry_initial(true);
        let options = options.on_event(|_, event| eprintln!("{event}"));
        eprint!("Building tunnels for {nickname} ");
        let session = with_dots(move || builder.healing_with(&options))?;
        Ok(session)
    }

    /// How another process reaches the same network, where it would not by itself.
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

/// Adds the options that the environment names.
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

/// Prints a dot a second until the work is done, and how long it took.
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
