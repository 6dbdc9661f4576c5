use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::address::parse_number;
use crate::error::Error;
use crate::wire::{Command, Version};

/// One bridge: its addresses, its greeting and its deadlines.
pub(crate) struct Config {
    pub(crate) address: Endpoint,
    pub(crate) udp_address: Endpoint,
    pub(crate) credentials: Option<(Box<str>, Box<str>)>,
    pub(crate) versions: (Version, Version),
    pub(crate) strict_versions: bool,
    pub(crate) timeouts: Timeouts,
}

impl Config {
    /// Returns the greeting, with the credentials: every socket needs them, even one for a stream.
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

/// The TCP or UDP address of a bridge or of a local service: an IP address or a host name, and a port.
///
/// A name never ends in `.i2p`: the system resolves it, and sends it to name servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Literal(SocketAddr),
    Name(Box<str>, u16),
}

impl Endpoint {
    /// Reads the value of a setting. The error names the setting.
    pub(crate) fn of_setting(setting: &'static str, text: &str) -> Result<Self, Error> {
        const FORM: &str = "its form is host:port, such as 127.0.0.1:7656 or [::1]:7656";

        if let Ok(addr) = text.parse() {
            return Ok(Self::Literal(addr));
        }
        let malformed = || Error::setting(setting, text, FORM);
        let (name, port) = text.rsplit_once(':').ok_or_else(malformed)?;
        let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if name.is_empty() || name.len() > 253 || !name.bytes().all(is_name_byte) {
            return Err(malformed());
        }
        let port = parse_number(port).ok_or_else(malformed)?;
        refuse_i2p(setting, text)?;
        Ok(Self::Name(name.into(), port))
    }

    /// Returns the same host with another port.
    pub(crate) fn with_port(&self, port: u16) -> Self {
        match self {
            Self::Literal(addr) => Self::Literal(SocketAddr::new(addr.ip(), port)),
            Self::Name(name, _) => Self::Name(name.clone(), port),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(addr) => addr.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// Refuses a host whose name ends in `.i2p`, in upper or lower case, with or without dots or a port
/// after it: name servers must not learn it. A host named just `i2p` is one of the local network.
pub(crate) fn refuse_i2p(setting: &'static str, host: &str) -> Result<(), Error> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if name.ends_with(".i2p") {
        let reason = "a name that ends in .i2p is never given to the system's resolver";
        return Err(Error::setting(setting, host, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_or_name_with_port_is_read() {
        for text in [
            "127.0.0.1:7656",
            "[::1]:1",
            "localhost:7656",
            "my-host.lan:0",
            "i2p:7656",
            "my-i2p:7656",
            "stats.i2p.example:80",
        ] {
            assert_eq!(
                Endpoint::of_setting("address", text).unwrap().to_string(),
                text
            );
        }
    }

    #[test]
    fn endpoint_without_port_or_name_is_refused() {
        for text in [
            "",
            "localhost",
            ":1",
            "h:",
            "h:70000",
            "h:+1",
            "a b:1",
            "a\n:1",
            "::1",
        ] {
            let outcome = Endpoint::of_setting("address", text);
            assert!(matches!(outcome, Err(Error::InvalidConfig(_))), "{text:?}");
        }
    }

    #[test]
    fn i2p_name_is_refused() {
        for host in [
            "stats.i2p",
            "stats.i2p.",
            "stats.i2p..",
            "Stats.I2P",
            "a.b32.i2p",
            ".i2p",
        ] {
            let Err(Error::InvalidConfig(error)) =
                Endpoint::of_setting("address", &format!("{host}:80"))
            else {
                panic!("{host} is no bridge");
            };
            assert!(error.value().contains(host) && error.to_string().contains("resolver"));
            assert!(refuse_i2p("host", host).is_err());
            assert!(refuse_i2p("host", &format!("{host}:80")).is_err());
        }
    }
}
