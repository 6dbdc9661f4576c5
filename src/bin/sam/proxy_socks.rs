//! The SOCKS5 side of the proxy (RFC 1928): CONNECT to a name.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use i2p_sam::I2pAddr;

use crate::dialler::{Dialler, address, join, part};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;

const SUCCEEDED: u8 = 0;
const FAILED: u8 = 1;
const NOT_ALLOWED: u8 = 2;
const HOST_UNREACHABLE: u8 = 4;
const REFUSED: u8 = 5;
const TIME_OVER: u8 = 6;
const UNKNOWN_COMMAND: u8 = 7;

pub(crate) fn attend(dialler: &Dialler, client: TcpStream) -> io::Result<()> {
    if !greet(&client)? {
        return part(&client, &[VERSION, NO_METHOD]);
    }
    let address = match request(&mut &client)? {
        Ok(address) => address,
        Err(code) => return part(&client, &reply(code)),
    };
    let stream = match dialler.dial(&address) {
        Ok(stream) => stream,
        Err(error) => return part(&client, &reply(code_of(error.kind()))),
    };
    (&client).write_all(&reply(SUCCEEDED))?;
    join(client, Vec::new(), stream)
}

/// Reads the greeting, and accepts it; returns false if the client requires authentication.
fn greet(mut client: &TcpStream) -> io::Result<bool> {
    let [version, count] = bytes(&mut client)?;
    if version != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut methods = vec![0; usize::from(count)];
    client.read_exact(&mut methods)?;
    if !methods.contains(&NO_AUTHENTICATION) {
        return Ok(false);
    }
    client.write_all(&[VERSION, NO_AUTHENTICATION])?;
    Ok(true)
}

/// Reads a request to its end. A request that is refused is the code of the reply.
fn request(client: &mut impl Read) -> io::Result<Result<I2pAddr, u8>> {
    let [version, command, _, kind] = bytes(client)?;
    if version != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let length = match kind {
        1 => 4,
        3 => {
            let [length] = bytes(client)?;
            usize::from(length)
        }
        4 => 16,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    let mut host = vec![0; length];
    client.read_exact(&mut host)?;
    let port = u16::from_be_bytes(bytes(client)?);
    if command != CONNECT {
        return Ok(Err(UNKNOWN_COMMAND));
    }
    // An IP address is outside of I2P.
    let name = String::from_utf8(host).ok().filter(|_| kind == 3);
    Ok(name
        .and_then(|name| address(&name, port))
        .ok_or(NOT_ALLOWED))
}

fn bytes<const N: usize>(client: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    client.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Returns a reply. Its address, which a client does not need, is 0.0.0.0:0.
fn reply(code: u8) -> [u8; 10] {
    [VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

fn code_of(kind: io::ErrorKind) -> u8 {
    match kind {
        io::ErrorKind::HostUnreachable | io::ErrorKind::NotFound => HOST_UNREACHABLE,
        io::ErrorKind::ConnectionRefused => REFUSED,
        io::ErrorKind::TimedOut => TIME_OVER,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(request_bytes: &[u8]) -> Result<String, u8> {
        let outcome = request(&mut &*request_bytes).unwrap();
        outcome.map(|address| address.to_string())
    }

    #[test]
    fn name_inside_of_i2p_is_accepted() {
        assert_eq!(
            parse(b"\x05\x01\x00\x03\x09stats.i2p\x00\x50"),
            Ok("stats.i2p:80".to_owned())
        );
    }

    #[test]
    fn other_destinations_are_not_allowed() {
        assert_eq!(
            parse(b"\x05\x01\x00\x03\x0bexample.com\x00\x50"),
            Err(NOT_ALLOWED)
        );
        assert_eq!(
            parse(b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"),
            Err(NOT_ALLOWED)
        );
        assert_eq!(
            parse(&[&b"\x05\x01\x00\x04"[..], &[0; 18]].concat()),
            Err(NOT_ALLOWED)
        );
    }

    #[test]
    fn other_commands_are_refused() {
        assert_eq!(
            parse(b"\x05\x03\x00\x03\x09stats.i2p\x00\x50"),
            Err(UNKNOWN_COMMAND)
        );
    }

    #[test]
    fn cut_request_is_an_error() {
        assert!(request(&mut &b"\x05\x01\x00\x03\x09stats"[..]).is_err());
    }
}
