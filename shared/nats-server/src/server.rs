//! A broker as our child process: started until it is ready, stopped, killed and started again on its port.

use crate::error::StartError;
use crate::process::{POLL, last_lines, wait};
use crate::ready::{Listening, NotReady, wait_ready};
use crate::spawn::Spawner;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a broker may take to close its store before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(20);
/// How long a broker may take to read its configuration anew.
const RELOAD_TIME: Duration = Duration::from_secs(10);
/// What it logs then.
const RELOADED: &str = "Reloaded server configuration";
const NOT_RELOADED: &str = "Failed to reload server configuration";
/// How much of the log an error shows.
const LOG_LINES: usize = 20;
/// How much of the log's end is read for that, in bytes.
const LOG_BYTES: u64 = 64 * 1024;

/// How a broker is started.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The binary, see [`crate::find`].
    pub binary: PathBuf,
    /// The configuration file. The pid file and the folder for the ports file are made beside it, so each
    /// broker needs a folder or at least a file name of its own.
    pub config: PathBuf,
    /// Variables that the broker gets in addition to ours; the configuration may refer to them as `$NAME`.
    pub environment: Vec<(String, String)>,
    /// The file to which everything that the broker prints is appended.
    pub log: PathBuf,
    /// How long the broker may take until it serves clients.
    pub ready_timeout: Duration,
    /// `false`: the broker is in our process group, so a signal to the group reaches it too. `true`: it has a
    /// group of its own. Choose `true` where a person may press Ctrl-C, because the terminal sends SIGINT to
    /// the whole group and the broker, which can't be told to ignore it, would end before we have drained.
    pub own_process_group: bool,
}

/// A running broker. Dropping the value kills the broker; [`Server::stop`] ends it in order.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    child: Child,
    listening: Listening,
    /// Declared after `child` and used until it is reaped: when this thread ends, the kernel ends the broker.
    spawner: Spawner,
}

/// How a broker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// It ended when asked to.
    InOrder,
    /// It did not end when asked to and was killed.
    Killed,
    /// It had ended before.
    AlreadyGone,
}

impl Server {
    /// Starts the broker and waits until it serves clients.
    ///
    /// # Errors
    /// Any [`StartError`] but `Orphan`. After an error no broker is left running.
    pub fn start(mut options: ServerOptions) -> Result<Server, StartError> {
        let config = options.config.display().to_string();
        options.config =
            settled(&options.config).map_err(prepare(format!("find the configuration {config}")))?;
        let spawner = Spawner::new().map_err(prepare("start a thread".to_owned()))?;
        let (child, listening) = launch(&options, &spawner, None)?;
        Ok(Server { options, child, listening, spawner })
    }

    /// The address for clients, `nats://HOST:PORT`. It stays the same over a restart.
    #[must_use]
    pub fn url(&self) -> String {
        self.listening.url.clone()
    }

    /// The address for monitoring, `http://HOST:PORT`, if the configuration has it. It may change at a restart.
    #[must_use]
    pub fn monitor_url(&self) -> Option<String> {
        self.listening.monitor.clone()
    }

    /// The process id. It changes at a restart.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the broker's process still runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends the broker in order with SIGTERM and waits; one that takes longer than 20 s is killed.
    #[must_use]
    pub fn stop(mut self) -> Stopped {
        self.end()
    }

    /// Lets the broker read its configuration anew, and waits until it has.
    ///
    /// # Errors
    /// What the broker says against it. It then goes on with the configuration that it had.
    pub fn reload(&self) -> Result<(), String> {
        let log = &self.options.log;
        let known = fs::metadata(log).map_or(0, |file| file.len());
        let id = i32::try_from(self.child.id()).map_err(|why| why.to_string())?;
        kill(Pid::from_raw(id), Signal::SIGHUP).map_err(|why| why.to_string())?;
        let deadline = Instant::now() + RELOAD_TIME;
        while Instant::now() < deadline {
            let said = text_after(log, known).map_err(|why| format!("{}: {why}", log.display()))?;
            match said.lines().find(|line| line.contains(RELOADED) || line.contains(NOT_RELOADED)) {
                Some(line) if line.contains(NOT_RELOADED) => return Err(line.to_owned()),
                Some(_) => return Ok(()),
                None => thread::sleep(POLL),
            }
        }
        Err(format!("the broker did not read its configuration within {} s", RELOAD_TIME.as_secs()))
    }

    /// Kills the broker with SIGKILL and waits until it is gone, for tests of what a crash does.
    pub fn kill(&mut self) {
        kill_and_reap(&mut self.child);
    }

