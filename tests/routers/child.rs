//! What runs in a process of its own: this program starts itself again, and does one of these.

use std::env;
use std::io;
use std::process::{Command, ExitCode, Stdio};

use crate::{embedded, healed};

/// What a child is told first.
const MARK: &str = "--child";

type Work = fn(&[String]) -> io::Result<()>;

const CHILDREN: &[(&str, Work)] = &[("testnet", embedded::run), ("healed", healed::run)];

/// Does the work of a child, if this process is one.
pub(crate) fn run() -> Option<ExitCode> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [mark, name, args @ ..] = args.as_slice() else {
        return None;
    };
    if mark != MARK {
        return None;
    }
    let (_, work) = CHILDREN.iter().find(|(known, _)| known == name)?;
    match work(args) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{name}: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

/// A child that does this. Its standard input is a pipe, whose end tells it to end, also when this
/// process is killed.
pub(crate) fn command(name: &str) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command
        .args([MARK, name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    Ok(command)
}
