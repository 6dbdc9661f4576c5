//! The bridge, the options of sessions and the outputs that every command shares.

use std::env::{self, VarError};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use i2p_sam::{
    Error, HealingOptions, HealingSession, I2pAddr, PrivateKey, SamBridge, SamBridgeBuilder,
    SamStream, SessionBuilder, SessionOptions, SignatureType, StreamSession,
};

use crate::arguments::{self, Global};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Progress;
use crate::stop::Stop;

const USER_VARIABLE: &str = "I2P_SAM_USER";
const OPTIONS_VARIABLE: &str = "I2P_SAM_OPTIONS";
const PASSWORD_VARIABLE: &str = "I2P_SAM_PASSWORD";
/// A longer line is no password; the limit keeps a wrong path from filling the memory.
const LONGEST_PASSWORD: u64 = 4096;

/// A bridge closes a stream and its session in no fixed order: the loss may be known later than the end.
const LOSS_DELAY: Duration = Duration::from_millis(200);

pub(crate) struct Context {
    pub(crate) bridge: SamBridge,
    pub(crate) output: Output,
    pub(crate) stop: Stop,
    options: SessionOptions,
}

impl Context {
    pub(crate) fn new(global: &Global, output: &Output) -> Result<Self, Failure> {
        let stop = Stop::install()?;
        Ok(Self {
            bridge: bridge(global)?.with_cancel(stop.cancel()),
            output: *output,
            stop,
            options: session_options(global)?,
        })
    }

    /// Returns the same context for one of several bridges.
    pub(crate) fn at(&self, bridge: SamBridge) -> Self {
        Self {
            bridge,
            output: self.output,
            stop: self.stop.clone(),
            options: self.options.clone(),
        }
    }

    /// Returns a builder with the options of the command line. A key file that does not exist is created.
    pub(crate) fn session(&self, key: Option<&Path>) -> Result<SessionBuilder, Failure> {
        let builder = self.bridge.session().options(self.options.clone());
        let builder = builder.nickname("sam");
        Ok(match key {
            Some(path) => builder.key(&self.key(path)?),
            None => builder,
        })
    }

    /// Creates a session, and shows a spinner meanwhile.
    pub(crate) fn stream(&self, builder: SessionBuilder) -> Result<StreamSession, Failure> {
        let _progress = self.progress("Building tunnels");
        Ok(builder.stream()?)
    }

    /// Creates a session that is created again after a loss. Each such event is a note.
    pub(crate) fn healing(&self, builder: SessionBuilder) -> Result<HealingSession, Failure> {
        let output = self.output;
        let options =
            HealingOptions::new().on_event(move |_, event| output.note(&event.to_string()));
        let _progress = self.progress("Building tunnels");
        Ok(builder.healing_with(&options)?)
    }

    /// Dials, and shows a spinner meanwhile.
    pub(crate) fn dial(
        &self,
        session: &StreamSession,
        peer: &I2pAddr,
    ) -> Result<SamStream, Failure> {
        let _progress = self.progress(&format!("Dialling {peer}"));
        Ok(session.connect(peer)?)
    }

    pub(crate) fn progress(&self, text: &str) -> Progress {
        Progress::start(self.output, text)
    }

    fn key(&self, path: &Path) -> Result<PrivateKey, Failure> {
        PrivateKey::load_or_generate(path, || {
            let key = self.bridge.generate(SignatureType::Ed25519)?;
            let path = path.display();
            self.output.note(&format!("Creating the key file {path}."));
            Ok(key)
        })
    }
}

/// Fails if the session is lost: the cause of a stream's end that the peer did not cause.
pub(crate) fn check_loss(session: &StreamSession) -> Result<(), Failure> {
    match session.wait_closed(Some(LOSS_DELAY)) {
        Ok(loss) => Err(Error::SessionLost(loss).into()),
        Err(_) => Ok(()),
    }
}

fn bridge(global: &Global) -> Result<SamBridge, Failure> {
    let credentials = credentials(global)?;
    let configure = |mut builder: SamBridgeBuilder| {
        if let Some((user, password)) = &credentials {
            builder = builder.credentials(user, password);
        }
        if let Some(timeout) = global.timeout {
            builder = with_timeout(builder, timeout);
        }
        builder
    };
    let Some((first, others)) = global.bridge.split_first() else {
        return Ok(configure(SamBridge::builder()).build()?);
    };
    let mut builder = configure(SamBridge::builder()).address(first.trim());
    for address in others {
        let fallback = configure(SamBridge::builder()).address(address.trim());
        builder = builder.fallback(&fallback.build()?);
    }
    Ok(builder.build()?)
}

fn with_timeout(builder: SamBridgeBuilder, timeout: Duration) -> SamBridgeBuilder {
    builder
        .connect_timeout(Some(timeout))
        .hello_timeout(Some(timeout))
        .command_timeout(Some(timeout))
        .lookup_timeout(Some(timeout))
        .session_create_timeout(Some(timeout))
        .stream_connect_timeout(Some(timeout))
}

fn session_options(global: &Global) -> Result<SessionOptions, Failure> {
    let mut options = SessionOptions::new();
    if let Some(length) = global.tunnel_length {
        options = options.tunnel_length(length);
    }
    if let Some(quantity) = global.tunnel_quantity {
        options = options.tunnel_quantity(quantity);
    }
    let named = variable(OPTIONS_VARIABLE)?.unwrap_or_default();
    for text in named.split_whitespace() {
        let invalid =
            |reason| Failure::Usage(format!("{OPTIONS_VARIABLE} contains {text:?}: {reason}"));
        let (name, value) = arguments::option(text).map_err(invalid)?;
        options = options.option(&name, &value);
    }
    for (name, value) in &global.options {
        options = options.option(name, value);
    }
    Ok(options)
}

/// Returns the value of an environment variable; `None` if it is not set or empty.
fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Failure::Usage(format!("{name} is not valid Unicode"))),
    }
}

/// Returns the user and the password. No message contains the password.
fn credentials(global: &Global) -> Result<Option<(String, String)>, Failure> {
    let named = global
        .user
        .clone()
        .map_or_else(|| variable(USER_VARIABLE), |user| Ok(Some(user)))?;
    let Some(user) = named else {
        return match global.password_file {
            Some(_) => Err(Failure::Usage("--password-file needs --user".to_owned())),
            None => Ok(None),
        };
    };
    let password = match &global.password_file {
        Some(path) => password_from(path)?,
        None => variable(PASSWORD_VARIABLE)?.ok_or_else(|| {
            let text = "a user needs a password: give --password-file, or set I2P_SAM_PASSWORD";
            Failure::Usage(text.to_owned())
        })?,
    };
    Ok(Some((user, password)))
}

fn password_from(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let unreadable =
        |error| Failure::Usage(format!("the password file {shown} cannot be read: {error}"));
    let file = File::open(path).map_err(unreadable)?;
    let mut line = String::new();
    let mut reader = BufReader::new(file.take(LONGEST_PASSWORD));
    reader.read_line(&mut line).map_err(unreadable)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Failure::Usage(format!(
            "the password file {shown} has an empty first line"
        )));
    }
    Ok(password.to_owned())
}
