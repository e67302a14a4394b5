//! What a session writes. All of it lies under the session's own id, and what it says while it runs a task lies
//! under that task as well: whoever looks at either log finds it whole. From its start on it is its first task's.

use std::os::fd::AsFd;
use std::sync::Arc;

use domain::{Epoch, Task, TaskId, TaskKey};
use nix::errno::Errno;
use tokio::process::ChildStderr;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::process::Wanted;
use crate::Runner;
use crate::lines::Lines;
use crate::logs::Sink;

/// The most that is read at once when a task ends, so that a flood can't hold its end up.
const LAST_BYTES_MAX: usize = 1024 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;

enum Change {
    Begin(TaskKey, Epoch),
    End(oneshot::Sender<Option<String>>),
}

/// The way of one session's lines.
#[derive(Debug)]
pub struct SessionLog {
    changes: mpsc::UnboundedSender<Change>,
    reading: JoinHandle<()>,
}

impl SessionLog {
    /// Begins to read, for the task that the session is started for.
    pub fn begin(runner: &Arc<Runner>, wanted: &Wanted<'_>, pipe: ChildStderr) -> Self {
        let (changes, changed) = mpsc::unbounded_channel();
        let reader = Reader {
            runner: Arc::clone(runner),
            own: TaskKey::new(&wanted.of.tenant, TaskId(wanted.id.0)),
            lines: Lines::new(pipe),
            whole: None,
            current: wanted.task.map(|task| (task.key(), task.epoch)),
            sink: None,
        };
        Self { changes, reading: tokio::spawn(reader.read(changed)) }
    }

    /// Stores everything that an ended process has written.
    pub async fn close(self) {
        drop(self.changes);
        // A reader that failed has said so in the service's own log.
        let _ = self.reading.await;
    }

    /// What is written from now on belongs to this task.
    pub fn begin_task(&self, task: &Task) {
        // A reader that has ended has nothing more to read.
        let _ = self.changes.send(Change::Begin(task.key(), task.epoch));
    }

    /// Everything written so far is stored; gives the last line that says anything.
    pub async fn end_task(&self) -> Option<String> {
        let (sender, receiver) = oneshot::channel();
        self.changes.send(Change::End(sender)).ok()?;
        receiver.await.ok().flatten()
    }
}

struct Reader {
    runner: Arc<Runner>,
    own: TaskKey,
    lines: Lines<ChildStderr>,
    whole: Option<Sink>,
    current: Option<(TaskKey, Epoch)>,
    /// Made when the task says something: most say nothing.
    sink: Option<Sink>,
}

impl Reader {
    /// Reads until the process and everyone who might change the task are gone.
    async fn read(mut self, mut changes: mpsc::UnboundedReceiver<Change>) {
        let mut open = true;
        loop {
            tokio::select! {
                line = self.lines.next(), if open => match line {
                    Some(line) => self.put(line),
                    None => open = false,
                },
                change = changes.recv() => match change {
                    Some(Change::Begin(key, epoch)) => {
                        self.read_what_is_there();
                        // What was said before is none of this task's last words.
                        self.whole.as_mut().and_then(Sink::take_last);
                        self.current = Some((key, epoch));
                    }
                    Some(Change::End(told)) => {
                        self.read_what_is_there();
                        self.current = None;
                        let last = match self.sink.take() {
                            Some(sink) => sink.close().await,
                            None => self.whole.as_mut().and_then(Sink::take_last),
                        };
                        let _ = told.send(last);
                    }
                    None => break,
                },
            }
        }
        self.read_what_is_there();
        for sink in [self.sink, self.whole].into_iter().flatten() {
            sink.close().await;
        }
    }

    fn put(&mut self, line: Vec<u8>) {
        if let Some((key, epoch)) = &self.current {
            self.sink.get_or_insert_with(|| Sink::new(&self.runner, key, *epoch)).put(line.clone());
        }
        self.whole.get_or_insert_with(|| Sink::new(&self.runner, &self.own, Epoch::default())).put(line);
    }

    /// What a process wrote before it said that its task has ended lies in the pipe by now. It is read past the
    /// runtime, which may not have noticed it yet.
    fn read_what_is_there(&mut self) {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut read = 0;
        while read < LAST_BYTES_MAX {
            match nix::unistd::read(self.lines.reader().as_fd(), &mut chunk) {
                Ok(0) => break,
                Ok(count) => {
                    read += count;
                    self.lines.push(chunk.get(..count).unwrap_or_default());
                }
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        while let Some(line) = self.lines.cut() {
            self.put(line);
        }
    }
}
