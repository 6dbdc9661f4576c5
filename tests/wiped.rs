//! The feature `zeroize`: when the keys are dropped, the memory of the process contains none of their bytes. The
//! test reads the whole memory, so it needs a process of its own.

#![cfg(target_os = "linux")]

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use i2p_sam::{PrivateKey, SamBridge, SignatureType};

/// The length of an Ed25519 destination, with which its key begins.
const PUBLIC: usize = 391;

/// The length of the key.
const WHOLE: usize = 679;

/// The length of a piece of the key that counts as found.
const PIECE: usize = 16;

/// The pieces are searched for in this form, in which they are not found themselves.
const MASK: u8 = 0x5a;

/// Returns a byte of the key without the others.
fn byte(at: usize) -> u8 {
    let certificate = [5, 0, 4, 0, 7, 0, 0];
    match at {
        0..384 => 7,
        384..PUBLIC => certificate[at - 384],
        _ => (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0],
    }
}

/// Returns a character of the key's base64 text.
fn character(at: usize) -> u8 {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-~";
    let start = at / 4 * 3;
    let group = (0..3).fold(0, |group, more| group << 8 | u32::from(byte(start + more)));
    digits[(group >> (18 - 6 * (at % 4)) & 63) as usize]
}

/// Returns masked pieces of the secret part, as bytes and as text.
fn pieces() -> Vec<[u8; PIECE]> {
    let of_bytes = (PUBLIC..WHOLE - PIECE)
        .step_by(PIECE)
        .map(|start| std::array::from_fn(|at| byte(start + at) ^ MASK));
    let first = PUBLIC / 3 * 4 + 4;
    let of_text = (first..WHOLE / 3 * 4 - PIECE)
        .step_by(PIECE)
        .map(|start| std::array::from_fn(|at| character(start + at) ^ MASK));
    of_bytes.chain(of_text).collect()
}

/// Returns the number of pieces in the writable memory of this process.
fn found(pieces: &[[u8; PIECE]]) -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mut block = vec![0; 1 << 20];
    let mut count = 0;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (range, _) = line.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let (mut at, end) = (number(start), number(end));
        while at < end {
            let len = block.len().min((end - at) as usize);
            // Some pages of the kernel cannot be read.
            if memory.read_exact_at(&mut block[..len], at).is_err() {
                break;
            }
            count += count_in(&block[..len], pieces);
            at += len as u64;
        }
    }
    // Otherwise the next search finds the copies of this one.
    forget(&mut block);
    count
}

fn count_in(block: &[u8], pieces: &[[u8; PIECE]]) -> usize {
    // Most places are no beginning of a piece. The memory is large, and the test is not optimised.
    let mut begins = vec![false; 1 << 16];
    let begin = |bytes: &[u8]| usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    for piece in pieces {
        begins[begin(&[piece[0] ^ MASK, piece[1] ^ MASK])] = true;
    }
    let is_piece = |window: &[u8]| {
        pieces.iter().any(|piece| {
            let mut pairs = window.iter().zip(piece);
            pairs.all(|(byte, masked)| byte ^ MASK == *masked)
        })
    };
    let windows = block.windows(PIECE);
    windows
        .filter(|window| begins[begin(window)] && is_piece(window))
        .count()
}

/// Overwrites a buffer of the test.
fn forget(buffer: &mut [u8]) {
    buffer.fill(0);
    black_box(buffer);
}

/// The key files of the test, as bytes and as text. The folder is removed when this is dropped.
struct Files(PathBuf);

impl Files {
    fn create() -> Self {
        let folder = std::env::temp_dir().join(format!("i2p-sam-wiped-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// Writes the key that has these bytes.
    fn fill(&self, byte: fn(usize) -> u8) {
        let mut bytes: Vec<u8> = (0..WHOLE).map(byte).collect();
        private(&self.bytes()).write_all(&bytes).unwrap();
        forget(&mut bytes);
        let mut text = PrivateKey::load(self.bytes())
            .unwrap()
            .expose_base64()
            .into_bytes();
        private(&self.text()).write_all(&text).unwrap();
        forget(&mut text);
    }

    fn bytes(&self) -> PathBuf {
        self.0.join("bytes.key")
    }

    fn text(&self) -> PathBuf {
        self.0.join("text.key")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn private(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).unwrap()
}

/// Replies to HELLO, SESSION CREATE and DEST GENERATE, with the key of the request or of the file.
fn serve(mut stream: &TcpStream, key: &Path) {
    let mut line = vec![0; 16 * 1024];
    loop {
        let mut len = 0;
        while !line[..len].contains(&b'\n') {
            match stream.read(&mut line[len..]) {
                Ok(0) | Err(_) => return forget(&mut line),
                Ok(read) => len += read,
            }
        }
        let words: Vec<&[u8]> = line[..len].split(|byte| b" \n".contains(byte)).collect();
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut text = Vec::new();
        match words[0] {
            b"HELLO" => parts.push(b"HELLO REPLY RESULT=OK VERSION=3.3"),
            b"SESSION" => {
                let named = |word: &&[u8]| word.strip_prefix(b"DESTINATION=").map(<[u8]>::len);
                let place = words.iter().find(|word| named(word).is_some()).unwrap();
                parts.push(b"SESSION STATUS RESULT=OK ");
                parts.push(place);
            }
            b"DEST" => {
                text = vec![0; 908];
                File::open(key).unwrap().read_exact(&mut text).unwrap();
                parts.push(b"DEST REPLY PRIV=");
                parts.push(&text);
                parts.push(b" PUB=");
                // The destination is the public part of the key: 390 of its 391 bytes, and the last one.
                parts.push(&text[..520]);
                parts.push(b"AA==");
            }
            _ => return forget(&mut line),
        }
        for part in parts.into_iter().chain([&b"\n"[..]]) {
            if stream.write_all(part).is_err() {
                break;
            }
        }
        forget(&mut text);
        forget(&mut line);
    }
}

/// The bridge replies to DEST GENERATE with the key of this file, which need not exist yet.
fn start_bridge(key: PathBuf) -> SamBridge {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, key) = (stream.unwrap(), key.clone());
            thread::spawn(move || serve(&stream, &key));
        }
    });
    SamBridge::new(&address).unwrap()
}

/// Lets a key pass through everything that reads, sends, receives and compares one.
fn exercise(bridge: &SamBridge, files: &Files) {
    let loaded = PrivateKey::load(files.bytes()).unwrap();
    let same = PrivateKey::load(files.text()).unwrap();
    let generated = bridge.generate(SignatureType::Ed25519).unwrap();
    let builder = bridge.session().key(&loaded).linger(Duration::ZERO);
    let session = builder.stream().unwrap();
    assert!(loaded == same && same == generated);
    session.close();
}

#[test]
fn keys_that_are_dropped_leave_no_byte_in_memory() {
    let (files, pieces) = (Files::create(), pieces());
    let bridge = start_bridge(files.text());
    // The dynamic linker saves the registers on the stack, with a part of a key in them, when a function is
    // called for the first time. So another key is the first.
    files.fill(|at| if at < PUBLIC { byte(at) } else { 1 });
    exercise(&bridge, &files);
    files.fill(byte);
    exercise(&bridge, &files);
    assert_eq!(found(&pieces), 0);
    // The search finds a key that exists.
    let _loaded = PrivateKey::load(files.bytes()).unwrap();
    assert!(found(&pieces) > 0);
}
