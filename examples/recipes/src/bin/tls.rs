//! TLS inside a stream by [rustls](https://docs.rs/rustls), on both sides.
//!
//! ```text
//! tls                      a server and clients in one process
//! tls server               the server alone, until Ctrl-C
//! tls ADDRESS[:PORT]       shakes hands with a server, and prints what was agreed
//! ```
//!
//! I2P encrypts, and a `.b32.i2p` address is the hash of the keys that answer, so most programs need no TLS. It is
//! for protocols that demand it, and for a server behind a tunnel whose router is not trusted. No authority signs
//! names of I2P, so certificates are self-signed, and there are two ways to verify one:
//!
//! - **The client knows the certificate** (`pinned`). It is safe even if the server's router is not.
//! - **The client knows the address alone** (`named`). The certificate must name the address that was dialled, and
//!   its key must have signed the handshake. It is as safe as the address: the router of the server could replace
//!   the certificate.

#[path = "../../../common/mod.rs"]
mod common;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use common::{Outcome, Place};
use i2p_sam::{I2pAddr, SamStream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, ServerConfig,
    ServerConnection, SignatureScheme, StreamOwned,
};

const PATIENCE: Duration = Duration::from_secs(60);
const QUESTION: &[u8] = b"hello";
const REPLY: &str = "hello to you";

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let place = Place::find()?;
    match &args[..] {
        [] => both(&place),
        [word] if word == "server" => server(&place),
        [address] => greet(&place, &address.parse()?),
        _ => Err("usage: tls [server | ADDRESS[:PORT]]".into()),
    }
}

fn server(place: &Place) -> Outcome {
    let session = place.stream_session("tls-server")?;
    let address = session.destination().b32();
    let (config, _) = certified(&address.to_string())?;
    let server = common::server();
    common::stop_on_ctrl_c(&server)?;
    println!(
        "Try: {}cargo run -p i2p-sam-recipes --bin tls {address}",
        place.environment()
    );
    server.serve(session.listener()?, move |stream| serve(stream, &config))?;
    println!("{}", server.stats());
    Ok(())
}

/// Makes a certificate for an address, and returns it with a server's configuration.
fn certified(site: &str) -> Outcome<(Arc<ServerConfig>, CertificateDer<'static>)> {
    let made = rcgen::generate_simple_self_signed([site.to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())?;
    Ok((Arc::new(config), certificate))
}

fn both(place: &Place) -> Outcome {
    let server = place.stream_session("tls-server")?;
    let client = place.stream_session("tls-client")?;
    let listener = server.listener()?;
    let site = server.destination().b32().to_string();

    let (config, certificate) = certified(&site)?;
    // The third client hangs up in the handshake.
    let serving =
        std::thread::spawn(move || [(); 3].map(|()| serve(listener.accept()?.0, &config)));

    let dial = || client.connect(server.destination());
    println!("Pinned: {}", ask(dial()?, &site, pinned(certificate)?)?);
    println!("Named: {}", ask(dial()?, &site, named())?);
    let other = client.destination().b32().to_string();
    match ask(dial()?, &other, named()) {
        Err(error) => println!("Another name: {error}"),
        Ok(_) => return Err("a certificate for another address was accepted".into()),
    }
    let [first, second, third] = serving.join().map_err(|_| "the server panicked")?;
    first.and(second)?;
    match third {
        Err(_) => Ok(()),
        Ok(()) => Err("the server did not notice that the client refused it".into()),
    }
}

/// Serves one connection.
fn serve(stream: SamStream, config: &Arc<ServerConfig>) -> Outcome {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut tls = StreamOwned::new(ServerConnection::new(Arc::clone(config))?, stream);
    let mut question = [0; QUESTION.len()];
    tls.read_exact(&mut question)?;
    tls.write_all(REPLY.as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()?;
    // The client closes when it has everything.
    tls.sock.finish(PATIENCE)?;
    Ok(())
}

fn ask(stream: SamStream, site: &str, config: ClientConfig) -> Outcome<String> {
    let mut tls = connect(stream, site, config)?;
    tls.write_all(QUESTION)?;
    let mut reply = String::new();
    // The end is authenticated: rustls fails if a router cuts the stream before.
    tls.read_to_string(&mut reply)?;
    match reply == REPLY {
        true => Ok(reply),
        false => Err(format!("the server replied {reply:?}").into()),
    }
}

/// Shakes hands with any server, and closes.
fn greet(place: &Place, address: &I2pAddr) -> Outcome {
    let stream = place.stream_session("tls-client")?.connect(address)?;
    let site = address.clone().without_port().to_string();
    let mut tls = connect(stream, &site, named())?;
    tls.conn.complete_io(&mut tls.sock)?;
    let suite = tls
        .conn
        .negotiated_cipher_suite()
        .ok_or("no cipher suite")?;
    println!("{site}: {:?}", suite.suite());
    tls.conn.send_close_notify();
    tls.flush()?;
    Ok(())
}

fn connect(
    stream: SamStream,
    site: &str,
    config: ClientConfig,
) -> Outcome<StreamOwned<ClientConnection, SamStream>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from(site.to_owned())?;
    let connection = ClientConnection::new(Arc::new(config), name)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Accepts one certificate.
fn pinned(certificate: CertificateDer<'static>) -> Outcome<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}

/// Accepts each certificate that names the dialled address.
fn named() -> ClientConfig {
    let verifier = DialledAddress(ring::default_provider());
    ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth()
}

/// Verifies the name and the signature of the handshake. I2P has verified that the peer owns the address.
#[derive(Debug)]
struct DialledAddress(CryptoProvider);

impl ServerCertVerifier for DialledAddress {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        site: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        verify_server_name(&ParsedCertificate::try_from(certificate)?, site)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
