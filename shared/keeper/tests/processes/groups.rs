//! The memory of all processes of a task together, which a control group bounds where the machine lets us make one.

use std::process::Command;

use crate::support::{Bench, end_of, ended_by, ended_with, run, start, until};

/// Three processes with a hundred megabytes each, which none of them may not have alone.
const TOGETHER: &str = "
import os, sys
def hoard():
    held = bytearray(100 << 20)
    for place in range(0, len(held), 4096):
        held[place] = 1
    return held
told, ready = os.pipe()
done, end = os.pipe()
children = []
for _ in range(2):
    children.append(os.fork())
    if children[-1] == 0:
        os.close(end)
        held = hoard()
        os.close(ready)
        os.read(done, 1)
        os._exit(0)
os.close(ready)
held = hoard()
os.read(told, 1)
os.close(end)
ends = [os.waitpid(child, 0)[1] for child in children]
print('all held', flush=True) if ends == [0, 0] else os.kill(os.getpid(), 9)
";

fn has_groups() -> bool {
    let has = keeper::fences().groups;
    if !has {
        eprintln!(
            "this machine lets us make no control groups, so only the limits of single processes are tested"
        );
    }
    has
}

/// Whether the group of a keeper is there, wherever the hierarchy is mounted.
fn group_of(keeper: u32) -> bool {
    let name = format!("tasklane-{keeper}");
    let found = Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", &name]).output().unwrap();
    !found.stdout.is_empty()
}

#[tokio::test]
async fn processes_that_hold_too_much_together_are_ended_and_the_reason_is_told() {
    let bench = Bench::new();
    let mut launch = bench.python(TOGETHER);
    for enough in [None, Some(1 << 30)] {
        launch.limits.memory_bytes = enough;
        assert_eq!(run(&launch).await, ended_with(0));
        assert_eq!(bench.output(), "all held\n");
    }
    launch.limits.memory_bytes = Some(220 << 20);
    // Whichever of the three the kernel picks, the main process ends by a SIGKILL.
    let exit = run(&launch).await;
    if has_groups() {
        assert!(exit.out_of_memory && exit.signal == Some(libc::SIGKILL), "{exit:?}");
    } else {
        assert_eq!(exit, ended_with(0));
    }
    let mut killed = bench.shell("kill -9 $$");
    killed.limits = launch.limits;
    assert_eq!(run(&killed).await, ended_by(libc::SIGKILL), "that is no want of memory");
}

#[tokio::test]
async fn a_group_goes_with_its_task_and_one_that_was_left_with_the_next_start_of_a_runner() {
    let bench = Bench::new();
    let mut launch = bench.shell("exec sleep 1000");
    launch.limits.memory_bytes = Some(1 << 30);
    for lose_keeper in [false, true] {
        let mut kept = start(&launch).await;
        let keeper = kept.keeper_pid();
        assert_eq!(group_of(keeper), has_groups());
        if lose_keeper {
            let pid = nix::unistd::Pid::from_raw(keeper.cast_signed());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
            assert!(end_of(&mut kept).await.keeper_lost);
            assert_eq!(group_of(keeper), has_groups(), "nobody has removed it yet");
            // A process that dies leaves its group a moment after it is seen to have died.
            until("it is removed", || {
                keeper::end_leftovers("TASKLANE_TEST_NOTHING", "/nowhere/");
                !group_of(keeper)
            })
            .await;
        } else {
            kept.stop().await;
            end_of(&mut kept).await;
            assert!(!group_of(keeper));
        }
    }
}
