//! The resources that this process uses.

use std::alloc::System;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeValLike;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use crate::Failure;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The use since the process began.
pub struct Usage {
    at: Instant,
    cpu: Duration,
    allocations: usize,
}

/// The use between two moments.
pub struct Spent {
    pub wall: Duration,
    pub cpu: Duration,
    pub allocations: usize,
}

impl Usage {
    pub fn now() -> Result<Self, Failure> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let cpu = usage.user_time() + usage.system_time();
        let stats = ALLOCATOR.stats();
        Ok(Self {
            at: Instant::now(),
            cpu: Duration::from_micros(cpu.num_microseconds().try_into()?),
            allocations: stats.allocations + stats.reallocations,
        })
    }

    pub fn spent(&self) -> Result<Spent, Failure> {
        let now = Self::now()?;
        Ok(Spent {
            wall: now.at - self.at,
            cpu: now.cpu - self.cpu,
            allocations: now.allocations - self.allocations,
        })
    }
}

/// The size of this process.
#[derive(Clone, Copy)]
pub struct Footprint {
    /// Resident memory in KiB.
    pub rss: i64,
    /// Bytes on the heap.
    pub heap: i64,
    pub threads: i64,
    pub files: i64,
}

impl Footprint {
    pub fn now() -> Result<Self, Failure> {
        let status = fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| -> Result<i64, Failure> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|rest| rest.split_whitespace().next());
            Ok(word.ok_or("no such line in /proc/self/status")?.parse()?)
        };
        let stats = ALLOCATOR.stats();
        let heap = stats.bytes_allocated as i64 - stats.bytes_deallocated as i64;
        Ok(Self {
            rss: field("VmRSS:")?,
            heap,
            threads: field("Threads:")?,
            files: fs::read_dir("/proc/self/fd")?.count() as i64 - 1,
        })
    }
}

/// Raises the limit of open files as far as the system permits.
pub fn allow_many_files() -> Result<(), Failure> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, most, most)?)
}
