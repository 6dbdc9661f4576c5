use std::io;

use crate::address::{Wiped, append};

/// The length of the longest line that is read, with its line end: 64 KiB.
///
/// The longest valid reply, `DEST REPLY` with its two keys, has about 1.5 kB.
pub const MAX_LINE: usize = 64 * 1024;

/// The most bytes that are peeked at, or taken, at once. A destination line has about 560.
const WINDOW: usize = 1024;

/// A source from which one line can be taken without the bytes that follow it.
///
/// It is implemented for `&TcpStream`. Both methods block as the underlying source does.
///
/// ```
/// use std::io;
/// use i2p_sam::wire::{LineSource, read_line};
///
/// fn reply(source: &mut impl LineSource) -> io::Result<Vec<u8>> {
///     let mut line = Vec::new();
///     read_line(source, &mut line)?;
///     Ok(line)
/// }
/// ```
pub trait LineSource {
    /// Copies bytes that wait in the source and leaves them there. `Ok(0)` means the end.
    ///
    /// # Errors
    ///
    /// Returns the errors of the underlying source.
    ///
    /// ```
    /// use std::net::{TcpListener, TcpStream};
    /// use std::io::Write;
    /// use i2p_sam::wire::LineSource;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut near = &TcpStream::connect(listener.local_addr()?)?;
    /// listener.accept()?.0.write_all(b"PING\n")?;
    /// let mut buf = [0; 64];
    /// assert!(LineSource::peek(&mut near, &mut buf)? > 0);
    /// assert!(LineSource::peek(&mut near, &mut buf)? > 0, "the bytes are still there");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize>;

    /// Takes bytes out of the source. `Ok(0)` means the end.
    ///
    /// # Errors
    ///
    /// Returns the errors of the underlying source.
    ///
    /// ```
    /// use std::net::{TcpListener, TcpStream};
    /// use std::io::Write;
    /// use i2p_sam::wire::LineSource;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let mut near = &TcpStream::connect(listener.local_addr()?)?;
    /// listener.accept()?.0.write_all(b"PING\n")?;
    /// let mut first = [0; 1];
    /// assert_eq!((near.take(&mut first)?, first), (1, *b"P"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn take(&mut self, buf: &mut [u8]) -> io::Result<usize>;
}

impl LineSource for &std::net::TcpStream {
    fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        std::net::TcpStream::peek(self, buf)
    }

    fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        io::Read::read(self, buf)
    }
}

/// The end of a line. Its bytes are in the buffer, without the line end.
///
/// ```
/// use std::io::Write;
/// use std::net::{TcpListener, TcpStream};
/// use i2p_sam::wire::{Line, read_line};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let source = TcpStream::connect(listener.local_addr()?)?;
/// listener.accept()?.0.write_all(b"QUIT STATUS RESULT=OK")?;
///
/// let mut line = Vec::new();
/// assert_eq!(read_line(&mut &source, &mut line)?, Line::Unterminated);
/// assert_eq!(read_line(&mut &source, &mut line)?, Line::End);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The line ended with `\n`.
    Complete,
    /// The source ended. Java I2P and emissary omit the line end of their last reply, so the line
    /// may be an error reply; it may also be half of something else.
    Unterminated,
    /// There was no line: the source ended before the first byte.
    End,
}

