//! Checks which sites can be reached, several at once.
//!
//! ```text
//! is_up                       a site of its own, and an address that nobody has
//! is_up ADDRESS[:PORT] …      these sites
//! ```
//!
//! Each site has 60 s. Progress goes to standard error, the results to standard output. Ctrl-C ends all dials at
//! once. It fails if no site can be reached, or if it was stopped.

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
    let sites: Vec<I2pAddr> = std::env::args()
        .skip(1)
        .map(|address| I2pAddr::from_url(&address))
        .collect::<Result<_, _>>()?;
    let mut place = Place::find()?;
    // Everything made from this bridge ends with the handle, and a session that is being created as well.
    let cancel = Cancel::new();
    place.bridge = place.bridge.with_cancel(&cancel);
    let handle = cancel.clone();
    ctrlc::set_handler(move || handle.cancel())?;
    let up = match sites[..] {
        [] => check_own_sites(&place)?,
        _ => check_all(&place.stream_session("is-up")?, &sites),
    };
    match up {
        _ if cancel.is_cancelled() => Err("stopped before all sites were checked".into()),
        0 => Err("no site can be reached".into()),
        _ => Ok(()),
    }
}

/// Checks a site that is up, and an address that nobody has.
fn check_own_sites(place: &Place) -> Outcome<usize> {
    let server = place.stream_session("a-site")?;
    // The site is up as long as this exists.
    let _listener = server.listener()?;
    let nobody = place.bridge.generate(SignatureType::Ed25519)?;
    let sites = [server.destination(), nobody.destination()].map(|site| site.b32().into());
    Ok(check_all(&place.stream_session("is-up")?, &sites))
}

/// Checks the sites on a few threads, and returns the number of those that can be reached.
fn check_all(session: &StreamSession, sites: &[I2pAddr]) -> usize {
    let (next, up) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let checked = Mutex::new(0);
    eprintln!("Checking {} sites", sites.len());
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
