//! A runner that dies without a word takes its tasks along.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use keeper::Launch;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::support::{Bench, DAEMON, is_gone, until};

/// A runner of its own, leader of a process group, with the numbers of its task and keeper.
fn runner_with(bench: &Bench, launch: &Launch) -> (Child, [u32; 2]) {
    let file = bench.path("launch.json");
    std::fs::write(&file, serde_json::to_vec(launch).unwrap()).unwrap();
    let mut runner = Command::new(env!("CARGO_BIN_EXE_keeper-test"))
        .arg("hold")
        .arg(file)
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(runner.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (task, keeper) = line.trim().split_once(' ').unwrap();
    (runner, [task.parse().unwrap(), keeper.parse().unwrap()])
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
    let (mut runner, [task, keeper]) = runner_with(&bench, &bench.python(&script));
    let all = [task, keeper, bench.pid_from("background").await, bench.pid_from("daemon").await];
    assert!(!all.iter().any(|pid| is_gone(*pid)), "all run before the runner dies");
    killpg(Pid::from_raw(runner.id().cast_signed()), Signal::SIGKILL).unwrap();
    runner.wait().unwrap();
    until("nothing of the task is left", || all.iter().all(|pid| is_gone(*pid))).await;
}

#[tokio::test]
async fn a_task_that_already_leaves_daemons_behind_ends_with_its_runner_as_well() {
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
    let (mut runner, [task, keeper]) = runner_with(&bench, &launch);
    let daemon = bench.pid_from("daemon").await;
    nix::sys::signal::kill(Pid::from_raw(keeper.cast_signed()), Signal::SIGTERM).unwrap();
    until("the task was asked to end", || bench.path("asked").exists()).await;
    assert!(!is_gone(task), "the task does not end by itself");
    runner.kill().unwrap();
    runner.wait().unwrap();
    until("nothing of the task is left", || [task, keeper, daemon].iter().all(|pid| is_gone(*pid))).await;
}
