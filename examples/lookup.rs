//! Looks up who addresses belong to, and which services they offer.
//!
//! ```text
//! lookup ADDRESS…      names, .b32.i2p addresses, whole destinations or links
//! ```

mod common;

use common::{Outcome, Place};
use i2p_sam::{I2pAddr, Lookup, SamBridge};

fn main() -> Outcome {
    let addresses: Vec<I2pAddr> = std::env::args()
        .skip(1)
        .map(|text| I2pAddr::from_url(&text))
        .collect::<Result<_, _>>()?;
    if addresses.is_empty() {
        return Err("usage: lookup ADDRESS…".into());
    }
    let place = Place::find()?;
    let mut missing = 0;
    for address in &addresses {
        if let Err(error) = show(&place.bridge, address) {
            eprintln!("{address}: {error}");
            missing += 1;
        }
    }
    match missing {
        0 => Ok(()),
        missing => Err(format!("{missing} of {} were not found", addresses.len()).into()),
    }
}

fn show(bridge: &SamBridge, address: &I2pAddr) -> Outcome {
    match (bridge.lookup_with_options(address), address.destination()) {
        (Ok(found), _) => {
            println!("{address} {}", found.destination().b32());
            show_services(&found);
        }
        // Whose it is stands in it; only what it offers needs a router that finds it.
        (Err(error), Some(destination)) => {
            println!("{address} {}", destination.b32());
            eprintln!("{address}: {error}");
        }
        (Err(error), None) => return Err(error.into()),
    }
    Ok(())
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
