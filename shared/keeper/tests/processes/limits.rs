//! Limits bind the task and leave its keeper alone.

use crate::support::{Bench, end_of, ended_with, run, start};

#[tokio::test]
async fn memory_is_limited() {
    let bench = Bench::new();
    let script = "
try:
    hoard = bytearray(512 << 20)
    print('got it')
except MemoryError:
    print('no more memory')";
    assert_eq!(run(&bench.python(script)).await, ended_with(0));
    assert_eq!(bench.output(), "got it\n", "without a limit there is enough");
    let mut launch = bench.python(script);
    launch.limits.memory_bytes = Some(256 << 20);
    assert_eq!(run(&launch).await, ended_with(0));
    assert_eq!(bench.output(), "no more memory\n");
}

#[tokio::test]
async fn too_little_memory_to_start_is_still_reported() {
    let bench = Bench::new();
    let mut launch = bench.launch(&["true"]);
    launch.limits.memory_bytes = Some(4 << 10);
    // The kernel may notice before or after the point of no return of exec.
    match keeper::start(&crate::support::program(), &launch).await {
        Ok(mut kept) => assert_ne!(end_of(&mut kept).await, ended_with(0)),
        Err(error) => assert!(error.to_string().contains("\"true\""), "{error}"),
    }
}

#[tokio::test]
async fn open_files_are_limited() {
    let bench = Bench::new();
    let mut launch = bench.python(
        "
files = []
try:
    while len(files) < 1000:
        files.append(open('in'))
except OSError as error:
    print(error.strerror, files[-1].fileno())",
    );
    launch.limits.open_files = Some(32);
    assert_eq!(run(&launch).await, ended_with(0));
    assert_eq!(bench.output(), "Too many open files 31\n");
}

#[tokio::test]
async fn file_sizes_are_limited_the_output_included() {
    let bench = Bench::new();
    let mut launch = bench.launch(&["head", "-c", "1000000", "/dev/zero"]);
    launch.limits.file_bytes = Some(10_000);
    let exit = run(&launch).await;
    assert_eq!(exit.signal, Some(libc::SIGXFSZ), "{exit:?}");
    assert_eq!(bench.output().len(), 10_000);
}

#[tokio::test]
async fn the_number_of_processes_and_core_dumps_are_limited_as_asked() {
    let bench = Bench::new();
    let mut launch = bench.launch(&["cat", "/proc/self/limits"]);
    launch.limits.processes = Some(77);
    run(&launch).await;
    let output = bench.output();
    let limit = |name: &str| -> Vec<&str> {
        let line = output.lines().find(|line| line.starts_with(name)).unwrap();
        line.trim_start_matches(name).split_whitespace().take(2).collect()
    };
    assert_eq!(limit("Max processes"), ["77", "77"]);
    assert_eq!(limit("Max core file size"), ["0", "0"]);
}

#[tokio::test]
async fn the_keeper_works_on_under_the_tightest_limits_of_its_task() {
    let bench = Bench::new();
    let mut launch = bench.shell("exec sleep 1000");
    // One more than the four that every task has, for the libraries of its program.
    launch.limits.open_files = Some(5);
    launch.limits.file_bytes = Some(0);
    let mut kept = start(&launch).await;
    kept.stop().await;
    assert_eq!(end_of(&mut kept).await, crate::support::ended_by(15));
}
