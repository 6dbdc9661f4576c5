//! A child process that ends with this program.

use std::io;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A router's process, and on Unix the one that ends it. It is killed when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    guard: Option<Guard>,
    status: Option<ExitStatus>,
}

impl Process {
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        apart(command);
        let child = command.stdin(Stdio::null()).spawn()?;
        let guard = Guard::of(child.id());
        Ok(Self {
            child,
            guard,
            status: None,
        })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the status of a process that has ended, and `None` while it runs.
    ///
    /// # Errors
    ///
    /// The error of the system if the process has ended without a trace: the program ignores SIGCHLD.
    pub(super) fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_some() {
            return Ok(self.status);
        }
        let outcome = self.child.try_wait();
        if !matches!(outcome, Ok(None)) {
            // The system may give the id to another process, which the guard must not end.
            self.guard = None;
        }
        self.status = outcome?;
        Ok(self.status)
    }

    /// Asks the process to end; kills it if it cannot be asked.
    pub(super) fn ask_to_end(&mut self) {
        match &mut self.guard {
            Some(guard) => guard.let_go(),
            None => self.kill(),
        }
    }

    pub(super) fn kill(&mut self) {
        if matches!(self.exit_status(), Ok(None)) {
            // Both fail only if the process has ended already, which is the goal.
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
            self.guard = None;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process that waits at a pipe for the end of this program, and then ends the router with SIGTERM, and with
/// SIGKILL if it still runs after 15 s. `std` can neither send SIGTERM nor tie a child to its parent.
#[derive(Debug)]
struct Guard(Child);

impl Guard {
    /// Returns `None` if there is no shell.
    fn of(id: u32) -> Option<Self> {
        const SCRIPT: &str = "trap '' HUP INT\n\
            read -r _\n\
            kill -TERM \"$0\" || exit\n\
            left=15\n\
            while [ $left -gt 0 ] && kill -0 \"$0\"; do sleep 1; left=$((left - 1)); done\n\
            kill -KILL \"$0\"";

        if !cfg!(unix) {
            return None;
        }
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT])
            .arg(id.to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        apart(&mut command);
        command.spawn().ok().map(Self)
    }

    /// Closes the pipe.
    fn let_go(&mut self) {
        drop(self.0.stdin.take());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // It must end before it sees that the pipe closes: the router has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Keeps Ctrl-C in a terminal from the process: i2pd would continue for ten minutes to serve transit tunnels.
#[cfg(unix)]
fn apart(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    command.process_group(0);
}

/// Keeps a console window from appearing.
#[cfg(windows)]
fn apart(command: &mut Command) {
    use std::os::windows::process::CommandExt;

    const CREATE_NO_WINDOW: u32 = 0x0800_0000;
    command.creation_flags(CREATE_NO_WINDOW);
}

#[cfg(not(any(unix, windows)))]
fn apart(_: &mut Command) {}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const SIGKILL: i32 = 9;
    const SIGTERM: i32 = 15;

    fn sleeper() -> Process {
        Process::start(Command::new("sleep").arg("600")).unwrap()
    }

    #[test]
    fn process_asked_to_end_receives_sigterm() {
        let mut process = sleeper();
        process.ask_to_end();
        let status = process.child.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGTERM));
    }

    #[test]
    fn process_without_guard_asked_to_end_is_killed() {
        let mut process = sleeper();
        process.guard = None;
        process.ask_to_end();
        let status = process.exit_status().unwrap().unwrap();
        assert_eq!(status.signal(), Some(SIGKILL));
    }

    #[test]
    fn process_dropped_is_killed() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo started; exec sleep 600"]);
        let mut process = Process::start(command.stdout(Stdio::piped())).unwrap();
        let mut output = BufReader::new(process.child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        drop(process);
        // The pipe ends with the process.
        assert_eq!(output.read_line(&mut String::new()).unwrap(), 0);
    }

    #[test]
    fn process_that_ended_has_a_status_and_no_guard() {
        let mut process = Process::start(Command::new("sh").args(["-c", "exit 3"])).unwrap();
        let status = process.child.wait().unwrap();
        assert_eq!(process.exit_status().unwrap(), Some(status));
        assert_eq!(status.code(), Some(3));
        assert!(process.guard.is_none());
    }
}
