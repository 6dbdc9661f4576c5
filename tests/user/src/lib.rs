//! A guest book over I2P: each caller leaves one line, and receives all lines so far.

use std::io::{self, BufRead, BufReader, Write};
use std::sync::Mutex;
use std::thread;

use i2p_sam::{SamListener, SamStream};

#[derive(Default)]
pub struct GuestBook {
    lines: Mutex<Vec<String>>,
}

impl GuestBook {
    /// Serves callers until the listener ends.
    pub fn serve(&self, listener: &SamListener) {
        thread::scope(|scope| {
            for stream in listener.incoming().filter_map(Result::ok) {
                // A caller that leaves early is no fault of the book.
                scope.spawn(move || _ = self.sign(&stream));
            }
        });
    }

    /// Takes the line of one caller, and replies with the book.
    pub fn sign(&self, stream: &SamStream) -> io::Result<()> {
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        let book = {
            let mut lines = self.lines.lock().unwrap();
            lines.push(line);
            lines.concat()
        };
        let mut writer = stream;
        writer.write_all(book.as_bytes())
    }
}
