//! One process of a stream task: a line goes in for every record, and a line comes out for every line.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use keeper::{Kept, Launch, Limits};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use service::ids;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wire::topology::TOPIC_RECORD_BYTES_MAX;

use super::Claim;
use crate::lines::{Lines, clean};
use crate::logs::Sink;
use crate::work::{Files, MARKER};
use crate::{command, outcome, work};

/// The most bytes of one answer: what the stream of the topic takes, less what the broker puts around it.
const ANSWER_BYTES_MAX: usize = TOPIC_RECORD_BYTES_MAX as usize - 2048;
const READ_BYTES: usize = 256 * 1024;
/// How long a process may be silent that has given no answer yet: it has to come up first.
const START_PATIENCE: Duration = Duration::from_secs(5);
/// The most characters that its last words are shown with.
const WORDS_CHARS_MAX: usize = 1000;

/// A running process.
pub struct Filter {
    kept: Kept,
    input: pipe::Sender,
    output: pipe::Receiver,
    /// What it has written and nobody has taken, and how much of that was looked through for the end of a line.
    buffer: BytesMut,
    seen: usize,
    /// It has given an answer.
    is_up: bool,
    files: Files,
    talk: JoinHandle<Vec<u8>>,
}

/// What came of a few lines: the answers to the first of them, and what went wrong with the next, if they are fewer
/// than the lines. Then the process is of no use any more.
pub struct Exchange {
    /// In the order of the lines.
    pub answers: Vec<Bytes>,
    /// Why there are no more.
    pub fault: Option<Fault>,
}

/// What went wrong with a process.
pub struct Fault {
    /// In words.
    pub why: String,
    /// Somebody outside ended it, which says little about the record that it had.
    pub from_outside: bool,
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self { why, from_outside: false }
    }
}

impl Filter {
    /// Starts a process. The text says why it can't be.
    pub async fn start(claim: &Claim<'_>, log: &Arc<Mutex<Sink>>) -> Result<Self, String> {
        let no_room = |error: &dyn std::fmt::Display| format!("the runner has no room to work: {error}");
        let session = ids::random().map_err(|error| no_room(&error))?;
        let files = claim.runner.work.files(domain::SessionId(session)).map_err(|error| no_room(&error))?;
        match Self::start_in(claim, log, &files).await {
            Ok((kept, input, output)) => {
                let mut kept = kept;
                let talk = tokio::spawn(listen(kept.take_stderr(), Arc::clone(log)));
                Ok(Self { kept, input, output, buffer: BytesMut::new(), seen: 0, is_up: false, files, talk })
            }
            Err(error) => {
                files.remove();
                Err(error)
            }
        }
    }

    async fn start_in(
        claim: &Claim<'_>,
        log: &Arc<Mutex<Sink>>,
        files: &Files,
    ) -> Result<(Kept, pipe::Sender, pipe::Receiver), String> {
        let (input, output) = pipes(&files.input, &files.output)
            .map_err(|error| format!("the runner could not make its pipes: {error}"))?;
        let launch = launch(claim, files)?;
        match keeper::start(&claim.runner.keeper, &launch).await {
            Ok(kept) => Ok((kept, input, output)),
            Err(error) => {
                locked(log).put(error.to_string().into_bytes());
                Err(error.to_string())
            }
        }
    }

    /// Its number on this machine.
    pub fn pid(&self) -> u32 {
        self.kept.pid()
    }

    /// Writes lines and reads as many. `patience` is how long it may be silent while it owes an answer.
    pub async fn exchange(&mut self, lines: &[Bytes], patience: Duration) -> Exchange {
        let mut answers = Vec::with_capacity(lines.len());
        let patience = if self.is_up { patience } else { patience.max(START_PATIENCE) };
        let fault = self.talk_about(lines, patience, &mut answers).await;
        self.is_up |= !answers.is_empty();
        Exchange { fault: fault.err(), answers }
    }

    async fn talk_about(
        &mut self,
        lines: &[Bytes],
        patience: Duration,
        answers: &mut Vec<Bytes>,
    ) -> Result<(), Fault> {
        if self.cut()?.is_some() {
            let why = "it wrote a line that it was not asked for; it must answer one line with one";
            return Err(why.to_owned().into());
        }
        let mut question = BytesMut::with_capacity(lines.iter().map(|line| line.len() + 1).sum());
        for line in lines {
            question.extend_from_slice(line);
            question.extend_from_slice(b"\n");
        }
        let mut rest: &[u8] = &question;
        let silence = tokio::time::sleep(patience);
        let mut silence = std::pin::pin!(silence);
        loop {
            while answers.len() < lines.len()
                && let Some(answer) = self.cut()?
            {
                answers.push(answer);
            }
            if answers.len() == lines.len() {
                return Ok(());
            }
            self.buffer.reserve(READ_BYTES);
            tokio::select! {
                exit = self.kept.wait() => {
                    self.read_the_rest();
                    while answers.len() < lines.len() && let Some(answer) = self.cut()? {
                        answers.push(answer);
                    }
                    if answers.len() == lines.len() {
                        return Ok(());
                    }
                    let why = outcome::ended(exit, self.last_words().await.as_deref());
                    return Err(Fault { why, from_outside: outcome::is_from_outside(exit) });
                }
                written = self.input.write(rest), if !rest.is_empty() => {
                    let count = written.map_err(|error| format!("it could not be written to: {error}"))?;
                    rest = rest.get(count..).unwrap_or_default();
                    silence.as_mut().reset(Instant::now() + patience);
                }
                read = self.output.read_buf(&mut self.buffer) => {
                    read.map_err(|error| format!("it could not be read: {error}"))?;
                    silence.as_mut().reset(Instant::now() + patience);
                }
                () = &mut silence => {
                    return Err(format!("it gave no answer for {} ms", patience.as_millis()).into());
                }
            }
        }
    }

