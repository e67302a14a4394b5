//! How a task ended, or why it never began, reaches the runner.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use keeper::{KeeperError, KeeperProgram};

use crate::support::{Bench, end_of, ended_by, ended_with, refusal, run, start};

#[tokio::test]
async fn exit_codes_and_signals_are_reported() {
    let bench = Bench::new();
    assert_eq!(run(&bench.launch(&["true"])).await, ended_with(0));
    assert_eq!(run(&bench.shell("exit 7")).await, ended_with(7));
    assert_eq!(run(&bench.shell("kill -KILL $$")).await, ended_by(9));
    assert_eq!(run(&bench.shell("kill -SEGV $$")).await, ended_by(11));
}

#[tokio::test]
async fn waiting_can_be_given_up_and_taken_up_again() {
    let bench = Bench::new();
    let mut kept = start(&bench.shell("until [ -e go ]; do sleep 0.01; done; exit 3")).await;
    let given_up = tokio::time::timeout(Duration::from_millis(50), kept.wait()).await;
    assert!(given_up.is_err(), "the task cannot have ended yet");
    fs::write(bench.path("go"), "").unwrap();
    assert_eq!(end_of(&mut kept).await, ended_with(3));
    assert_eq!(end_of(&mut kept).await, ended_with(3), "the same answer every time");
}

/// Each look gives the wait up again, also between what the keeper reports and the keeper's own end.
#[tokio::test]
async fn the_answer_is_the_same_however_often_waiting_is_given_up() {
    let bench = Bench::new();
    for _ in 0..20 {
        let mut kept = start(&bench.shell("kill -KILL $$")).await;
        let exit = loop {
            tokio::select! {
                biased;
                exit = kept.wait() => break exit,
                () = tokio::task::yield_now() => {}
            }
        };
        assert_eq!(exit, ended_by(9));
    }
}

#[tokio::test]
async fn the_kept_numbers_are_those_of_task_and_keeper() {
    let bench = Bench::new();
    let mut kept = start(&bench.shell("echo $$ $PPID")).await;
    let (task, keeper) = (kept.pid(), kept.keeper_pid());
    end_of(&mut kept).await;
    assert_eq!(bench.output(), format!("{task} {keeper}\n"));
}

#[tokio::test]
async fn a_missing_command_is_named_with_where_it_was_looked_for() {
    let bench = Bench::new();
    let message = refusal(&bench.launch(&["no-such-solver", "--fast"])).await;
    assert_eq!(
        message,
        "the command \"no-such-solver\" cannot be started: there is no such program on the PATH /usr/bin:/bin"
    );
    let message = refusal(&bench.launch(&["./no-such-solver"])).await;
    assert!(message.contains("\"./no-such-solver\"") && message.contains("there is no file"), "{message}");
    let message = refusal(&bench.launch(&[])).await;
    assert_eq!(message, "the app names no command to run");
}

#[tokio::test]
async fn a_file_that_cannot_run_is_told_apart_from_a_missing_one() {
    let bench = Bench::new();
    let script = bench.path("solve");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();

    fs::set_permissions(&script, fs::Permissions::from_mode(0o600)).unwrap();
    let message = refusal(&bench.launch(&["./solve"])).await;
    assert!(message.contains("chmod +x"), "{message}");

    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let message = refusal(&bench.launch(&["./solve"])).await;
    assert!(message.contains("interpreter"), "{message}");

    let message = refusal(&bench.launch(&["solve"])).await;
    assert!(message.ends_with("a file of the app itself is started as \"./solve\""), "{message}");
}

#[tokio::test]
async fn missing_folders_and_files_are_named() {
    let bench = Bench::new();
    let mut launch = bench.launch(&["true"]);
    launch.working_directory = bench.path("nowhere");
    let message = refusal(&launch).await;
    assert!(message.contains("working folder") && message.contains("nowhere"), "{message}");

    let mut launch = bench.launch(&["true"]);
    launch.stdin = bench.path("no-input");
    let message = refusal(&launch).await;
    assert!(message.contains("input") && message.contains("no-input"), "{message}");

    std::os::unix::fs::symlink(bench.path("in"), bench.path("planted")).unwrap();
    let mut launch = bench.launch(&["true"]);
    launch.stdout = Some(bench.path("planted"));
    let message = refusal(&launch).await;
    assert!(message.contains("output") && message.contains("planted"), "{message}");
}

#[tokio::test]
async fn a_program_that_is_no_keeper_is_an_error_and_not_a_wait() {
    let bench = Bench::new();
    let launch = bench.launch(&["true"]);
    let absent = KeeperProgram { path: bench.path("absent"), args: vec![] };
    let error = keeper::start(&absent, &launch).await.unwrap_err();
    assert!(matches!(error, KeeperError::NoKeeper { .. }), "{error}");
    let stranger = KeeperProgram { path: "/bin/true".into(), args: vec![] };
    let error = keeper::start(&stranger, &launch).await.unwrap_err();
    assert!(matches!(error, KeeperError::Lost { .. }), "{error}");
}
