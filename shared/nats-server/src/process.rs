//! Runs a helper program to its end within a time limit, and waits for children without blocking for ever.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long every polling loop of this crate rests between two looks.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// What a helper program left behind when it ended.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `command` without input and gathers what it prints. A program that is not done after `limit` is
/// killed, and the error has the kind `TimedOut`.
pub(crate) fn run(command: &mut Command, limit: Duration) -> io::Result<Finished> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdout = gather(child.stdout.take());
    let stderr = gather(child.stderr.take());
    let Some(status) = wait(&mut child, limit)? else {
        child.kill()?;
        child.wait()?;
        let message = format!("it did not end within {} s and was killed", limit.as_secs());
        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
    };
    Ok(Finished { status, stdout: gathered(&stdout), stderr: gathered(&stderr) })
}

/// Waits until `child` has ended, `limit` at most. `None` means that it still runs.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        let status = child.try_wait()?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status);
        }
        thread::sleep(POLL);
    }
}

/// The last `count` lines of `text`, joined again.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let from = lines.len().saturating_sub(count);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// Reads a pipe to its end on a thread of its own, so that a program that prints a lot is never blocked.
fn gather(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    if let Some(mut pipe) = pipe {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // A broken pipe or a receiver that gave up only shortens a message, so neither is reported.
            let _ = pipe.read_to_end(&mut bytes);
            let _ = sender.send(bytes);
        });
    }
    receiver
}

/// A helper's own child may hold the pipe open after the helper ended, so this waits for a second only.
fn gathered(receiver: &Receiver<Vec<u8>>) -> String {
    let bytes = receiver.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
