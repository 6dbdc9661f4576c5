//! The heads of HTTP requests and replies, and the framing of a reply's body.

use std::io::{self, BufRead, Read};

const LONGEST_HEAD: u64 = 64 * 1024;
const LONGEST_CHUNK_LINE: u64 = 1024;

/// The first line and the fields of a message.
pub(crate) struct Head {
    pub(crate) first: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    /// Reads a head to its empty line. Bytes that are no UTF-8 are replaced.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut reader = reader.take(LONGEST_HEAD);
        let first = next_line(&mut reader)?;
        let mut fields = Vec::new();
        loop {
            let line = next_line(&mut reader)?;
            if line.is_empty() {
                return Ok(Self { first, fields });
            }
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| invalid("a field without a colon"))?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut named = self
            .fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// Returns the number in the first line of a reply.
    pub(crate) fn status(&self) -> io::Result<u16> {
        let mut words = self.first.split_whitespace();
        let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/"));
        let status = words.next().and_then(|word| word.parse().ok());
        status
            .filter(|_| is_http)
            .ok_or_else(|| invalid("no status"))
    }

    /// Returns the end of a reply's body.
    pub(crate) fn body(&self) -> io::Result<Body> {
        if let Some(coding) = self.field("Transfer-Encoding") {
            return match coding.eq_ignore_ascii_case("chunked") {
                true => Ok(Body::Chunked),
                false => Err(invalid("an unknown transfer encoding")),
            };
        }
        let Some(length) = self.field("Content-Length") else {
            return Ok(Body::UntilEnd);
        };
        let length = length
            .parse()
            .map_err(|_| invalid("a Content-Length that is no number"))?;
        Ok(Body::Length(length))
    }
}

/// The ways in which a body ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    Length(u64),
    Chunked,
    UntilEnd,
}

impl Body {
    /// Reads the body piece by piece. It fails with `UnexpectedEof` if a part of the body is missing.
    pub(crate) fn read<E: From<io::Error>>(
        self,
        reader: &mut impl BufRead,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Length(length) => copy(reader, length, &mut each),
            Self::UntilEnd => loop {
                let bytes = fill(reader)?;
                let read = bytes.len();
                if read == 0 {
                    return Ok(());
                }
                each(bytes)?;
                reader.consume(read);
            },
            Self::Chunked => loop {
                let length = chunk_length(reader)?;
                copy(reader, length, &mut each)?;
                let end = next_line(&mut reader.take(LONGEST_CHUNK_LINE));
                match length {
                    // Trailers are of no use, and some servers leave out the last line.
                    0 => return Ok(()),
                    _ => drop(end?),
                }
            },
        }
    }
}

fn copy<E: From<io::Error>>(
    reader: &mut impl BufRead,
    length: u64,
    each: &mut impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut left = length;
    while left > 0 {
        let bytes = fill(reader)?;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let Some(bytes @ [_, ..]) = bytes.get(..most) else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        each(bytes)?;
        reader.consume(most);
        left -= most as u64;
    }
    Ok(())
}

fn fill(reader: &mut impl BufRead) -> io::Result<&[u8]> {
    while let Err(error) = reader.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    reader.fill_buf()
}

fn chunk_length(reader: &mut impl BufRead) -> io::Result<u64> {
    let line = next_line(&mut reader.take(LONGEST_CHUNK_LINE))?;
    let digits = line.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(digits, 16).map_err(|_| invalid("a chunk without a length"))
}

/// Reads a line, and returns it without its end.
fn next_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("this is not HTTP: {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> io::Result<String> {
        let mut reader = text.as_bytes();
        let head = Head::read(&mut reader)?;
        let mut out = Vec::new();
        head.body()?.read(&mut reader, |bytes| {
            out.extend_from_slice(bytes);
            Ok::<_, io::Error>(())
        })?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn body_of_given_length_ends_there() {
        assert_eq!(
            body("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nabc").unwrap(),
            "ab"
        );
    }

    #[test]
    fn body_in_chunks_is_joined() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n";
        assert_eq!(body(text).unwrap(), "abc");
    }

    #[test]
    fn body_without_length_ends_with_stream() {
        assert_eq!(body("HTTP/1.0 200 OK\n\nabc").unwrap(), "abc");
    }

    #[test]
    fn cut_body_is_an_error() {
        for text in [
            "Content-Length: 4\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\n4\r\nabc",
        ] {
            let error = body(&format!("HTTP/1.0 200 OK\r\n{text}")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{text}");
        }
    }

    #[test]
    fn head_without_status_is_refused() {
        let head = Head::read(&mut &b"SSH-2.0-x y\r\n\r\n"[..]).unwrap();
        assert!(head.status().is_err());
        let head = Head::read(&mut &b"HTTP/1.1 204 No Content\r\n\r\n"[..]).unwrap();
        assert_eq!(head.status().unwrap(), 204);
    }

    #[test]
    fn endless_head_is_refused() {
        let endless = vec![b'a'; 1024 * 1024];
        assert!(Head::read(&mut &endless[..]).is_err());
    }
}
