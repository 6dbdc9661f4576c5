//! TLS inside a stream by [rustls](https://docs.rs/rustls), on both sides.
//!
//! ```text
//! tls
//! ```
//!
//! I2P encrypts, and a `.b32.i2p` address is the hash of the keys that answer, so most programs need no TLS. It is
//! for protocols that demand it, and for a server behind a tunnel whose router is not trusted. No authority signs
//! names of I2P: the certificate is self-signed for the address, and the client knows it.

#[path = "../../../common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use common::{Outcome, Place};
use i2p_sam::{SamListener, SamStream};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let place = Place::find()?;
    let server = place.stream_session("tls-server")?;
    let client = place.stream_session("tls-client")?;
    let listener = server.listener()?;
    let site = server.destination().b32().to_string();

    let made = rcgen::generate_simple_self_signed([site.clone()])?;
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())?;
    let serving = std::thread::spawn(move || serve(&listener, config));

    let reply = ask(client.connect(server.destination())?, site, certificate)?;
    println!("The server replied: {reply}");
    serving.join().map_err(|_| "the server panicked")??;
    Ok(())
}

/// Serves one connection: a line for a line.
fn serve(listener: &SamListener, config: ServerConfig) -> Outcome {
    let (stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tls = StreamOwned::new(ServerConnection::new(Arc::new(config))?, stream);
    let mut question = [0; 5];
    tls.read_exact(&mut question)?;
    tls.write_all(b"hello to you")?;
    tls.conn.send_close_notify();
    tls.flush()?;
    // The client closes when it has everything.
    tls.sock.finish(PATIENCE)?;
    Ok(())
}

fn ask(stream: SamStream, site: String, certificate: CertificateDer<'static>) -> Outcome<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(site)?;
    let connection = ClientConnection::new(Arc::new(config), name)?;
    let mut tls = StreamOwned::new(connection, stream);
    tls.write_all(b"hello")?;
    let mut reply = String::new();
    // The end is authenticated: rustls fails if a router cuts the stream before.
    tls.read_to_string(&mut reply)?;
    let suite = tls
        .conn
        .negotiated_cipher_suite()
        .ok_or("no cipher suite")?;
    println!("TLS with {:?}", suite.suite());
    Ok(reply)
}
