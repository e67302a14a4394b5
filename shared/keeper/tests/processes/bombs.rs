//! Tasks that make processes faster than a process list can be read. All bound themselves, so that a failing
//! test ends as well.

use keeper::live_descendants;

use crate::support::{Bench, end_of, ended_by, ended_with, is_gone, start, until};

/// Up to 200 processes in sessions of their own, each making more as long as there is room.
const BOMB: &str = r#"
import mmap, os, signal, struct, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
count = mmap.mmap(-1, 8)
count[0:8] = struct.pack("q", 1)
end = time.time() + 40
def explode():
    while time.time() < end:
        so_far = struct.unpack("q", count[0:8])[0]
        if so_far >= 200:
            time.sleep(0.1)
            continue
        count[0:8] = struct.pack("q", so_far + 1)
        if os.fork() == 0:
            os.setsid()
    os._exit(0)
"#;

#[tokio::test]
async fn a_fork_bomb_is_ended_with_its_main_process() {
    let bench = Bench::new();
    let script = format!(
        "{BOMB}
if os.fork() == 0:
    explode()
while struct.unpack('q', count[0:8])[0] < 100:
    time.sleep(0.001)
sys.exit(9)"
    );
    let mut kept = start(&bench.python(&script)).await;
    let keeper = kept.keeper_pid();
    until("the bomb goes off", || live_descendants(keeper).len() > 20 || is_gone(kept.pid())).await;
    assert_eq!(end_of(&mut kept).await, ended_with(9));
    assert_eq!(live_descendants(keeper), [0_u32; 0]);
}

#[tokio::test]
async fn a_fork_bomb_is_ended_by_a_stop() {
    let bench = Bench::new();
    let mut launch = bench.python(&format!("{BOMB}\nexplode()"));
    launch.stop_grace_ms = 0;
    let mut kept = start(&launch).await;
    until("the bomb goes off", || live_descendants(kept.keeper_pid()).len() > 100).await;
    let sample = live_descendants(kept.keeper_pid());
    kept.stop().await;
    assert_eq!(end_of(&mut kept).await, ended_by(9));
    assert!(sample.iter().all(|pid| is_gone(*pid)));
}

#[tokio::test]
async fn a_process_that_flees_by_forking_and_exiting_is_caught() {
    let bench = Bench::new();
    // One process at a time, with a new number and a new session every fraction of a millisecond.
    let script = "
import os, sys, time
end = time.time() + 40
if os.fork() == 0:
    os.close(1)
    while time.time() < end:
        if os.fork() > 0:
            os._exit(0)
        os.setsid()
    open('escaped', 'w').close()
    os._exit(0)
";
    let mut kept = start(&bench.python(script)).await;
    let exit = end_of(&mut kept).await;
    assert_eq!(exit, ended_with(0));
    assert!(!bench.path("escaped").exists(), "it ended only because its time was over");
}
