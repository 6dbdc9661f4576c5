//! The HTTP side of the proxy: CONNECT, and requests with a whole URL.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;

use i2p_sam::I2pAddr;

use crate::dialler::{Dialler, address, join, part};
use crate::failure::in_full;
use crate::http::Head;

const DEFAULT_PORT: u16 = 80;

/// Fields that concern this connection alone, or that reveal where a request comes from.
const DROPPED: [&str; 12] = [
    "Connection",
    "Proxy-Connection",
    "Proxy-Authorization",
    "Proxy-Authenticate",
    "Keep-Alive",
    "Host",
    "Via",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Real-IP",
    "From",
];

pub(crate) fn attend(dialler: &Dialler, client: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(&client);
    let head = match Head::read(&mut reader) {
        Ok(head) => head,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return part(
                &client,
                &reply("400 Bad Request", "The request is not HTTP."),
            );
        }
        Err(error) => return Err(error),
    };
    let rest = reader.buffer().to_vec();
    let request = match Request::parse(&head) {
        Ok(request) => request,
        Err(refusal) => return part(&client, &refusal),
    };
    let stream = match dialler.dial(&request.address) {
        Ok(stream) => stream,
        Err(error) => {
            let status = match error.kind() {
                io::ErrorKind::TimedOut => "504 Gateway Timeout",
                _ => "502 Bad Gateway",
            };
            return part(&client, &reply(status, &in_full(&error)));
        }
    };
    // In one piece: Java I2P holds a first small write back for a while.
    let first = match request.head {
        Some(head) => [head.into_bytes(), rest].concat(),
        None => {
            (&client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
            rest
        }
    };
    join(client, first, stream)
}

struct Request {
    address: I2pAddr,
    /// The head that the server gets; `None` for CONNECT.
    head: Option<String>,
}

impl Request {
    /// Returns the reply to a request that is refused as the error.
    fn parse(head: &Head) -> Result<Self, Vec<u8>> {
        let words: Vec<&str> = head.first.split(' ').collect();
        let &[method, target, version] = words.as_slice() else {
            return Err(reply("400 Bad Request", "The first line has three words."));
        };
        if !version.starts_with("HTTP/1.") {
            return Err(reply("505 HTTP Version Not Supported", "Use HTTP/1.1."));
        }
        if method == "CONNECT" {
            let address = split_port(target).and_then(|(host, port)| address(host, port?));
            let address = address.ok_or_else(refused)?;
            return Ok(Self {
                address,
                head: None,
            });
        }
        let scheme = target
            .get(..7)
            .filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
        let rest = scheme.and_then(|_| target.get(7..)).ok_or_else(|| {
            reply(
                "400 Bad Request",
                "This is a proxy: send the whole URL, http://NAME.i2p/PATH.",
            )
        })?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let found = split_port(authority)
            .and_then(|(host, port)| address(host, port.unwrap_or(DEFAULT_PORT)));
        // The URL may contain the destination of its name.
        let named = I2pAddr::from_url(target);
        let (Some(found), Ok(named)) = (found, named) else {
            return Err(refused());
        };
        let port = found.port().unwrap_or(DEFAULT_PORT);
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        let mut out = format!("{method} {path} {version}\r\nHost: {authority}\r\n");
        for (name, value) in &head.fields {
            if !DROPPED
                .iter()
                .any(|dropped| name.eq_ignore_ascii_case(dropped))
            {
                out.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        // Each request gets a stream of its own, since the next one may be for another host.
        out.push_str("Connection: close\r\n\r\n");
        Ok(Self {
            address: named.with_port(port),
            head: Some(out),
        })
    }
}

/// Splits a host and its port; `None` if the port is no number.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((authority, None)),
    }
}

fn refused() -> Vec<u8> {
    reply(
        "403 Forbidden",
        "This proxy serves only addresses that end in .i2p, and resolves no others.",
    )
}

fn reply(status: &str, text: &str) -> Vec<u8> {
    let length = text.len() + 1;
    let head = "Content-Type: text/plain; charset=utf-8\r\nConnection: close";
    format!("HTTP/1.1 {status}\r\n{head}\r\nContent-Length: {length}\r\n\r\n{text}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(String, Option<String>), String> {
        let head = Head::read(&mut text.as_bytes()).unwrap();
        let request = Request::parse(&head);
        let request = request.map_err(|reply| String::from_utf8(reply).unwrap())?;
        Ok((request.address.to_string(), request.head))
    }

    #[test]
    fn request_is_rewritten_for_its_server() {
        let text = "GET http://Stats.i2p:81/a?b HTTP/1.1\r\nHost: example.com\r\nVia: me\r\n\
                    Proxy-Connection: keep-alive\r\nAccept: */*\r\n\r\n";
        let (address, head) = parse(text).unwrap();
        assert_eq!(address, "stats.i2p:81");
        let expected =
            "GET /a?b HTTP/1.1\r\nHost: Stats.i2p:81\r\nAccept: */*\r\nConnection: close\r\n\r\n";
        assert_eq!(head.as_deref(), Some(expected));
    }

    #[test]
    fn connect_names_host_and_port() {
        let (address, head) = parse("CONNECT stats.i2p:443 HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!((address.as_str(), head), ("stats.i2p:443", None));
    }

    #[test]
    fn request_for_another_network_is_forbidden() {
        for line in [
            "GET http://example.com/ HTTP/1.1",
            "GET http://127.0.0.1/ HTTP/1.1",
            "GET http://stats.i2p@example.com/ HTTP/1.1",
            "GET http://example.com@stats.i2p/ HTTP/1.1",
            "GET http://example.com/?i2paddresshelper=x.b32.i2p HTTP/1.1",
            "CONNECT example.com:443 HTTP/1.1",
            "CONNECT [::1]:443 HTTP/1.1",
            "CONNECT stats.i2p HTTP/1.1",
        ] {
            let reply = parse(&format!("{line}\r\n\r\n")).unwrap_err();
            assert!(reply.starts_with("HTTP/1.1 403 "), "{line}: {reply}");
        }
    }

    #[test]
    fn request_without_url_is_refused() {
        let reply = parse("GET / HTTP/1.1\r\nHost: stats.i2p\r\n\r\n").unwrap_err();
        assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
    }
}
