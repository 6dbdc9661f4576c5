//! The runs of the clients in turn, and the medians of their figures.

use crate::Failure;
use crate::client::KINDS;
use crate::table::{compared, median};

const RUNS: usize = 5;

/// The figures of each run of each client.
pub struct Runs<const N: usize>([Vec<[f64; N]>; 3]);

impl<const N: usize> Runs<N> {
    /// Runs each client five times. They take turns, so that a change of the machine's speed affects all.
    pub fn of(run: impl Fn(&str) -> Result<[f64; N], Failure>) -> Result<Self, Failure> {
        let mut runs: [Vec<[f64; N]>; 3] = Default::default();
        for _ in 0..RUNS {
            for (kind, runs) in KINDS.iter().zip(&mut runs) {
                runs.push(run(kind)?);
            }
        }
        Ok(Self(runs))
    }

    /// Returns the row of the medians of one figure.
    pub fn row(&self, name: &str, at: usize) -> Vec<String> {
        let figures = self.0.each_ref();
        let medians = figures.map(|runs| median(runs.iter().map(|run| run[at]).collect()));
        compared(name, medians)
    }
}
