//! What a task reads, writes and inherits.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::support::{Bench, DEADLINE, end_of, ended_with, python, run, start};

async fn all_of(reader: Option<impl AsyncRead + Unpin>) -> String {
    let mut text = String::new();
    let mut reader = reader.unwrap();
    tokio::time::timeout(DEADLINE, reader.read_to_string(&mut text)).await.expect("the pipe ends").unwrap();
    text
}

#[tokio::test]
async fn input_and_output_are_files_byte_for_byte() {
    let bench = Bench::new();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| (number * 31 % 256) as u8).collect();
    fs::write(bench.path("in"), &bytes).unwrap();
    assert_eq!(run(&bench.launch(&["cat"])).await, ended_with(0));
    assert!(fs::read(bench.path("out")).unwrap() == bytes, "the output differs from the input");
    assert_eq!(fs::metadata(bench.path("out")).unwrap().permissions().mode() & 0o777, 0o600);

    fs::write(bench.path("in"), "short").unwrap();
    run(&bench.launch(&["cat"])).await;
    assert_eq!(bench.output(), "short", "an older output is replaced");
}

#[tokio::test]
async fn stderr_and_status_arrive_apart_and_end_with_the_task() {
    let bench = Bench::new();
    let mut launch = bench.shell("echo to-out; echo to-err >&2; echo to-status >&7");
    launch.status_fd = Some(7);
    let mut kept = start(&launch).await;
    let (stderr, status) = (kept.take_stderr(), kept.take_status());
    assert!(kept.take_stderr().is_none() && kept.take_status().is_none());
    assert_eq!(all_of(stderr).await, "to-err\n");
    assert_eq!(all_of(status).await, "to-status\n");
    assert_eq!(end_of(&mut kept).await, ended_with(0));
    assert_eq!(bench.output(), "to-out\n");
}

#[tokio::test]
async fn an_output_that_is_no_result_goes_where_the_errors_go_and_no_descriptor_is_left_over() {
    let bench = Bench::new();
    let mut launch = bench.shell("echo to-out; echo to-err >&2; echo to-status >&3 || echo no descriptor");
    (launch.stdout, launch.status_fd) = (None, None);
    let mut kept = start(&launch).await;
    let text = all_of(kept.take_stderr()).await;
    assert!(text.contains("to-out\nto-err\n") && text.ends_with("no descriptor\n"), "{text}");
    assert_eq!(all_of(kept.take_status()).await, "");
    assert_eq!(end_of(&mut kept).await, ended_with(0));
}

#[tokio::test]
async fn pipes_end_while_the_keeper_still_runs() {
    let bench = Bench::new();
    let mut kept = start(&bench.shell("exec 2>&- 3>&-; until [ -e go ]; do sleep 0.01; done")).await;
    assert_eq!(all_of(kept.take_stderr()).await, "");
    assert_eq!(all_of(kept.take_status()).await, "");
    fs::write(bench.path("go"), "").unwrap();
    assert_eq!(end_of(&mut kept).await, ended_with(0));
}

#[tokio::test]
async fn the_environment_is_exactly_the_given_one() {
    let bench = Bench::new();
    let mut launch = bench.launch(&["/usr/bin/env"]);
    launch.env = BTreeMap::from([("ONE".to_owned(), "1".to_owned()), ("TWO".to_owned(), "ä = ö".to_owned())]);
    run(&launch).await;
    assert_eq!(bench.output(), "ONE=1\nTWO=ä = ö\n");
}

#[tokio::test]
async fn no_descriptor_is_inherited() {
    let bench = Bench::new();
    // A runner that forgot to mark this one as its own; the task must still not get it.
    let slipped = File::open(bench.path("in")).unwrap();
    fcntl(&slipped, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let script = "import os
def is_open(number):
    try:
        os.fstat(number)
        return True
    except OSError:
        return False
print([number for number in range(1000) if is_open(number)])";
    assert_eq!(run(&bench.python(script)).await, ended_with(0));
    assert_eq!(bench.output(), "[0, 1, 2, 3]\n");
}

#[tokio::test]
async fn signals_are_as_the_system_delivers_them_and_privileges_cannot_grow() {
    let bench = Bench::new();
    let mut kept = start(&bench.launch(&["cat", "/proc/self/status", "/proc/self/stat"])).await;
    let (task, keeper) = (kept.pid(), kept.keeper_pid());
    end_of(&mut kept).await;
    let output = bench.output();
    let field = |name: &str| {
        let line = output.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap()
    };
    // Numbers 32 and 33 are the C library's own, and it lets nobody change them.
    let reserved = 0b11 << 31;
    assert_eq!(field("SigBlk:"), 0);
    assert_eq!(field("SigIgn:") & !reserved, 0);
    assert_eq!(field("NoNewPrivs:"), 1);
    let ids = format!("{task} (cat) R {keeper} {task} {keeper} ");
    assert!(output.contains(&ids), "parent, group and session are not as in {ids:?}: {output}");
}

#[tokio::test]
async fn what_the_runner_ignores_its_tasks_do_not() {
    let bench = Bench::new();
    let launch = bench.shell("grep SigIgn: /proc/self/status; exit 7");
    fs::write(bench.path("launch.json"), serde_json::to_vec(&launch).unwrap()).unwrap();
    let ignorant_runner = "import os, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])";
    let runner = Command::new(python())
        .args(["-c", ignorant_runner, env!("CARGO_BIN_EXE_keeper-test"), "hold"])
        .arg(bench.path("launch.json"))
        .kill_on_drop(true)
        .output();
    let runner = tokio::time::timeout(DEADLINE, runner).await.expect("the runner ends").unwrap();
    // Where SIGCHLD is ignored, the kernel throws exit codes away.
    assert_eq!(runner.status.code(), Some(7), "{runner:?}");
    let ignored = u64::from_str_radix(bench.output().trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_eq!(ignored & 0x7fff_ffff, 0, "{}", bench.output());
}
