//! The process by itself, asked by the client that the runner uses: what it takes without us.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use service::clock;
use session_protocol::{Client, Input, Told, base_of};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::Amount;
use super::door::SERVER;
use crate::stack::StackError;
use crate::stack::bench::stats::{Quantiles, median};

const READY: &str = "/api/v2/tasks";
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What was measured of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Own {
    /// From a request to its arrival in the process, when it is up.
    pub arrival: Quantiles,
    /// A whole task: create, ask how it is, fetch the result, delete.
    pub task: Quantiles,
    /// Such tasks per second, one after the other.
    pub tasks_per_second: f64,
    /// From the start of a process to the arrival of its first task.
    pub first_start: Quantiles,
}

/// The program in a folder of its own, and the `PATH` that a runner would give it.
struct Program {
    folder: TempDir,
    search: String,
}

/// Starts processes, and goes through tasks with one of them.
pub async fn measure(amount: Amount, search: &str) -> Result<Own, StackError> {
    let program =
        Program { folder: tempfile::tempdir().map_err(StackError::text)?, search: search.to_owned() };
    crate::stack::bench::write(&program.folder.path().join("server.py"), SERVER)?;
    let (mut arrivals, mut tasks, mut rates, mut starts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..amount.rounds {
        for _ in 0..amount.starts {
            let began = clock::now().micros();
            let mut process = start(&program)?;
            until_ready(&mut process.1).await?;
            let (came, _) = task(&mut process.1).await?;
            starts.push(micros(began, came));
        }
        let (_process, mut client) = start(&program)?;
        until_ready(&mut client).await?;
        let began = Instant::now();
        for _ in 0..amount.one_by_one {
            let asked = clock::now().micros();
            let (came, took) = task(&mut client).await?;
            arrivals.push(micros(asked, came));
            tasks.push(took);
        }
        rates.push(amount.one_by_one as f64 / began.elapsed().as_secs_f64());
    }
    Ok(Own {
        arrival: Quantiles::of(&arrivals),
        task: Quantiles::of(&tasks),
        tasks_per_second: median(rates),
        first_start: Quantiles::of(&starts),
    })
}

/// From one time in microseconds to a later one.
pub fn micros(from: i64, to: i64) -> Duration {
    Duration::from_micros(u64::try_from(to - from).unwrap_or(0))
}

/// In the environment that a runner gives: some programs begin by finding out where they are.
fn start(program: &Program) -> Result<(Child, Client), StackError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(StackError::text)?;
    let port = listener.local_addr().map_err(StackError::text)?.port();
    drop(listener);
    let process = Command::new("python3")
        .args(["-B", "server.py", "--port", &port.to_string()])
        .env_clear()
        .envs([("PATH", program.search.as_str()), ("LANG", "C.UTF-8")])
        .env("HOME", program.folder.path())
        .current_dir(program.folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(StackError::text)?;
    Ok((process, Client::new(port, base_of(Some(READY)))))
}

async fn until_ready(client: &mut Client) -> Result<(), StackError> {
    for _ in 0..20_000 {
        if client.get(READY).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(StackError::Text("the process does not become ready".to_owned()))
}

/// One task; when it came to the process, and how long the whole of it took.
async fn task(client: &mut Client) -> Result<(i64, Duration), StackError> {
    let began = Instant::now();
    let told = Told { task: "bench".to_owned(), max_idle_seconds: 300 };
    let created = client.create("now", Input::bytes(Bytes::new(), None), &told).await;
    let id = created.map_err(StackError::text)?.id;
    client.status(&id).await.map_err(StackError::text)?;
    let mut text = Vec::new();
    if let Some(mut body) = client.response(&id).await.map_err(StackError::text)? {
        while let Some(piece) = body.next().await.map_err(StackError::text)? {
            text.extend_from_slice(&piece);
        }
    }
    client.delete(&id).await.map_err(StackError::text)?;
    let came = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    Ok((
        came.ok_or_else(|| StackError::Text("the process answers something else".to_owned()))?,
        began.elapsed(),
    ))
}
