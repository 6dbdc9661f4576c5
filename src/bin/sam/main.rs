//! `sam`: I2P at the command line, on the library's public API alone.

#![forbid(unsafe_code)]
// Input from a bridge, a peer, a file or a user never causes a panic, and neither does a closed output:
// `print!` and `eprint!` would.
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::todo,
    clippy::unimplemented,
    clippy::unreachable,
    clippy::dbg_macro,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod arguments;
mod bridge;
mod completions;
mod context;
mod dialler;
mod doctor;
mod failure;
mod get;
mod help;
mod http;
mod json;
mod keygen;
mod lookup;
mod netcat;
mod output;
mod ping;
mod progress;
mod proxy;
mod proxy_http;
mod proxy_socks;
mod relay;
mod router;
mod stop;
mod tunnel;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use context::Context;
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed output is no reason to fail.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    let output = Output::new(arguments.global.quiet, arguments.global.json);
    match run(&arguments, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.code())
        }
    }
}

fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    match &arguments.command {
        Command::Completions { shell } => return completions::print_completions(*shell, output),
        Command::Man { command } => return completions::print_man(command.as_deref(), output),
        _ => {}
    }
    let context = Context::new(&arguments.global, output)?;
    match &arguments.command {
        Command::Doctor => doctor::run(&context),
        Command::Keygen { file, .. } => keygen::run(&context, file.as_deref()),
        Command::Lookup { address, full } => lookup::run(&context, address, *full),
        Command::Get(get) => get::run(&context, get),
        Command::Listen { key, quit_after } => {
            netcat::listen(&context, key.as_deref(), *quit_after)
        }
        Command::Connect {
            destination,
            quit_after,
        } => netcat::connect(&context, destination, *quit_after),
        Command::Ping(ping) => ping::run(&context, ping),
        Command::Tunnel { command } => tunnel::run(&context, command),
        Command::Proxy(proxy) => proxy::run(&context, proxy),
        Command::Bridge(bridge) => bridge::run(&context, bridge),
        Command::Completions { .. } | Command::Man { .. } => Ok(()),
    }
}
