//! Interrupting and stopping tasks, and what becomes of what they leave behind.

use std::fs;

use keeper::live_descendants;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Bench, DAEMON, end_of, ended_by, ended_with, is_gone, run, start, until};

#[tokio::test]
async fn an_interrupted_task_gives_the_best_that_it_has() {
    let bench = Bench::new();
    let script = "
import signal, sys, time
best = 0
def finish(*_):
    print('best', best)
    sys.exit(0)
signal.signal(signal.SIGINT, finish)
best = 42
open('ready', 'w').close()
while True:
    time.sleep(60)";
    let mut kept = start(&bench.python(script)).await;
    until("the task is ready", || bench.path("ready").exists()).await;
    kept.interrupt().await;
    assert_eq!(end_of(&mut kept).await, ended_with(0));
    assert_eq!(bench.output(), "best 42\n");
}

#[tokio::test]
async fn an_interrupt_reaches_the_whole_group() {
    let bench = Bench::new();
    let script =
        "trap 'echo parent' INT; sh -c \"trap 'echo child; exit' INT; touch ready; sleep 1000\"; exit 4";
    let mut kept = start(&bench.shell(script)).await;
    until("the child is ready", || bench.path("ready").exists()).await;
    // Only a sleep that has become one takes the signal; before, it is a copy of a shell that has a trap.
    let sleeps = |pid: &u32| fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"sleep\n");
    until("the sleep runs", || live_descendants(kept.keeper_pid()).iter().any(sleeps)).await;
    kept.interrupt().await;
    assert_eq!(end_of(&mut kept).await, ended_with(4));
    assert_eq!(bench.output(), "child\nparent\n");
}

#[tokio::test]
async fn a_stopped_task_may_tidy_up() {
    let bench = Bench::new();
    let mut kept =
        start(&bench.shell("trap 'echo tidy; exit 5' TERM; touch ready; while :; do sleep 0.01; done")).await;
    until("the task is ready", || bench.path("ready").exists()).await;
    kept.stop().await;
    assert_eq!(end_of(&mut kept).await, ended_with(5));
    assert_eq!(bench.output(), "tidy\n");
}

#[tokio::test]
async fn a_task_that_ignores_signals_is_killed_when_the_grace_is_over() {
    let bench = Bench::new();
    let script = format!(
        "{DAEMON}
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
become_daemon()
while True:
    time.sleep(60)"
    );
    let mut launch = bench.python(&script);
    launch.stop_grace_ms = 200;
    let mut kept = start(&launch).await;
    let daemon = bench.pid_from("daemon").await;
    kept.interrupt().await;
    kept.stop().await;
    kept.stop().await;
    assert_eq!(end_of(&mut kept).await, ended_by(9));
    assert!(is_gone(kept.pid()) && is_gone(daemon));
}

#[tokio::test]
async fn children_left_in_the_background_are_gone_when_the_end_is_reported() {
    let bench = Bench::new();
    // The background process also holds all pipes of the task open.
    let script = "sleep 1000 & echo $! > background; setsid sleep 1000 & echo $! > other; exit 6";
    assert_eq!(run(&bench.shell(script)).await, ended_with(6));
    assert!(is_gone(bench.pid_from("background").await));
    assert!(is_gone(bench.pid_from("other").await));
}

#[tokio::test]
async fn daemons_are_gone_when_the_end_is_reported() {
    let bench = Bench::new();
    let mut kept = start(&bench.python(&format!("{DAEMON}\nbecome_daemon()\nsys.exit(8)"))).await;
    assert_eq!(end_of(&mut kept).await, ended_with(8));
    assert!(is_gone(bench.pid_from("daemon").await));
    assert!(is_gone(kept.keeper_pid()), "nor is a keeper left");
}

#[tokio::test]
async fn what_is_left_behind_may_tidy_up_too() {
    let bench = Bench::new();
    let script = "sh -c 'trap \"echo tidy; exit\" TERM; touch ready; while :; do sleep 0.01; done' &
        until [ -e ready ]; do sleep 0.01; done";
    assert_eq!(run(&bench.shell(script)).await, ended_with(0));
    assert_eq!(bench.output(), "tidy\n");
}

#[tokio::test]
async fn dropping_the_kept_task_ends_everything() {
    let bench = Bench::new();
    let kept = start(&bench.python(&format!("{DAEMON}\nbecome_daemon()\ntime.sleep(1000)"))).await;
    let pids = [kept.pid(), kept.keeper_pid(), bench.pid_from("daemon").await];
    drop(kept);
    until("task, keeper and daemon are gone", || pids.iter().all(|pid| is_gone(*pid))).await;
}

#[tokio::test]
async fn a_keeper_that_is_asked_to_end_stops_its_task() {
    let bench = Bench::new();
    let mut kept = start(&bench.shell("trap 'exit 5' TERM; touch ready; while :; do sleep 0.01; done")).await;
    until("the task is ready", || bench.path("ready").exists()).await;
    kill(Pid::from_raw(kept.keeper_pid().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(end_of(&mut kept).await, ended_with(5));
}

#[tokio::test]
async fn a_killed_keeper_is_reported_and_takes_its_task_along() {
    let bench = Bench::new();
    let mut kept = start(&bench.shell("sleep 1000 & echo $! > background; sleep 1000")).await;
    let background = bench.pid_from("background").await;
    kill(Pid::from_raw(kept.keeper_pid().cast_signed()), Signal::SIGKILL).unwrap();
    let exit = end_of(&mut kept).await;
    assert!(exit.keeper_lost && exit.code.is_none() && exit.signal.is_none(), "{exit:?}");
    assert!(is_gone(kept.pid()) && is_gone(background));
    kept.interrupt().await;
    kept.stop().await;
}
