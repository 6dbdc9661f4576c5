//! A router that a program starts for itself: an i2pd that is installed on the machine.
//!
//! [`I2pd::launch`] starts it and waits until its SAM bridge replies. The router has a data folder and ports of
//! its own, so that it runs beside other routers, and it stops with the handle. A program that uses a router
//! which runs anyway needs nothing of this: see [`SamBridge`](crate::SamBridge).
//!
//! ```no_run
//! use i2p_sam::router::I2pd;
//!
//! let router = I2pd::builder()
//!     .data_dir("router")
//!     .on_progress(|step| eprintln!("{step}"))
//!     .launch()?;
//! let session = router.bridge().session().stream()?;
//! println!("{}", session.destination().b32());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The first session takes minutes
//!
//! The SAM bridge replies in less than a second. A session needs tunnels through other routers, and a router
//! that starts for the first time knows none: it downloads a list of routers over HTTPS from one of the
//! reseed servers of the I2P project. The first session then takes from half a minute to several minutes, and
//! [`session_create_timeout`](crate::SamBridgeBuilder::session_create_timeout) covers that. A
//! [data folder](I2pdBuilder::data_dir) that is kept contains the routers known before, so that the next
//! start needs no list.
//!
//! # The end of the router
//!
//! [`I2pd::stop`], and the drop of the handle, end the process:
//!
//! | end of the program | Unix | other systems |
//! |---|---|---|
//! | the handle is dropped, also by a panic that unwinds | i2pd receives SIGTERM, and stops in about a second; after 10 s it is killed | i2pd is killed |
//! | `process::exit`, an abort, Ctrl-C without a handler | i2pd receives SIGTERM | i2pd may continue to run |
//! | the program is killed (SIGKILL, the system's out-of-memory killer) | i2pd receives SIGTERM | i2pd continues to run |
//!
//! `std` can only kill a process. On Unix, a small `sh` process therefore waits beside the router at a pipe,
//! which closes when the handle is dropped or the program ends in any way, and then sends the signal. Both are
//! in process groups of their own, so that Ctrl-C in a terminal reaches the program alone. If no `sh` can be
//! started, Unix behaves like the other systems. A child that the program forks without `exec`
//! keeps the pipe open.
//!
//! A router that is killed loses what it learned in the last minutes; its keys and its list of routers remain.
//! A program that ends without dropping the handle leaves a data folder that was made for one router.

mod arguments;
mod builder;
mod data_dir;
mod error;
mod i2pd;
mod launch;
mod ports;
mod process;
mod program;
mod settings;
mod step;

pub use builder::I2pdBuilder;
pub use error::LaunchError;
pub use i2pd::I2pd;
pub use step::LaunchStep;
