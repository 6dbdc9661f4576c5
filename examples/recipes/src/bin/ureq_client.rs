//! HTTP by [ureq](https://docs.rs/ureq): GET and POST over one kept connection, with ureq's time-outs.
//!
//! ```text
//! ureq_client                      to a server that runs inside this process
//! ureq_client http://ADDRESS/PATH  gets a page
//! ```
//!
//! Names are never resolved by DNS: the connector dials them through the router, and only `.i2p` names. ureq's
//! time-outs become the time-outs of the dial, the reads and the writes.

#[path = "../../../common/mod.rs"]
mod common;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{Outcome, Place};
use i2p_sam::{ConnectOptions, I2pAddr, SamListener, SamStream, StreamSession};
use ureq::http::{Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Body};

/// The server does not reply to a request for this.
const SILENT: &str = "/silent";

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let place = Place::find()?;
    let agent = agent(place.stream_session("ureq-client")?);
    if let Some(url) = std::env::args().nth(1) {
        print!("{}", agent.get(&url).call()?.body_mut().read_to_string()?);
        return Ok(());
    }
    let server = place.stream_session("ureq-server")?;
    let listener = server.listener()?;
    let site = format!("http://{}", server.destination().b32());
    let serving = std::thread::spawn(move || serve(&listener));

    let page = agent.get(format!("{site}/")).call()?;
    expect("GET", page, "request 1, 0 bytes")?;
    let page = agent.post(format!("{site}/form")).send("name=value")?;
    expect("POST", page, "request 2, 10 bytes")?;

    let impatient = agent.get(format!("{site}{SILENT}")).config();
    let impatient = impatient.timeout_recv_response(Some(Duration::from_secs(1)));
    match impatient.build().call() {
        Err(ureq::Error::Timeout(what)) => println!("No reply: the time-out of {what:?} expired"),
        outcome => return Err(format!("a server that does not reply: {outcome:?}").into()),
    }
    match agent.get("http://example.com/").call() {
        Err(error) => println!("example.com: {error}"),
        Ok(_) => return Err("a name outside of I2P was dialled".into()),
    }
    // ureq closes a connection that has failed.
    let requests = serving.join().map_err(|_| "the server panicked")??;
    println!("One stream carried {requests} requests");
    match requests {
        3 => Ok(()),
        _ => Err("the connection was not kept".into()),
    }
}

fn expect(what: &str, page: Response<Body>, expected: &str) -> Outcome {
    let text = page.into_body().read_to_string()?;
    println!("{what}: {text}");
    match text == expected {
        true => Ok(()),
        false => Err(format!("the server did not reply {expected:?}").into()),
    }
}

/// Returns an agent that reaches `.i2p` sites by this session, and nothing else.
fn agent(session: StreamSession) -> Agent {
    let config = Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(120)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .build();
    Agent::with_parts(config, I2pConnector(session), NoDns)
}

/// Returns no address: the connector needs none, and DNS must not learn the name.
#[derive(Debug)]
struct NoDns;

impl Resolver for NoDns {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        // ureq wants one.
        addresses.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        Ok(addresses)
    }
}

/// Dials the host of each request.
struct I2pConnector(StreamSession);

impl Connector for I2pConnector {
    type Out = I2pTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<I2pTransport>, ureq::Error> {
        if details.needs_tls() {
            // A destination proves itself: the b32 address is the hash of its keys. See the recipe `tls`.
            return Err(ureq::Error::BadUri("only http is supported".into()));
        }
        let host = details.uri.host().unwrap_or_default();
        // A host that is no I2P name is refused here.
        let peer: I2pAddr = host.parse().map_err(io::Error::from)?;
        let port = details.uri.port_u16().unwrap_or(80);
        let time = details.timeout.not_zero().map(|time| *time);
        let options = ConnectOptions::new().timeout(time);
        let stream = self.0.connect_with(peer.with_port(port), &options);
        let stream = stream.map_err(io::Error::from)?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(I2pTransport { stream, buffers }))
    }
}

impl std::fmt::Debug for I2pConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("I2pConnector")
    }
}

/// One connection.
#[derive(Debug)]
struct I2pTransport {
    stream: SamStream,
    buffers: LazyBuffers,
}

impl Transport for I2pTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        let timeout = timeout.for_write();
        self.stream
            .set_write_timeout(timeout.not_zero().map(|time| *time))?;
        let output = &self.buffers.output()[..amount];
        in_time(self.stream.write_all(output), timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        let timeout = timeout.for_read();
        self.stream
            .set_read_timeout(timeout.not_zero().map(|time| *time))?;
        let read = in_time(self.stream.read(self.buffers.input_append_buf()), timeout)?;
        self.buffers.input_appended(read);
        Ok(read > 0)
    }

    /// Looks if the peer has closed the kept connection, without waiting.
    fn is_open(&mut self) -> bool {
        if self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let looked = self.stream.peek(&mut [0]);
        let is_open = matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        is_open && self.stream.set_nonblocking(false).is_ok()
    }
}

/// Maps the expiry of a socket's time-out to ureq's error.
fn in_time<T>(outcome: io::Result<T>, timeout: NextTimeout) -> Result<T, ureq::Error> {
    outcome.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ureq::Error::Timeout(timeout.reason),
        _ => error.into(),
    })
}

/// Serves the requests of one connection, and returns their number.
fn serve(listener: &SamListener) -> Outcome<usize> {
    let (stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(&stream);
    let mut requests = 0;
    while let Some(request) = read_request(&mut reader)? {
        requests += 1;
        if request.path == SILENT {
            continue;
        }
        let reply = format!("request {requests}, {} bytes", request.body.len());
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", reply.len());
        // In one piece: Java I2P holds a first small write back for a while.
        (&stream).write_all(format!("{head}{reply}").as_bytes())?;
    }
    Ok(requests)
}

struct Request {
    path: String,
    body: Vec<u8>,
}

/// Returns the next request; `None` if the client has closed. The client is our own: the recipe
/// `httparse_server` reads the requests of anybody.
fn read_request(reader: &mut impl BufRead) -> Outcome<Option<Request>> {
    let (mut length, mut line) = (0, String::new());
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line.len() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        line.clear();
        reader.read_line(&mut line)?;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { path, body }))
}
