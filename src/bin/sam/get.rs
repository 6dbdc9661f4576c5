//! `sam get`: one page, without redirects.

use std::io::{self, BufReader, IsTerminal, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use i2p_sam::{I2pAddr, SamStream};

use crate::arguments::Get;
use crate::context::{Context, check_loss};
use crate::failure::Failure;
use crate::http::Head;

/// A server that sends nothing for this time has died.
const PATIENCE: Duration = Duration::from_secs(120);
const HTTP_PORT: u16 = 80;

pub(crate) fn run(context: &Context, get: &Get) -> Result<(), Failure> {
    let target = Target::parse(&get.url)?;
    let session = context.stream(context.session(None)?)?;
    let stream = Arc::new(context.dial(&session, &target.address)?);
    let ended = Arc::downgrade(&stream);
    context.stop.also(move || {
        if let Some(stream) = ended.upgrade() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    let outcome = fetch(context, get, &stream, &target);
    context.stop.check()?;
    if let Err(Failure::Peer(_)) = outcome {
        check_loss(&session)?;
    }
    drop(stream);
    session.close();
    outcome
}

/// The parts of the URL.
struct Target {
    address: I2pAddr,
    host: String,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Self, Failure> {
        let usage = |text: &str| Failure::Usage(format!("{url:?} cannot be fetched: {text}"));
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(usage("only http:// is supported; I2P itself encrypts")),
            None => return Err(usage("write http://NAME.i2p/PATH")),
        };
        let address = I2pAddr::from_url(url).map_err(|error| usage(&error.to_string()))?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        if !path.chars().all(|char| char.is_ascii_graphic()) {
            return Err(usage(
                "encode blanks and other special characters, as in %20",
            ));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let port = address.port().unwrap_or(HTTP_PORT);
        Ok(Self {
            address: address.with_port(port),
            host: host.to_owned(),
            path: format!("{slash}{path}"),
        })
    }

    /// Returns the request. HTTP/1.0: the server closes after its reply.
    fn request(&self) -> String {
        let Self { host, path, .. } = self;
        format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    }
}

fn fetch(
    context: &Context,
    get: &Get,
    mut stream: &SamStream,
    target: &Target,
) -> Result<(), Failure> {
    let progress = context.progress("Waiting for the reply");
    let broken = |error: io::Error| Failure::Peer(format!("the reply is incomplete: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
    // In one piece: Java I2P holds a first small write back for a while.
    stream
        .write_all(target.request().as_bytes())
        .map_err(broken)?;
    let mut reader = BufReader::new(stream);
    let head = Head::read(&mut reader).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Failure::Peer("the server closed the stream without a reply".to_owned())
        }
        _ => broken(error),
    })?;
    let status = head.status().map_err(broken)?;
    // A spinner would disturb the page.
    let progress = Some(progress).filter(|_| !io::stdout().is_terminal());
    if get.head {
        show(context, &head);
    }
    let mut size = 0;
    head.body().map_err(broken)?.read(&mut reader, |bytes| {
        context.output.bytes(bytes).map_err(BodyError::Output)?;
        size += bytes.len();
        if let Some(progress) = &progress {
            progress.update(format!("{size} bytes"));
        }
        Ok::<_, BodyError>(())
    })?;
    match status {
        200..=299 => Ok(()),
        _ => Err(refused(&head)),
    }
}

/// A failure while the body is read: at its source, or at the output.
enum BodyError {
    Stream(io::Error),
    Output(Failure),
}

impl From<io::Error> for BodyError {
    fn from(error: io::Error) -> Self {
        Self::Stream(error)
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Output(failure) => failure,
            BodyError::Stream(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Peer("the server closed the stream before the end of its reply".to_owned())
            }
            BodyError::Stream(error) => Self::Peer(format!("the reply is incomplete: {error}")),
        }
    }
}

fn show(context: &Context, head: &Head) {
    context.output.error(&printable(&head.first));
    for (name, value) in &head.fields {
        context
            .output
            .error(&format!("{}: {}", printable(name), printable(value)));
    }
}

fn refused(head: &Head) -> Failure {
    let mut text = format!("the server replied: {}", printable(&head.first));
    if let Some(location) = head.field("Location") {
        text.push_str(&format!(" (it refers to {})", printable(location)));
    }
    Failure::Other(text)
}

/// Removes the characters with which a server could control the terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_is_split_into_address_and_path() {
        let target = Target::parse("HTTP://stats.i2p:8080?a=/b#c").ok().unwrap();
        assert_eq!(target.address.to_string(), "stats.i2p:8080");
        assert!(
            target
                .request()
                .starts_with("GET /?a=/b HTTP/1.0\r\nHost: stats.i2p:8080\r\n")
        );
    }

    #[test]
    fn url_without_port_leads_to_port_80() {
        let target = Target::parse("http://stats.i2p").ok().unwrap();
        assert_eq!(target.address.port(), Some(80));
        assert!(target.request().starts_with("GET / HTTP/1.0\r\n"));
    }

    #[test]
    fn url_that_cannot_be_fetched_is_a_usage_error() {
        for url in [
            "stats.i2p",
            "https://stats.i2p/",
            "http://example.com/",
            "http://stats.i2p/a b",
            "http://user@stats.i2p/",
            "http://stats.i2p/\r\nX: y",
        ] {
            let code = Target::parse(url).err().map(|failure| failure.code());
            assert_eq!(code, Some(2), "{url}");
        }
    }
}
