//! Checks which sites can be reached, several at once.
//!
//! ```text
//! is_up [ADDRESS[:PORT] …]      without an address: two sites of a private network, one of which is down
//! ```
//!
//! Each site has 60 s. Progress goes to standard error, the results to standard output. Ctrl-C ends all dials at
//! once. It fails if no site can be reached.

mod common;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Outcome, Place, in_full};
use i2p_sam::{Cancel, ConnectOptions, Error, I2pAddr, SignatureType, StreamSession};

/// The most dials at once.
const AT_ONCE: usize = 8;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let cancel = Cancel::new();
    let handle = cancel.clone();
    ctrlc::set_handler(move || handle.cancel())?;
    let place = Place::find()?;
    let session = place.stream_session("is-up")?.with_cancel(&cancel);
    let mut sites: Vec<I2pAddr> = Vec::new();
    for address in std::env::args().skip(1) {
        sites.push(address.parse()?);
    }
    // It serves until the end of this function.
    let server = place.stream_session("a-site")?;
    let listener = server.listener()?;
    if sites.is_empty() {
        let nobody = place.bridge.generate(SignatureType::Ed25519)?;
        sites.push(server.destination().b32().into());
        sites.push(nobody.destination().b32().into());
    }
    let up = check_all(&session, &sites);
    drop(listener);
    match up {
        0 => Err("no site can be reached".into()),
        _ => Ok(()),
    }
}

/// Checks the sites on a few threads, and returns the number of those that can be reached.
fn check_all(session: &StreamSession, sites: &[I2pAddr]) -> usize {
    let (next, up) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let checked = Mutex::new(0);
    let work = || {
        while let Some(site) = sites.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = check(session, site);
            up.fetch_add(usize::from(result.is_ok()), Ordering::Relaxed);
            // One line at a time.
            let mut checked = checked.lock().unwrap_or_else(|error| error.into_inner());
            *checked += 1;
            eprintln!("{checked} of {}", sites.len());
            match result {
                Ok(time) => println!("up    {site} after {time:.1?}"),
                Err(Error::Cancelled { .. }) => println!("?     {site}"),
                Err(error) => println!("down  {site}: {}", in_full(&error)),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(sites.len()) {
            scope.spawn(work);
        }
    });
    up.into_inner()
}

/// Dials a site, and returns the time that it took.
fn check(session: &StreamSession, site: &I2pAddr) -> Result<Duration, Error> {
    let start = Instant::now();
    let options = ConnectOptions::new().timeout(Some(PATIENCE));
    session.connect_with(site, &options)?;
    Ok(start.elapsed())
}
