use std::time::Duration;

use crate::dial::BridgeAddr;
use crate::error::Error;
use crate::wire::{Command, Version};

/// What a bridge needs to be spoken to.
pub(crate) struct Config {
    pub(crate) address: BridgeAddr,
    pub(crate) udp_address: BridgeAddr,
    pub(super) credentials: Option<(Box<str>, Box<str>)>,
    pub(crate) versions: (Version, Version),
    pub(crate) strict_versions: bool,
    pub(crate) timeouts: Timeouts,
}

impl Config {
    /// The greeting, with the credentials: every socket needs them, a stream's too.
    pub(crate) fn hello(&self) -> Result<Command, Error> {
        let (min, max) = self.versions;
        let credentials = self.credentials.as_ref().map(|(u, p)| (&**u, &**p));
        Ok(Command::hello(min, max, credentials)?)
    }
}

/// A deadline for each phase; `None` waits for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    pub(crate) connect: Option<Duration>,
    pub(crate) hello: Option<Duration>,
    pub(crate) command: Option<Duration>,
    pub(crate) lookup: Option<Duration>,
    pub(crate) session_create: Option<Duration>,
    pub(crate) stream_connect: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        Self {
            connect: seconds(30),
            hello: seconds(30),
            command: seconds(30),
            lookup: seconds(60),
            session_create: seconds(300),
            stream_connect: seconds(180),
        }
    }
}