    /// Starts the broker again with the same configuration on the same client port, so that clients reconnect.
    /// One that still runs is ended in order first.
    ///
    /// # Errors
    /// As for [`Server::start`]. The broker is then down, and `restart` may be tried again.
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.end();
        (self.child, self.listening) = launch(&self.options, &self.spawner, Some(self.listening.port))?;
        Ok(())
    }

    fn end(&mut self) -> Stopped {
        if !self.is_running() {
            return Stopped::AlreadyGone;
        }
        // The child is not reaped yet, so its process id is still its own and the signal can't go astray.
        let asked =
            i32::try_from(self.child.id()).is_ok_and(|id| kill(Pid::from_raw(id), Signal::SIGTERM).is_ok());
        if asked && matches!(wait(&mut self.child, STOP_PATIENCE), Ok(Some(_))) {
            return Stopped::InOrder;
        }
        kill_and_reap(&mut self.child);
        Stopped::Killed
    }
}

impl Drop for Server {
    /// What an acknowledged write needs is in the files already, so a kill loses nothing, and it is quick.
    fn drop(&mut self) {
        kill_and_reap(&mut self.child);
        let _ = fs::remove_file(pid_file(&self.options.config));
        let _ = fs::remove_dir_all(ports_folder(&self.options.config));
    }
}

/// The file that holds the process id of the broker on `config`: `nats.conf` has `nats.pid` beside it.
pub(crate) fn pid_file(config: &Path) -> PathBuf {
    config.with_extension("pid")
}

/// The configuration's path as the broker gets it: absolute and without symbolic links in its folder, so that
/// a later run recognises it in the arguments of an orphan, however it spells the path itself.
pub(crate) fn settled(config: &Path) -> io::Result<PathBuf> {
    let config = std::path::absolute(config)?;
    let (Some(folder), Some(name)) = (config.parent(), config.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not the path of a file"));
    };
    Ok(folder.canonicalize()?.join(name))
}

/// A folder of its own for the ports file, emptied at each start: in a container a process id soon comes
/// again, and an old file with the new broker's id would be believed.
fn ports_folder(config: &Path) -> PathBuf {
    config.with_extension("ports")
}

/// Starts one broker process and waits until it is ready. On an error the process is gone.
fn launch(
    options: &ServerOptions,
    spawner: &Spawner,
    port: Option<u16>,
) -> Result<(Child, Listening), StartError> {
    let ports = ports_folder(&options.config);
    let _ = fs::remove_dir_all(&ports);
    fs::create_dir_all(&ports).map_err(prepare(format!("make the folder {}", ports.display())))?;
    let open_log = || File::options().create(true).append(true).open(&options.log);
    let (log, log_too) = open_log()
        .and_then(|log| Ok((log.try_clone()?, log)))
        .map_err(prepare(format!("write the log {}", options.log.display())))?;
    let log_start = log.metadata().map_or(0, |details| details.len());

    let mut command = Command::new(&options.binary);
    command.arg("-c").arg(&options.config).arg("-P").arg(pid_file(&options.config));
    command.arg("--ports_file_dir").arg(&ports);
    if let Some(port) = port {
        command.arg("--port").arg(port.to_string());
    }
    if options.own_process_group {
        command.process_group(0);
    }
    command.envs(options.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(log).stderr(log_too);

    let mut child = spawner.spawn(command).map_err(prepare(format!("run {}", options.binary.display())))?;
    let failure = match wait_ready(&mut child, &ports, options.ready_timeout) {
        Ok(listening) => return Ok((child, listening)),
        Err(failure) => failure,
    };
    kill_and_reap(&mut child);
    let log = options.log.clone();
    let tail = tail(&log, log_start);
    Err(match failure {
        NotReady::Exited(status) => StartError::Exited { status, log, tail },
        NotReady::TooSlow(missing) => {
            StartError::NotReady { missing, waited: options.ready_timeout, log, tail }
        }
        NotReady::System(error) => prepare("watch the broker".to_owned())(error),
    })
}

/// Kills a child that may have ended already. Neither call can fail on a child that is ours and not reaped,
/// and on a reaped one there is nothing to do.
fn kill_and_reap(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// The last lines that this start wrote to the log; those of earlier starts would mislead.
fn tail(log: &Path, start: u64) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(start.max(end.saturating_sub(LOG_BYTES))))?;
        let mut bytes = Vec::new();
        file.take(LOG_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) if bytes.is_empty() => "(it wrote nothing)".to_owned(),
        Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes), LOG_LINES),
        Err(error) => format!("(it can't be read: {error})"),
    }
}

fn prepare(doing: String) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::Prepare { doing, error }
}

/// What stands in a file behind a place.
fn text_after(path: &Path, place: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(place))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