/// Takes one line from `source` into `line`, and no byte after it.
///
/// The bytes are peeked at before they are taken: those before a line end belong to the line, those
/// after it remain in the source. A router may send a reply, the destination line and a peer's
/// first bytes in one segment; the peer's bytes belong to the caller.
///
/// The previous content of `line` is dropped first.
///
/// # Errors
///
/// Returns `InvalidData` if [`MAX_LINE`] bytes contain no line end, and the errors of `source`.
/// `Interrupted` is retried. The bytes taken so far remain in `line`.
///
/// ```
/// use std::io::{self, Read};
/// use i2p_sam::wire::{read_line, Line, LineSource};
///
/// struct Bytes<'a>(&'a [u8]);
/// impl LineSource for Bytes<'_> {
///     fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
///         self.0.clone().read(buf)
///     }
///     fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
///         self.0.read(buf)
///     }
/// }
///
/// let mut source = Bytes(b"STREAM STATUS RESULT=OK\npayload");
/// let mut line = Vec::new();
/// assert_eq!(read_line(&mut source, &mut line)?, Line::Complete);
/// assert_eq!(line, b"STREAM STATUS RESULT=OK");
/// assert_eq!(source.0, b"payload");
/// # Ok::<(), io::Error>(())
/// ```
pub fn read_line(source: &mut impl LineSource, line: &mut Vec<u8>) -> io::Result<Line> {
    let mut window = Wiped::new([0; WINDOW]);
    line.clear();
    loop {
        let room = WINDOW.min(MAX_LINE - line.len());
        let (view, _) = window.split_at_mut(room);
        let seen = retry(|| source.peek(view))?;
        if seen == 0 {
            return Ok(if line.is_empty() {
                Line::End
            } else {
                Line::Unterminated
            });
        }
        let seen = view.get(..seen).unwrap_or(view);
        let end = seen.iter().position(|&byte| byte == b'\n');
        let wanted = end.map_or(seen.len(), |end| end + 1);
        let complete = take_exactly(source, line, wanted)?;
        if complete && end.is_some() {
            line.pop();
            return Ok(Line::Complete);
        }
        if line.len() >= MAX_LINE {
            let text = "a bridge sent 64 KiB without an end of line";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
    }
}

/// Takes `wanted` bytes that were peeked at. Returns true if all of them were still there.
fn take_exactly(
    source: &mut impl LineSource,
    line: &mut Vec<u8>,
    wanted: usize,
) -> io::Result<bool> {
    let mut window = Wiped::new([0; WINDOW]);
    let mut left = wanted;
    while left > 0 {
        let (view, _) = window.split_at_mut(left.min(WINDOW));
        let taken = retry(|| source.take(view))?;
        if taken == 0 {
            return Ok(false);
        }
        append(line, view.get(..taken).unwrap_or(view));
        left -= taken.min(left);
    }
    Ok(true)
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A source that returns its bytes in the given portions, as a socket does.
    struct Portions(VecDeque<Vec<u8>>);

    impl Portions {
        fn new(portions: &[&[u8]]) -> Self {
            Self(portions.iter().map(|portion| portion.to_vec()).collect())
        }

        fn left(&self) -> Vec<u8> {
            self.0.iter().flatten().copied().collect()
        }
    }

    impl LineSource for Portions {
        fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let Some(portion) = self.0.front() else {
                return Ok(0);
            };
            let len = portion.len().min(buf.len());
            buf[..len].copy_from_slice(&portion[..len]);
            Ok(len)
        }

        fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let len = self.peek(buf)?;
            if let Some(portion) = self.0.front_mut() {
                portion.drain(..len);
                if portion.is_empty() {
                    self.0.pop_front();
                }
            }
            Ok(len)
        }
    }

    fn read(source: &mut Portions) -> (io::Result<Line>, Vec<u8>) {
        let mut line = b"left over".to_vec();
        let end = read_line(source, &mut line);
        (end, line)
    }

    #[test]
    fn nothing_after_newline_is_consumed() {
        let mut source = Portions::new(&[b"OK\npayload\n"]);
        let (end, line) = read(&mut source);
        assert_eq!((end.unwrap(), line), (Line::Complete, b"OK".to_vec()));
        assert_eq!(source.left(), b"payload\n");
    }

    #[test]
    fn socket_line_leaves_the_bytes_after_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        io::Write::write_all(&mut far, b"OK\npayload").unwrap();
        drop(far);
        let (mut line, mut rest) = (Vec::new(), Vec::new());
        assert_eq!(read_line(&mut &near, &mut line).unwrap(), Line::Complete);
        assert_eq!(line, b"OK");
        io::Read::read_to_end(&mut &near, &mut rest).unwrap();
        assert_eq!(rest, b"payload");
    }

    #[test]
    fn overlong_line_takes_no_byte_beyond_the_limit() {
        let (first, others) = (vec![b'x'; 1], vec![b'x'; MAX_LINE]);
        let mut source = Portions::new(&[&first, &others]);
        let (end, line) = read(&mut source);
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!((line.len(), source.left().len()), (MAX_LINE, 1));
    }

    #[test]
    fn source_error_is_returned() {
        struct Broken(Vec<io::ErrorKind>);
        impl LineSource for Broken {
            fn peek(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(self.0.pop().unwrap().into())
            }
            fn take(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Ok(0)
            }
        }

        let mut source = Broken(vec![
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::Interrupted,
        ]);
        let error = read_line(&mut source, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn line_cut_anywhere_reads_the_same() {
        let bytes = b"STREAM STATUS RESULT=OK\nrest";
        for cut in 1..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            let mut source = Portions::new(&[first, second]);
            let (end, line) = read(&mut source);
            assert_eq!(end.unwrap(), Line::Complete);
            assert_eq!(line, b"STREAM STATUS RESULT=OK", "cut at {cut}");
            assert_eq!(source.left(), b"rest", "cut at {cut}");
        }
    }

    #[test]
    fn line_longer_than_window_is_complete() {
        let long = vec![b'x'; 5000];
        let mut source = Portions::new(&[&long, b"\n!"]);
        let (end, line) = read(&mut source);
        assert_eq!((end.unwrap(), line), (Line::Complete, long));
        assert_eq!(source.left(), b"!");
    }

    #[test]
    fn eof_within_line_differs_from_clean_eof() {
        let (end, line) = read(&mut Portions::new(&[b"half"]));
        assert_eq!((end.unwrap(), line), (Line::Unterminated, b"half".to_vec()));
        let (end, line) = read(&mut Portions::new(&[]));
        assert_eq!((end.unwrap(), line), (Line::End, Vec::new()));
    }

    #[test]
    fn line_beyond_maximum_is_refused() {
        let mut longest = vec![b'x'; MAX_LINE - 1];
        longest.push(b'\n');
        let (end, line) = read(&mut Portions::new(&[&longest]));
        assert_eq!((end.unwrap(), line.len()), (Line::Complete, MAX_LINE - 1));

        let longer = vec![b'x'; 1024 * 1024];
        let (end, line) = read(&mut Portions::new(&[&longer]));
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(line.len(), MAX_LINE);
    }

    #[test]
    fn interrupted_read_is_retried() {
        struct Interrupted(Portions, bool);
        impl LineSource for Interrupted {
            fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                self.0.peek(buf)
            }
            fn take(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.0.take(buf)
            }
        }
        let mut line = Vec::new();
        let mut source = Interrupted(Portions::new(&[b"a", b"b\n"]), false);
        assert_eq!(read_line(&mut source, &mut line).unwrap(), Line::Complete);
        assert_eq!(line, b"ab");
    }
}
