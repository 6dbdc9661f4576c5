//! Measured programs under `strace` and under valgrind's callgrind. The difference of a short and a
//! long run is free of the costs of the process and of its session.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::Failure;
use crate::bridge::Bridge;
use crate::child::Program;
use crate::table::median;

/// System call => how often it was called in a round.
pub type Calls = BTreeMap<String, f64>;

/// The repetitions of a measurement, of which the median counts.
const RUNS: usize = 3;

/// Programs that work together.
#[derive(Clone, Copy)]
pub enum Job {
    /// A program that dials, and one that accepts.
    Streams(&'static str, &'static str),
    /// A program that sends datagrams to the bridge, or receives them.
    Datagrams(&'static str),
}

impl Job {
    /// The dialler and the acceptor of a stream for each round.
    pub const STREAMS: Self = Self::Streams("dial", "accept");
    /// The dialler and the acceptor of one stream with a word each way for each round.
    pub const WORDS: Self = Self::Streams("ask", "answer");

    /// The rounds of a short and of a long run: whole windows of datagrams.
    fn rounds(self) -> [usize; 2] {
        match self {
            Self::Streams(..) => [20, 220],
            Self::Datagrams(_) => [320, 3520],
        }
    }
}

/// Returns the system calls of a round, for each program.
pub fn calls(job: Job, kind: &str) -> Result<Vec<Calls>, Failure> {
    let wrapper = |file: &str| words(&["strace", "-f", "-c", "-U", "name,calls", "-o", file]);
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let (short, long, rounds) = run_twice(job, kind, wrapper)?;
        let sides = short.iter().zip(&long);
        let each = |(short, long): (&String, &String)| difference(short, long, rounds);
        runs.push(sides.map(each).collect());
    }
    Ok(medians(&runs))
}

/// Returns the instructions of a round, for each program.
pub fn instructions(job: Job, kind: &str) -> Result<Vec<f64>, Failure> {
    let wrapper = |file: &str| {
        let output = format!("--callgrind-out-file={file}");
        words(&["valgrind", "-q", "--tool=callgrind", &output])
    };
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let (short, long, rounds) = run_twice(job, kind, wrapper)?;
        let mut sides = Vec::new();
        for (short, long) in short.iter().zip(&long) {
            let counted = (total(long)? - total(short)?) / rounds;
            sides.push(Calls::from([(String::new(), counted)]));
        }
        runs.push(sides);
    }
    let sides = medians(&runs).into_iter();
    Ok(sides.flat_map(Calls::into_values).collect())
}

/// Returns the outputs of a short and of a long run, and the number of rounds between them.
fn run_twice(
    job: Job,
    kind: &str,
    wrapper: impl Fn(&str) -> Vec<String>,
) -> Result<(Vec<String>, Vec<String>, f64), Failure> {
    let [few, many] = job.rounds();
    let short = run(job, kind, few, &wrapper)?;
    let long = run(job, kind, many, &wrapper)?;
    Ok((short, long, (many - few) as f64))
}

/// Runs the programs of a job, each as the arguments of a wrapper, and returns what the wrappers wrote
/// into their files.
fn run(
    job: Job,
    kind: &str,
    rounds: usize,
    wrapper: impl Fn(&str) -> Vec<String>,
) -> Result<Vec<String>, Failure> {
    let bridge = Bridge::start()?;
    let (port, rounds) = (bridge.tcp.to_string(), rounds.to_string());
    let (near, far) = (Output::new("near"), Output::new("far"));
    let start = |output: &Output, arguments: &[&str]| {
        let wrapper = wrapper(&output.path());
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        Program::start_under(&wrapper, arguments)
    };
    match job {
        Job::Streams(dialler, acceptor) => {
            let mut acceptor = start(&far, &[acceptor, kind, &port, &rounds])?;
            let peer = acceptor.line()?;
            let mut dialler = start(&near, &[dialler, kind, &port, &rounds, &peer])?;
            dialler.line()?;
            acceptor.line()?;
            dialler.end()?;
            acceptor.end()?;
            Ok(vec![near.text()?, far.text()?])
        }
        Job::Datagrams(program) => {
            let word = format!("{kind}:{}", bridge.udp);
            let mut program = start(&near, &[program, kind, &port, &rounds, &word])?;
            program.line()?;
            program.end()?;
            Ok(vec![near.text()?])
        }
    }
}

/// The file of a wrapper, which is removed with this value.
struct Output(PathBuf);

impl Output {
    fn new(name: &str) -> Self {
        let name = format!("compare-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn path(&self) -> String {
        self.0.to_string_lossy().into_owned()
    }

    fn text(&self) -> Result<String, Failure> {
        Ok(fs::read_to_string(&self.0)?)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Returns the system calls of a round, from the outputs of `strace`.
fn difference(short: &str, long: &str, rounds: f64) -> Calls {
    let short = summary(short);
    let each = |(name, count)| {
        let fixed = short.get(&name).copied().unwrap_or_default();
        (name, (count - fixed) / rounds)
    };
    summary(long).into_iter().map(each).collect()
}

/// Reads an output of `strace`: a name and a number in each line.
fn summary(text: &str) -> Calls {
    let line = |line: &str| {
        let (name, count) = line.trim().split_once(char::is_whitespace)?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    let mut calls: Calls = text.lines().filter_map(line).collect();
    calls.remove("total");
    calls
}

/// Reads the output of callgrind.
fn total(text: &str) -> Result<f64, Failure> {
    let line = |name| text.lines().find_map(|line| line.strip_prefix(name));
    let total = line("totals:").or(line("summary:")).ok_or("no total")?;
    Ok(total.trim().parse()?)
}

/// Returns the median of each number of each program.
fn medians(runs: &[Vec<Calls>]) -> Vec<Calls> {
    let sides = runs.first().map_or(0, Vec::len);
    let side = |at: usize| -> Calls {
        let names = runs.iter().flat_map(|run| run[at].keys().cloned());
        let count = |name: &String| {
            let counts = runs.iter().map(|run| run[at].get(name).copied());
            median(counts.map(Option::unwrap_or_default).collect())
        };
        names.map(|name| (name.clone(), count(&name))).collect()
    };
    (0..sides).map(side).collect()
}
