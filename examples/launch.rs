//! Starts an i2pd for itself, creates a destination on it, and stops it again.
//!
//! ```text
//! launch [--offline | FOLDER]
//! ```
//!
//! With `--offline` the router stays on this machine. The data folder of the router remains if it is named, and
//! shortens the next start.

use std::env;
use std::error::Error;
use std::time::Instant;

use i2p_sam::SessionOptions;
use i2p_sam::router::I2pd;

fn main() -> Result<(), Box<dyn Error>> {
    let argument = env::args().nth(1);
    let offline = argument.as_deref() == Some("--offline");
    let mut router = I2pd::builder()
        .offline(offline)
        .on_progress(|step| eprintln!("{step}"));
    if let Some(folder) = argument.filter(|_| !offline) {
        router = router.data_dir(folder);
    }
    let router = router.launch()?;

    // A router without peers has no hops for its tunnels.
    let hops = if offline { 0 } else { 3 };
    let options = SessionOptions::new().tunnel_length(hops);
    let start = Instant::now();
    let session = router.bridge().session().options(options).stream()?;
    eprintln!("the session took {:.1?}", start.elapsed());
    println!("{}", session.destination().b32());

    session.close();
    router.stop();
    Ok(())
}
