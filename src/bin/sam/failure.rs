//! The reasons for which a command fails, in plain English, with its exit code.

use std::io;
use std::iter;

use i2p_sam::{Error, KeyFileError, Phase, ResultCode};

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const BRIDGE: u8 = 3;
const PEER: u8 = 4;
const NOT_FOUND: u8 = 5;
const KEY_FILE: u8 = 6;
const SESSION: u8 = 7;
const INTERRUPTED: u8 = 130;

/// The reason for which a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Library(Error),
    /// The system refused something.
    Io {
        action: String,
        source: io::Error,
    },
    /// The arguments, the environment or an input file are wrong.
    Usage(String),
    /// The key file exists already.
    KeyFileExists(String),
    /// The peer broke off, or sent something of no use.
    Peer(String),
    /// Any other reason.
    Other(String),
    /// The result is printed already, and is a failure with this code.
    Shown(u8),
    /// Ctrl-C.
    Interrupted,
    /// The reader of standard output has closed it: nobody needs the rest.
    ClosedOutput,
}

impl Failure {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io {
            action: action.into(),
            source,
        }
    }

    /// Returns the exit code, as `--help` documents it.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Library(error) => code_of(error),
            Self::Io { .. } | Self::Other(_) => FAILED,
            Self::Usage(_) => USAGE,
            Self::KeyFileExists(_) => KEY_FILE,
            Self::Peer(_) => PEER,
            Self::Shown(code) => *code,
            Self::Interrupted => INTERRUPTED,
            Self::ClosedOutput => 0,
        }
    }

    /// Returns the text of the error with its causes; `None` if there is nothing to print.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            // Without the remedy, which the library adds.
            Self::Library(Error::Unreachable { address, source }) => {
                Some(format!("no SAM bridge answers at {address}: {source}"))
            }
            Self::Library(error) => Some(in_full(error)),
            Self::Io { action, source } => Some(format!("{action}: {source}")),
            Self::Usage(text)
            | Self::KeyFileExists(text)
            | Self::Peer(text)
            | Self::Other(text) => Some(text.clone()),
            Self::Shown(_) | Self::Interrupted | Self::ClosedOutput => None,
        }
    }

    /// Returns the remedy, if the text does not contain it.
    pub(crate) fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Library(error) => remedy_of(error),
            Self::KeyFileExists(_) => Some("name another file, or use the key that exists"),
            _ => None,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Cancelled { .. } => Self::Interrupted,
            error => Self::Library(error),
        }
    }
}

impl From<KeyFileError> for Failure {
    fn from(error: KeyFileError) -> Self {
        Self::Library(error.into())
    }
}

/// Returns an error with its causes: its `Display` does not repeat the text of its source.
pub(crate) fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = iter::successors(Some(error), |&error| error.source());
    let texts: Vec<String> = chain.map(ToString::to_string).collect();
    texts.join(": ")
}

fn code_of(error: &Error) -> u8 {
    match error {
        Error::GaveUp(reason) => code_of(reason),
        Error::Cancelled { .. } => INTERRUPTED,
        Error::Unreachable { .. } | Error::Version { .. } | Error::WrongDestination { .. } => {
            BRIDGE
        }
        Error::InvalidConfig(_) | Error::Command(_) | Error::Address(_) => USAGE,
        Error::Key(_) | Error::KeyFile(_) => KEY_FILE,
        Error::SessionLost(_) | Error::ForwardLost(_) => SESSION,
        Error::Refused(refusal) if error.kind() == io::ErrorKind::NotFound => match refusal.phase()
        {
            Phase::StreamConnect | Phase::Lookup => NOT_FOUND,
            phase => code_of_phase(phase),
        },
        error => error.phase().map_or(FAILED, code_of_phase),
    }
}

fn code_of_phase(phase: Phase) -> u8 {
    match phase {
        Phase::Connect | Phase::Hello => BRIDGE,
        Phase::Lookup => NOT_FOUND,
        Phase::SessionCreate | Phase::SessionAdd => SESSION,
        Phase::StreamConnect => PEER,
        _ => FAILED,
    }
}

fn remedy_of(error: &Error) -> Option<&'static str> {
    match error {
        Error::GaveUp(reason) => remedy_of(reason),
        Error::Unreachable { .. } => Some(ROUTER),
        Error::Refused(refusal) => match (refusal.phase(), refusal.code()) {
            (Phase::Hello, ResultCode::NoVersion) => {
                Some("update the router: it supports no version of SAM from 3.1 to 3.3")
            }
            (Phase::Hello, _) => Some(USER),
            (Phase::SessionCreate, ResultCode::DuplicatedDest) => Some(
                "another program uses this key: end it, or wait for 10 seconds if it has ended just now",
            ),
            (Phase::SessionCreate, _) => Some(TUNNELS),
            (Phase::StreamConnect | Phase::Lookup, _) => Some(peer_remedy(error)),
            _ => None,
        },
        Error::Timeout { phase, .. } => match phase {
            Phase::Connect => {
                Some("check the address of the bridge, and the firewall of its machine")
            }
            Phase::Hello => Some(NOT_SAM),
            Phase::SessionCreate => Some(TUNNELS),
            Phase::StreamConnect | Phase::Lookup => Some(peer_remedy(error)),
            _ => None,
        },
        Error::UnexpectedEof { phase } | Error::Protocol { phase, .. } => match phase {
            Phase::Hello => Some(NOT_SAM),
            Phase::SessionCreate => Some(TUNNELS),
            _ => None,
        },
        _ => None,
    }
}

fn peer_remedy(error: &Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotFound {
        "check the spelling; if it is right, add the name to the router's address book, or use the \
         .b32.i2p address"
    } else {
        "check that the address is right and its service online, and try again in a minute: a router \
         finds a destination only while it is online"
    }
}

const ROUTER: &str = "start an I2P router with SAM switched on: in Java I2P, start the SAM application bridge on \
                      the console's page of clients (http://127.0.0.1:7657/configclients); in i2pd, set \
                      `enabled = true` under `[sam]` in i2pd.conf and restart it. If it runs elsewhere, \
                      name its address with --bridge";
const USER: &str =
    "if the bridge requires a user, give --user with --password-file or I2P_SAM_PASSWORD";
const NOT_SAM: &str = "check that the address is that of a SAM bridge, usually port 7656, and not another \
                       port of the router";
const TUNNELS: &str = "the router could not build tunnels: a router that has started just now needs some \
                       minutes; check in its console that it is connected to the network, and try again. For a \
                       test, a router without a network needs --tunnel-length 0";
