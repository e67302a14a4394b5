//! The processes of the run, each at its post: killed and started again, frozen and thawed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use nats_server::Server;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::Kit;
use tests::http::Http;
use tests::planted::Planted;
use tests::process::{Beside, Family, Program, task_processes};
use tokio::time::Instant;
use wire::Function;

const REPLICAS: usize = 2;
const RUNNERS: usize = 3;
/// How long a process of a task may outlive what looked after it, on a machine as busy as this one.
const ORPHANED: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The ingresses that are up, by the number of their post.
pub type Doors = Arc<Mutex<BTreeMap<usize, Http>>>;

/// All posts.
pub struct Posts {
    functions: Vec<Post>,
    runners: Vec<Post>,
    broker: tokio::sync::Mutex<Option<Server>>,
    doors: Doors,
}

/// The place of one process.
pub struct Post {
    function: Function,
    number: usize,
    beside: Beside,
    planted: Option<Planted>,
    work: PathBuf,
    doors: Doors,
    /// Nothing only while the first one is on its way.
    program: tokio::sync::Mutex<Option<Program>>,
}

impl Posts {
    /// Two of each function and three runners, instead of those of the kit.
    pub async fn man(kit: &mut Kit, beside: &Beside, planted: Option<Planted>) -> Self {
        let doors = Doors::default();
        let post = |function: Function, number: usize| {
            let work = kit.folder.path().join(format!("{function}-{number}"));
            std::fs::create_dir_all(&work).unwrap();
            let planted = planted.filter(|planted| planted.function() == function);
            let (beside, doors) = (beside.clone(), Arc::clone(&doors));
            Post { function, number, beside, planted, work, doors, program: tokio::sync::Mutex::default() }
        };
        let replicated = Function::ALL
            .into_iter()
            .filter(|function| !matches!(function, Function::Provision | Function::Runner))
            .flat_map(|function| (0..REPLICAS).map(move |number| (function, number)));
        let functions: Vec<Post> = replicated.map(|(function, number)| post(function, number)).collect();
        let runners: Vec<Post> = (0..RUNNERS).map(|number| post(Function::Runner, number)).collect();
        join_all(functions.iter().chain(&runners).map(Post::begin)).await;
        while let Some(replica) = kit.stack.replicas.pop() {
            replica.stop().await;
        }
        kit.stack.until_ready().await.unwrap();
        let broker = tokio::sync::Mutex::new(kit.stack.server.take());
        Self { functions, runners, broker, doors }
    }

    pub fn doors(&self) -> Doors {
        Arc::clone(&self.doors)
    }

    /// Any number stands for one of them.
    pub fn function(&self, which: u64) -> &Post {
        &self.functions[(which % self.functions.len() as u64) as usize]
    }

    pub fn runner(&self, which: u64) -> &Post {
        &self.runners[(which % self.runners.len() as u64) as usize]
    }

    pub async fn kill_broker(&self, down: Duration) -> Result<(), String> {
        let mut broker = self.broker.lock().await;
        let mut server = broker.take().expect("the broker is here");
        server.kill();
        tokio::time::sleep(down).await;
        let restarted = tokio::task::spawn_blocking(move || {
            let restarted = server.restart();
            (server, restarted)
        });
        let (server, restarted) = restarted.await.unwrap();
        *broker = Some(server);
        restarted.map_err(|error| error.to_string())
    }

    pub async fn freeze_broker(&self, time: Duration) -> Result<(), String> {
        let broker = self.broker.lock().await;
        let pid = Pid::from_raw(broker.as_ref().expect("the broker is here").pid().cast_signed());
        kill(pid, Signal::SIGSTOP).unwrap();
        tokio::time::sleep(time).await;
        kill(pid, Signal::SIGCONT).unwrap();
        Ok(())
    }

    /// Stops everything in order, and gives the broker back. Says what did not end as it should.
    pub async fn leave(&self, kit: &mut Kit, is_clean: bool) -> Vec<String> {
        let mut broken = Vec::new();
        if is_clean {
            for runner in &self.runners {
                broken.extend(none_left(runner, || running(task_processes(&runner.work))).await.err());
            }
            let all = self.functions.iter().chain(&self.runners);
            broken.extend(join_all(all.map(Post::stop)).await.into_iter().filter_map(Result::err));
        }
        kit.stack.server = self.broker.lock().await.take();
        broken
    }
}

impl Post {
    async fn begin(&self) {
        *self.program.lock().await = Some(self.start().await);
    }

    async fn start(&self) -> Program {
        if self.function == Function::Ingress {
            let (program, http) = self.beside.ingress().await;
            self.doors.lock().unwrap().insert(self.number, http);
            return program;
        }
        let mut command = match self.planted {
            Some(planted) => self.beside.command_with(&planted.arguments()),
            None => self.beside.command(&[self.function]),
        };
        Program::start(command.env("TASKLANE_WORK", &self.work).env("TASKLANE_LOG", "error,async_nats=off"))
    }

    /// SIGKILL, and another one after a while. Of a runner that is dead nothing may live on.
    pub async fn kill(&self, down: Duration) -> Result<(), String> {
        let mut post = self.program.lock().await;
        let program = post.as_mut().expect("the post is manned");
        if self.function == Function::Ingress {
            self.doors.lock().unwrap().remove(&self.number);
        }
        let family = Family::of(program, &self.work);
        program.kill().await;
        let ended = none_left(self, || family.alive()).await;
        tokio::time::sleep(down).await;
        *post = Some(self.start().await);
        ended
    }

    /// SIGSTOP, and SIGCONT after a while.
    pub async fn freeze(&self, time: Duration) -> Result<(), String> {
        let post = self.program.lock().await;
        let program = post.as_ref().expect("the post is manned");
        program.signal(Signal::SIGSTOP);
        tokio::time::sleep(time).await;
        program.signal(Signal::SIGCONT);
        Ok(())
    }

    async fn stop(&self) -> Result<(), String> {
        let mut post = self.program.lock().await;
        let program = post.as_mut().expect("the post is manned");
        program.signal(Signal::SIGTERM);
        let status = program.until_ended().await;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{} did not stop in order: {status}", self.function))
        }
    }
}

fn running(pids: Vec<u32>) -> Vec<(u32, String)> {
    pids.into_iter().map(|pid| (pid, "a process of a task".to_owned())).collect()
}

async fn none_left(post: &Post, look: impl Fn() -> Vec<(u32, String)>) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let left = look();
        if left.is_empty() {
            return Ok(());
        }
        if began.elapsed() > ORPHANED {
            return Err(format!("left over from {} {}: {left:?}", post.function, post.number));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
