//! The test kit: a real broker on a free port, every function in this process (two of each unless a test says
//! otherwise), HTTP as any client speaks it, and waiting for conditions instead of sleeping.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failing kit is a failing test"
)]

pub mod accounts;
pub mod apps;
pub mod door;
pub mod engine;
pub mod history;
pub mod http;
pub mod kafka;
pub mod planted;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod receiver;
pub mod stored;
pub mod symetry;
pub mod topics;
pub mod wait;

use std::path::PathBuf;

use cli::stack::boot::{Stack, StackOptions};
use service::{Durability, Settings};
use tempfile::TempDir;
use wire::Function;

use crate::http::Http;

/// The program `tasklane`, which Cargo builds beside the test binary's own folder.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test runs from a file");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("a test lies in target/PROFILE/deps");
    let program = folder.join("tasklane-under-test");
    assert!(program.exists(), "{} is missing; run the tests with cargo test", program.display());
    program
}

/// A running stack with a client that has the demo key.
pub struct Kit {
    /// The stack.
    pub stack: Stack,
    /// A client with the demo key, of the first ingress.
    pub http: Http,
    /// Kept until the test ends, then removed.
    pub folder: TempDir,
}

/// Settings as a test process has them, and the options for a stack in a folder.
pub fn options(folder: &TempDir) -> StackOptions {
    let mut settings = settings();
    settings.durability = Durability::Interval;
    settings.keeper = Some(program());
    settings.slots = 16;
    settings.outbound = settings.outbound.with_loopback();
    StackOptions {
        data: folder.path().join("data"),
        http: ([127, 0, 0, 1], 0).into(),
        broker_listen: "127.0.0.1:-1".to_owned(),
        near: false,
        replicas: 2,
        broker_apart: false,
        settings,
        users: Vec::new(),
    }
}

/// The settings of the environment, which name the broker's program and the cache.
pub fn settings() -> Settings {
    service::config::from_environment().expect("the environment of the tests is right")
}

impl Kit {
    /// Two of each function.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// As the change says.
    pub async fn start_with(change: impl FnOnce(&mut StackOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, change).await
    }

    /// On the data of a folder, which may be from an earlier stack.
    pub async fn start_in(folder: TempDir, change: impl FnOnce(&mut StackOptions)) -> Self {
        let mut options = options(&folder);
        change(&mut options);
        let stack = Stack::start(options).await.expect("the stack starts");
        let http = Http::new(&stack.url, Some(&stack.api_key().unwrap()));
        Self { stack, http, folder }
    }

    /// Stops every replica of one function, so that programs of their own can take its place.
    pub async fn without(&mut self, function: Function) {
        for replica in std::mem::take(&mut self.stack.replicas) {
            if replica.function == function {
                replica.stop().await;
            } else {
                self.stack.replicas.push(replica);
            }
        }
    }

    /// Stops everything in order and gives the folder back.
    pub async fn stop(self) -> TempDir {
        self.stack.stop().await;
        self.folder
    }
}
