//! Waits until a started broker serves clients: it has written its ports file, takes a connection and greets.

use crate::process::POLL;
use serde_json::Value;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// The greeting of a broker with many listeners has a few kilobytes; more is not a greeting.
const GREETING_LIMIT: u64 = 64 * 1024;
/// How long one try to connect or to read the greeting may last before the child is looked at again.
const TRY_LIMIT: Duration = Duration::from_millis(500);

/// Where a ready broker listens.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    /// `nats://HOST:PORT` for clients.
    pub(crate) url: String,
    pub(crate) port: u16,
    /// `http://HOST:PORT` for monitoring, if the configuration has it.
    pub(crate) monitor: Option<String>,
}

/// Why a broker did not become ready.
pub(crate) enum NotReady {
    Exited(ExitStatus),
    /// The time is up; what was being waited for, as the end of a sentence.
    TooSlow(&'static str),
    System(io::Error),
}

/// Polls until the broker `child`, which writes its ports file into `folder`, is ready or `limit` is over.
pub(crate) fn wait_ready(child: &mut Child, folder: &Path, limit: Duration) -> Result<Listening, NotReady> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().map_err(NotReady::System)? {
            return Err(NotReady::Exited(status));
        }
        let missing = match read_ports(folder, child.id()) {
            None => "has not told its ports",
            Some(listening) if greets(&listening.url) => return Ok(listening),
            Some(_) => "does not greet clients",
        };
        if Instant::now() >= deadline {
            return Err(NotReady::TooSlow(missing));
        }
        thread::sleep(POLL);
    }
}

/// Reads `<binary's name>_<pid>.ports`. A file that is only half written is not JSON, so it is read again.
fn read_ports(folder: &Path, pid: u32) -> Option<Listening> {
    let ending = format!("_{pid}.ports");
    let file = fs::read_dir(folder)
        .ok()?
        .filter_map(Result::ok)
        .find(|file| file.file_name().to_string_lossy().ends_with(&ending))?;
    let ports: Value = serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?;
    let url = best(&ports, "nats")?;
    let port = url.rsplit(':').next()?.parse().ok()?;
    Some(Listening { url, port, monitor: best(&ports, "monitoring") })
}

/// A broker that listens on all addresses lists each; the loopback one is the one that we can always reach.
fn best(ports: &Value, name: &str) -> Option<String> {
    let urls: Vec<&str> = ports.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect();
    let local = urls.iter().find(|url| url.contains("127.0.0.1"));
    local.or(urls.first()).map(|url| (*url).to_owned())
}

/// Whether a client that connects is greeted with the INFO line. A broker that says there that JetStream is
/// off is not ready yet; one without JetStream says nothing about it.
fn greets(url: &str) -> bool {
    read_greeting(url).is_some_and(|info| info.get("jetstream").is_none_or(|on| on == &Value::Bool(true)))
}

fn read_greeting(url: &str) -> Option<Value> {
    let address = url.rsplit('/').next()?.to_socket_addrs().ok()?.next()?;
    let stream = TcpStream::connect_timeout(&address, TRY_LIMIT).ok()?;
    stream.set_read_timeout(Some(TRY_LIMIT)).ok()?;
    let mut line = String::new();
    BufReader::new(stream.take(GREETING_LIMIT)).read_line(&mut line).ok()?;
    serde_json::from_str(line.strip_prefix("INFO ")?).ok()
}
