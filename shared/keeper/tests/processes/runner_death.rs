//! A runner that dies without a word takes its tasks along.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use keeper::Launch;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::support::{Bench, DAEMON, is_gone, until};

/// A runner of its own, leader of a process group. It never outlives its test.
struct Runner {
    process: Child,
    task: u32,
    keeper: u32,
}

impl Runner {
    fn start(bench: &Bench, launch: &Launch) -> Self {
        let file = bench.path("launch.json");
        std::fs::write(&file, serde_json::to_vec(launch).unwrap()).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_keeper-test"))
            .arg("hold")
            .arg(file)
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (task, keeper) = line.trim().split_once(' ').unwrap();
        Self { process, task: task.parse().unwrap(), keeper: keeper.parse().unwrap() }
    }

    fn signal_group(&self, signal: Signal) {
        killpg(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
    }

    fn signal_keeper(&self, signal: Signal) {
        kill(Pid::from_raw(self.keeper.cast_signed()), signal).unwrap();
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn nothing_outlives_a_runner_whose_group_is_killed() {
    let bench = Bench::new();
    let script = format!(
        "{DAEMON}
import subprocess
background = subprocess.Popen(['sleep', '1000'])
with open('background', 'w') as file:
    file.write(str(background.pid))
signal.signal(signal.SIGTERM, signal.SIG_IGN)
become_daemon()
time.sleep(1000)"
    );
    let mut runner = Runner::start(&bench, &bench.python(&script));
    let all =
        [runner.task, runner.keeper, bench.pid_from("background").await, bench.pid_from("daemon").await];
    assert!(!all.iter().any(|pid| is_gone(*pid)), "all run before the runner dies");
    runner.signal_group(Signal::SIGKILL);
    runner.process.wait().unwrap();
    until("nothing of the task is left", || all.iter().all(|pid| is_gone(*pid))).await;
}

#[tokio::test]
async fn a_task_that_is_being_stopped_ends_with_its_runner_as_well() {
    let bench = Bench::new();
    // The stop is under way, with an hour of grace, when the runner dies.
    let mut launch = bench.python(&format!(
        "{DAEMON}
signal.signal(signal.SIGTERM, lambda *_: open('asked', 'w').close())
become_daemon()
while True:
    time.sleep(1)"
    ));
    launch.stop_grace_ms = 3_600_000;
    let mut runner = Runner::start(&bench, &launch);
    let all = [runner.task, runner.keeper, bench.pid_from("daemon").await];
    runner.signal_keeper(Signal::SIGTERM);
    until("the task was asked to end", || bench.path("asked").exists()).await;
    assert!(!is_gone(runner.task), "the task does not end by itself");
    runner.process.kill().unwrap();
    runner.process.wait().unwrap();
    until("nothing of the task is left", || all.iter().all(|pid| is_gone(*pid))).await;
}

#[tokio::test]
async fn a_task_dies_with_its_keeper_where_no_runner_sees_it() {
    let bench = Bench::new();
    let runner = Runner::start(&bench, &bench.shell("exec sleep 1000"));
    runner.signal_group(Signal::SIGSTOP);
    runner.signal_keeper(Signal::SIGKILL);
    until("the task is gone", || is_gone(runner.task)).await;
}
