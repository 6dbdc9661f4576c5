//! `sam completions` and `sam man`: what a packager installs beside the program.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn print_completions(shell: Shell, output: &Output) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "sam", &mut script);
    output.bytes(&script)
}

/// Prints the page of a command, or of the whole program.
pub(crate) fn print_man(command: Option<&str>, output: &Output) -> Result<(), Failure> {
    let mut program = Arguments::command();
    // Copies the global options into the commands.
    program.build();
    let page = match command {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(found) => found.clone().display_name(format!("sam-{name}")),
            None => return Err(Failure::Usage(format!("sam has no command {name}"))),
        },
    };
    let mut text = Vec::new();
    let rendered = Man::new(page).render(&mut text);
    rendered.map_err(Failure::io("the manual page cannot be made"))?;
    output.bytes(&text)
}
