//! Looks up the destinations of addresses, and the services they offer.
//!
//! ```text
//! lookup ADDRESS…      names, .b32.i2p addresses, whole destinations or links
//! ```
//!
//! i2pd and emissary find a `.b32.i2p` address only for a session, so this program makes one for
//! the addresses that are not found without a session; that takes seconds.

mod common;

use common::{Outcome, Place, in_full};
use i2p_sam::{I2pAddr, Lookup, StreamSession};

fn main() -> std::process::ExitCode {
    common::exit_code(run())
}

fn run() -> Outcome {
    let addresses: Vec<I2pAddr> = std::env::args()
        .skip(1)
        .map(|text| I2pAddr::from_url(&text))
        .collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        return Err("usage: lookup ADDRESS…".into());
    }
    let place = Place::find()?;
    let (mut missing, mut session) = (0, None);
    for address in &addresses {
        if let Err(error) = show(&place, &mut session, address) {
            eprintln!("{address}: {}", in_full(&*error));
            missing += 1;
        }
    }
    if let Some(session) = session {
        session.close();
    }
    match missing {
        0 => Ok(()),
        missing => Err(format!("{missing} of {} were not found", addresses.len()).into()),
    }
}

fn show(place: &Place, session: &mut Option<StreamSession>, address: &I2pAddr) -> Outcome {
    let found = place.bridge.lookup_with_options(address);
    match (found, address.destination()) {
        (Ok(found), _) => {
            println!("{address} {}", found.destination().b32());
            show_services(&found);
        }
        // A full destination needs no router; only its services do.
        (Err(error), Some(destination)) => {
            println!("{address} {}", destination.b32());
            eprintln!("{address}: {}", in_full(&error));
        }
        (Err(_), None) if address.b32().is_some() => {
            let session = session_for_lookups(place, session)?;
            println!("{address} {}", session.lookup(address)?.b32());
        }
        (Err(error), None) => return Err(error.into()),
    }
    Ok(())
}

/// Returns the session that was made for an earlier address, or a new one.
fn session_for_lookups<'a>(
    place: &Place,
    session: &'a mut Option<StreamSession>,
) -> Outcome<&'a StreamSession> {
    Ok(match session {
        Some(session) => session,
        None => session.insert(place.stream_session("lookup")?),
    })
}

fn show_services(found: &Lookup) {
    for record in found.services() {
        match record {
            Ok(record) => println!(
                "  {}/{} priority {} weight {} at {} {}",
                record.service(),
                record.protocol(),
                record.priority(),
                record.weight(),
                record.target(),
                record.options().escape_debug()
            ),
            Err(error) => eprintln!("  {error}"),
        }
    }
}
