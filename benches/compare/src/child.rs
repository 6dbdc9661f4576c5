//! The measured programs. Each side of an exchange is a process of its own, so that its processor
//! time, its system calls and its allocations are its own.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use yosemite::{Session, style};

use crate::Failure;
use crate::client::{Client, Plain, Sam};
use crate::usage::{Spent, Usage};
use crate::{churn, datagrams, memory, throughput};

/// The bytes of an echo.
const WORD: [u8; 32] = [7; 32];

/// Echoes before anything is counted.
const WARM_UP: usize = 20;

/// A process that runs one of the programs below. It prints lines and ends with its input.
pub struct Program {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    pub fn start(arguments: &[&str]) -> Result<Self, Failure> {
        Self::start_under(&[], arguments)
    }

    /// Starts a program as the argument of another command.
    pub fn start_under(wrapper: &[&str], arguments: &[&str]) -> Result<Self, Failure> {
        let own = std::env::current_exe()?;
        let mut command = match wrapper {
            [] => Command::new(own),
            [outer, options @ ..] => {
                let mut command = Command::new(outer);
                command.args(options).arg(own);
                command
            }
        };
        let mut process = command
            .arg("child")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or("no output")?;
        Ok(Self {
            process,
            lines: BufReader::new(stdout).lines(),
        })
    }

    pub fn line(&mut self) -> Result<String, Failure> {
        Ok(self.lines.next().ok_or("a measured program ended")??)
    }

    /// Returns the numbers of the next line.
    pub fn numbers(&mut self) -> Result<Vec<f64>, Failure> {
        let line = self.line()?;
        let numbers = line.split_whitespace().map(str::parse);
        Ok(numbers.collect::<Result<_, _>>()?)
    }

    /// Waits until the program has ended.
    pub fn end(mut self) -> Result<(), Failure> {
        drop(self.process.stdin.take());
        match self.process.wait()?.success() {
            true => Ok(()),
            false => Err("a measured program failed".into()),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the program with this name.
pub fn run(arguments: &[String]) -> Result<(), Failure> {
    let [program, kind, rest @ ..] = arguments else {
        return Err("no program".into());
    };
    match kind.as_str() {
        "std" => run_as::<Plain>(program, rest),
        "yosemite" => run_as::<Session<style::Stream>>(program, rest),
        _ => run_as::<Sam>(program, rest),
    }
}

fn run_as<C: Client>(program: &str, arguments: &[String]) -> Result<(), Failure> {
    let number = |at: usize| -> Result<usize, Failure> {
        Ok(arguments.get(at).ok_or("an argument is missing")?.parse()?)
    };
    let (port, count) = (number(0)?.try_into()?, number(1)?);
    let word = arguments.get(2).map_or("", String::as_str);
    match program {
        "accept" => accept::<C>(port, count),
        "dial" => dial::<C>(port, count, word),
        "answer" => answer::<C>(port, count),
        "ask" => ask::<C>(port, count, word),
        "receive" => throughput::receive::<C>(port, count),
        "send" => throughput::send::<C>(port, count, word),
        "hold-accepted" => memory::hold_accepted::<C>(port, count),
        "hold-dialled" => memory::hold_dialled::<C>(port, count, word),
        "sessions" => memory::sessions::<C>(port, count),
        "discard" => churn::discard::<C>(port, count),
        "churn" => churn::churn(port, count, word),
        "datagrams-out" => datagrams::send(port, count, word, 1),
        "datagrams-out-turn" => datagrams::send(port, count, word, 2),
        "datagrams-in" => datagrams::receive(port, count, word, "SEND"),
        "datagrams-in-turn" => datagrams::receive(port, count, word, "TURN"),
        _ => Err(format!("no program {program}").into()),
    }
}

/// Accepts streams one after the other and echoes one word on each.
fn accept<C: Client>(port: u16, rounds: usize) -> Result<(), Failure> {
    let mut client = C::open(port, "compare-accept")?;
    client.listen()?;
    println!("{}", client.destination()?);
    let mut echo = || -> Result<(), Failure> {
        let mut stream = client.accept()?;
        let mut word = WORD;
        stream.read_exact(&mut word)?;
        stream.write_all(&word)?;
        // The dialler closes.
        let _ = stream.read(&mut word);
        Ok(())
    };
    print_spent(measured(rounds, &mut echo)?);
    wait_for_end()
}

/// Dials streams one after the other and waits for the echo of a word on each.
fn dial<C: Client>(port: u16, rounds: usize, peer: &str) -> Result<(), Failure> {
    let mut client = C::open(port, "compare-dial")?;
    let peer = C::peer(peer)?;
    let mut echo = || -> Result<(), Failure> {
        let mut stream = client.connect(&peer)?;
        stream.write_all(&WORD)?;
        let mut word = [0; WORD.len()];
        Ok(stream.read_exact(&mut word)?)
    };
    print_spent(measured(rounds, &mut echo)?);
    wait_for_end()
}

/// Accepts one stream and echoes words on it.
fn answer<C: Client>(port: u16, rounds: usize) -> Result<(), Failure> {
    let mut client = C::open(port, "compare-answer")?;
    client.listen()?;
    println!("{}", client.destination()?);
    let mut stream = client.accept()?;
    let mut echo = || -> Result<(), Failure> {
        let mut word = WORD;
        stream.read_exact(&mut word)?;
        Ok(stream.write_all(&word)?)
    };
    print_spent(measured(rounds, &mut echo)?);
    wait_for_end()
}

/// Dials one stream and waits for the echoes of words on it.
fn ask<C: Client>(port: u16, rounds: usize, peer: &str) -> Result<(), Failure> {
    let mut client = C::open(port, "compare-ask")?;
    let mut stream = client.connect(&C::peer(peer)?)?;
    let mut echo = || -> Result<(), Failure> {
        stream.write_all(&WORD)?;
        let mut word = [0; WORD.len()];
        Ok(stream.read_exact(&mut word)?)
    };
    print_spent(measured(rounds, &mut echo)?);
    wait_for_end()
}

fn measured(
    rounds: usize,
    round: &mut dyn FnMut() -> Result<(), Failure>,
) -> Result<Spent, Failure> {
    for _ in 0..WARM_UP {
        round()?;
    }
    let start = Usage::now()?;
    for _ in 0..rounds {
        round()?;
    }
    start.spent()
}

pub fn print_spent(spent: Spent) {
    let (wall, cpu) = (spent.wall.as_nanos(), spent.cpu.as_nanos());
    println!("{wall} {cpu} {}", spent.allocations);
}

/// Waits until the other process has read the results, so that a session outlives its last stream.
pub fn wait_for_end() -> Result<(), Failure> {
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