    /// Waits for its end, which nobody asked for, and says how it came.
    pub async fn until_ended(&mut self) -> String {
        let exit = self.kept.wait().await;
        outcome::ended(exit, self.last_words().await.as_deref())
    }

    /// Ends it, and everything that it has started.
    pub async fn end(mut self) {
        self.kept.stop().await;
        self.kept.wait().await;
        self.files.remove();
    }

    /// The next line that is complete.
    fn cut(&mut self) -> Result<Option<Bytes>, String> {
        let new = self.buffer.get(self.seen..).unwrap_or_default();
        let Some(end) = new.iter().position(|byte| *byte == b'\n').map(|end| end + self.seen) else {
            self.seen = self.buffer.len();
            return if self.seen > ANSWER_BYTES_MAX { Err(too_long()) } else { Ok(None) };
        };
        let mut line = self.buffer.split_to(end + 1);
        self.seen = 0;
        line.truncate(end);
        if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
        }
        if line.len() > ANSWER_BYTES_MAX { Err(too_long()) } else { Ok(Some(line.freeze())) }
    }

    /// What it wrote before its end lies in the pipe, which we hold open ourselves, so that it has no end.
    fn read_the_rest(&mut self) {
        loop {
            self.buffer.reserve(READ_BYTES);
            match self.output.try_read_buf(&mut self.buffer) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    async fn last_words(&mut self) -> Option<String> {
        let words = clean(&(&mut self.talk).await.ok()?);
        (!words.trim().is_empty()).then(|| words.chars().take(WORDS_CHARS_MAX).collect())
    }
}

fn too_long() -> String {
    format!("it wrote a line of more than {ANSWER_BYTES_MAX} bytes")
}

/// Both ends are held open here, so that neither opening them nor the end of the process makes anybody wait.
fn pipes(input: &Path, output: &Path) -> std::io::Result<(pipe::Sender, pipe::Receiver)> {
    for path in [input, output] {
        mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
    }
    let mut options = pipe::OpenOptions::new();
    options.read_write(true);
    Ok((options.open_sender(input)?, options.open_receiver(output)?))
}

fn launch(claim: &Claim<'_>, files: &Files) -> Result<Launch, String> {
    let Claim { runner, task, app, spec, .. } = claim;
    let Some(session) = &app.manifest.session else {
        return Err(format!("app {} {} has no [session]", task.app, task.version));
    };
    let scratch = files.scratch.display().to_string();
    let params = serde_json::to_string(&wire::streams::params(&task.input)).unwrap_or_default();
    let env = [
        ("PATH", runner.path.clone()),
        ("HOME", scratch.clone()),
        ("LANG", "C.UTF-8".to_owned()),
        // Python keeps lines back where it does not write to a terminal, and each is waited for here.
        ("PYTHONUNBUFFERED", "1".to_owned()),
        ("TASKLANE_TASK_ID", task.id.to_string()),
        ("TASKLANE_TENANT", task.tenant.to_string()),
        ("TASKLANE_SERVICE", task.name.clone().unwrap_or_default()),
        ("TASKLANE_ATTEMPT", task.epoch.to_string()),
        ("TASKLANE_PARAMS", params),
        (MARKER, scratch),
    ];
    let limits = command::limits(&app.manifest.limits);
    let memory = limits.memory_bytes.map_or(spec.heap.max_bytes, |limit| limit.min(spec.heap.max_bytes));
    Ok(Launch {
        command: session.command.clone(),
        env: env.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>(),
        working_directory: app.folder.clone(),
        stdin: files.input.clone(),
        stdout: Some(files.output.clone()),
        status_fd: None,
        fence: Some(work::fence(&runner.hidden, &app.folder, files)),
        limits: Limits { memory_bytes: Some(memory), ..limits },
        stop_grace_ms: command::stop_grace_ms(),
    })
}

/// Puts its words into the log, and gives the last of them when there are no more.
async fn listen(stderr: Option<tokio::process::ChildStderr>, log: Arc<Mutex<Sink>>) -> Vec<u8> {
    let Some(stderr) = stderr else { return Vec::new() };
    let (mut lines, mut last) = (Lines::new(stderr), Vec::new());
    while let Some(line) = lines.next().await {
        if !line.trim_ascii().is_empty() {
            last.clone_from(&line);
        }
        locked(&log).put(line);
    }
    last
}

/// No code under this lock panics, and if it did the log would still be whole.
pub fn locked(log: &Mutex<Sink>) -> std::sync::MutexGuard<'_, Sink> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
