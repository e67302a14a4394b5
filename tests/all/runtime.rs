//! The runtime `command`, as an app author and a REST client see it (design §8).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tests::Kit;
use tests::apps::{App, shell_app};
use tests::http::Http;
use tests::wait::until;

/// The log lines of a task, in order.
async fn lines(http: &Http, id: &str) -> Vec<String> {
    until("the log is whole", || async {
        let page = http.get(&format!("/tasklane/v1/tasks/{id}/logs?limit=1000")).await.expect(200).json();
        if page["end"] == json!(true) { Ok(page) } else { Err(page) }
    })
    .await["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect()
}

async fn ended(http: &Http, service: &str, body: &str) -> (String, Value) {
    let id = http.create("shell", service, body.to_owned()).await;
    let task = http.until_ended(&id).await;
    (id, task)
}

/// Whether any process on this machine has the text in its command line.
fn is_running(mark: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| {
            String::from_utf8_lossy(&line).replace('\0', " ").contains(mark) && !is_zombie(&entry.path())
        })
    })
}

fn is_zombie(process: &Path) -> bool {
    std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| stat.contains(") Z "))
}

async fn until_gone(mark: &str) {
    until(&format!("no process {mark} is left"), || async {
        if is_running(mark) { Err("it runs") } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn outcomes_output_and_words_reach_the_client() {
    let kit = Kit::start().await;
    let services = [
        ("upper", "echo one >&2; echo two >&2; tr a-z A-Z; echo three >&2"),
        ("fails", "echo first >&2; printf 'the last words' >&2; echo partly; exit 7"),
        ("silent", "exit 4"),
        ("empty", "cat >/dev/null"),
        ("binary", "cat; printf '\\000\\377\\001'"),
        ("big", "head -c 3000000 /dev/zero | tr '\\000' x"),
        ("killed", "kill -9 $$"),
        ("many", "i=0; while [ $i -lt 400 ]; do echo line $i >&2; i=$((i+1)); done"),
    ];
    shell_app(&kit.http, "shell", &services).await;
    let http = &kit.http;

    let (id, task) = ended(http, "upper", "abc").await;
    assert_eq!((&task["state"], &task["returnCode"]), (&json!("completed"), &json!(0)), "{task}");
    assert_eq!(http.response(&id).await.expect(200).text(), "ABC");
    assert_eq!(lines(http, &id).await, ["one", "two", "three"]);

    let (id, task) = ended(http, "fails", "").await;
    assert_eq!((&task["state"], &task["returnCode"]), (&json!("failed"), &json!(7)), "{task}");
    assert_eq!(task["errorMessage"], "the last words", "exactly the last line");
    assert_eq!(lines(http, &id).await, ["first", "the last words"]);

    let (_, task) = ended(http, "silent", "").await;
    assert_eq!((&task["state"], &task["returnCode"]), (&json!("failed"), &json!(4)), "{task}");
    assert!(task["errorMessage"].as_str().unwrap().contains("exit code 4"), "{task}");
    let (_, task) = ended(http, "killed", "").await;
    assert_eq!(task["state"], "failed", "{task}");
    assert!(task["errorMessage"].as_str().unwrap().contains("SIGKILL"), "{task}");

    let (id, task) = ended(http, "empty", "something").await;
    assert_eq!(task["state"], "completed", "{task}");
    assert_eq!(http.response(&id).await.expect(200).body.len(), 0);
    let (id, _) = ended(http, "binary", "é").await;
    assert_eq!(&http.response(&id).await.expect(200).body[..], b"\xc3\xa9\x00\xff\x01");
    let (id, _) = ended(http, "big", "").await;
    let body = http.response(&id).await.expect(200).body;
    assert!(body.len() == 3_000_000 && body.iter().all(|byte| *byte == b'x'));
    let (id, _) = ended(http, "many", "").await;
    let expected: Vec<String> = (0..400).map(|i| format!("line {i}")).collect();
    assert_eq!(lines(http, &id).await, expected);
    kit.stop().await;
}

#[tokio::test]
async fn a_process_sees_its_task_and_nothing_of_the_broker() {
    let kit = Kit::start().await;
    let env = "cat >/dev/null; touch \"$TASKLANE_WORKDIR/scratch\"; env";
    let manifest = "name = \"shell\"\nversion = \"1.0\"\nruntime = \"command\"\n\
        [services.env]\ncommand = [\"sh\", \"env.sh\"]\nenv = { SOLVER = \"highs\" }\n";
    App { manifest, files: &[("env.sh", env)] }.publish(&kit.http).await.expect(200);
    let (id, task) = ended(&kit.http, "env", "").await;
    assert_eq!(task["state"], "completed", "{task}");
    let text = kit.http.response(&id).await.expect(200).text();
    let seen: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let session = task["sessionId"].as_str().unwrap();
    for (name, value) in [
        ("TASKLANE_TASK_ID", id.as_str()),
        ("TASKLANE_TENANT", "demo"),
        ("TASKLANE_SERVICE", "env"),
        ("TASKLANE_ATTEMPT", "1"),
        ("SOLVER", "highs"),
    ] {
        assert_eq!(seen.get(name), Some(&value), "{name}: {text}");
    }
    let listed = [
        "TASKLANE_TASK_ID",
        "TASKLANE_TENANT",
        "TASKLANE_SERVICE",
        "TASKLANE_ATTEMPT",
        "TASKLANE_WORKDIR",
        "TASKLANE_STATUS_FD",
        "SOLVER",
        "PATH",
        "HOME",
        "LANG",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
    ];
    for name in seen.keys() {
        assert!(listed.contains(name), "{name} is none of the variables that a process is promised");
    }
    let work = Path::new(seen["TASKLANE_WORKDIR"]);
    assert!(work.is_absolute() && seen["TASKLANE_WORKDIR"].contains(session), "{work:?}");
    until("the work folder is removed", || async { if work.exists() { Err(work) } else { Ok(()) } }).await;
    assert!(!text.contains("nats") && !text.contains(kit.http.key().unwrap()), "{text}");
    kit.stop().await;
}

#[tokio::test]
async fn phases_and_progress_are_shown_while_it_runs() {
    let kit = Kit::start().await;
    let solve = "say() { eval \"echo '$1' >&$TASKLANE_STATUS_FD\"; }\n\
        say '{\"phase\":\"solving\"}'; say 'no JSON'; say '{\"progress\":0.4,\"message\":\"four of ten\"}'\n\
        gate=$(cat); while [ ! -e \"$gate\" ]; do sleep 0.02; done\n\
        say '{\"phase\":\"running\",\"progress\":1}'; while [ ! -e \"$gate.2\" ]; do sleep 0.02; done";
    shell_app(&kit.http, "shell", &[("solve", solve)]).await;
    let gate = kit.folder.path().join("gate").display().to_string();
    let id = kit.http.create("shell", "solve", gate.clone()).await;
    kit.http.until_state(&id, &["solving"]).await;
    let shown = |wanted: f64| {
        let (http, path) = (kit.http.clone(), format!("/tasklane/v1/tasks/{id}"));
        async move {
            until("the progress is shown", || async {
                let task = http.get(&path).await.expect(200).json();
                if task["progress"] == json!(wanted) { Ok(task) } else { Err(task) }
            })
            .await
        }
    };
    assert_eq!(shown(0.4).await["message"], "four of ten");
    std::fs::write(&gate, "").unwrap();
    kit.http.until_state(&id, &["running"]).await;
    shown(1.0).await;
    std::fs::write(format!("{gate}.2"), "").unwrap();
    assert_eq!(kit.http.until_ended(&id).await["state"], "completed");
    kit.stop().await;
}

#[tokio::test]
async fn an_interrupt_keeps_the_best_so_far_and_ends_the_whole_group() {
    let kit = Kit::start().await;
    let best =
        "trap 'echo best so far; exit 0' INT; sleep 86411 & echo ready >&2; while :; do sleep 0.05; done";
    let dies = "printf partly; echo ready >&2; exec sleep 86412";
    shell_app(&kit.http, "shell", &[("best", best), ("dies", dies)]).await;
    for (service, result) in [("best", "best so far\n"), ("dies", "partly")] {
        let id = kit.http.create("shell", service, "").await;
        kit.http.until_state(&id, &["running"]).await;
        until("it is at work", || async {
            let page = kit.http.get(&format!("/tasklane/v1/tasks/{id}/logs")).await.expect(200).text();
            if page.contains("ready") { Ok(()) } else { Err(page) }
        })
        .await;
        kit.http
            .put(&format!("/pro-api/v2/tasks/{id}"), r#"{"setstatus":"interrupt-solve"}"#)
            .await
            .expect(200);
        let task = kit.http.until_ended(&id).await;
        assert_eq!((&task["state"], &task["errorMessage"]), (&json!("completed"), &Value::Null), "{task}");
        assert_eq!(kit.http.response(&id).await.expect(200).text(), result);
    }
    until_gone("sleep 86411").await;
    until_gone("sleep 86412").await;
    kit.stop().await;
}

#[tokio::test]
async fn a_process_that_ignores_its_interrupt_is_killed_with_its_group_once_the_grace_is_over() {
    let kit = Kit::start().await;
    let deaf = "trap '' INT TERM; sleep 86414 & echo ready >&2; while :; do sleep 86414; done";
    shell_app(&kit.http, "shell", &[("deaf", deaf)]).await;
    let id = kit.http.create("shell", "deaf", "").await;
    kit.http.until_state(&id, &["running"]).await;
    until("it is deaf", || async {
        let page = kit.http.get(&format!("/tasklane/v1/tasks/{id}/logs")).await.expect(200).text();
        if page.contains("ready") { Ok(()) } else { Err(page) }
    })
    .await;
    kit.http.put(&format!("/pro-api/v2/tasks/{id}"), "").await.expect(200);
    assert!(is_running("sleep 86414"), "it has its grace");
    let task = kit.http.until_ended(&id).await;
    assert_eq!(task["state"], "failed", "{task}");
    assert_eq!(task["errorMessage"], "it did not end within 30 s of the interrupt and was stopped");
    until_gone("sleep 86414").await;
    kit.stop().await;
}

#[tokio::test]
async fn limits_and_timeouts_end_what_goes_beyond_them() {
    let kit = Kit::start().await;
    let manifest = "name = \"shell\"\nversion = \"1.0\"\nruntime = \"command\"\n\
        [services.slow]\ncommand = [\"sh\", \"-c\", \"trap '' INT TERM; sleep 86413 & while :; do sleep 86413; done\"]\ntimeout = \"1s\"\n\
        [services.hungry]\ncommand = [\"python3\", \"-c\", \"x = bytearray(400_000_000); print(len(x))\"]\n\
        [services.files]\ncommand = [\"python3\", \"-c\", \"f = [open('/dev/null') for _ in range(200)]\"]\n\
        [services.fine]\ncommand = [\"python3\", \"-c\", \"print(len(bytearray(1_000_000)))\"]\n\
        [limits]\nmemory = \"256m\"\nopen_files = 64\n";
    App { manifest, files: &[] }.publish(&kit.http).await.expect(200);
    let slow = kit.http.create("shell", "slow", "").await;
    let (_, task) = ended(&kit.http, "hungry", "").await;
    assert_eq!(task["state"], "failed", "{task}");
    assert_eq!(task["errorMessage"], "MemoryError");
    let (_, task) = ended(&kit.http, "files", "").await;
    assert_eq!(task["state"], "failed", "{task}");
    assert!(task["errorMessage"].as_str().unwrap().contains("Too many open files"), "{task}");
    let (id, task) = ended(&kit.http, "fine", "").await;
    assert_eq!(task["state"], "completed", "{task}");
    assert_eq!(kit.http.response(&id).await.expect(200).text(), "1000000\n");
    let task = kit.http.until_ended(&slow).await;
    assert_eq!(task["state"], "failed", "{task}");
    assert!(task["errorMessage"].as_str().unwrap().contains("timeout of 1s"), "{task}");
    until_gone("sleep 86413").await;
    kit.stop().await;
}

/// Three processes that each hold what one may have alone. The main one dies with whichever is killed.
const CROWD: &str = "\
import os
def hold():
    held = bytearray(200 << 20)
    for place in range(0, len(held), 4096):
        held[place] = 1
    return held
def crowd():
    told, ready = os.pipe()
    done, end = os.pipe()
    children = []
    for _ in range(2):
        children.append(os.fork())
        if children[-1] == 0:
            os.close(end)
            held = hold()
            os.close(ready)
            os.read(done, 1)
            os._exit(0)
    os.close(ready)
    held = hold()
    os.read(told, 1)
    os.close(end)
    ends = [os.waitpid(child, 0)[1] for child in children]
    if ends != [0, 0]:
        os.kill(os.getpid(), 9)
    return 'all held'
";

#[tokio::test]
async fn a_task_whose_processes_together_use_too_much_memory_fails_and_is_told_so() {
    let kit = Kit::start().await;
    let shown = kit.http.get("/tasklane/v1/sessions").await.expect(200).json();
    let fences = shown["runners"][0]["fences"].as_str().unwrap().to_owned();
    let limits = "[limits]\nmemory = \"500m\"\n";
    let command = format!(
        "name = \"shell\"\nversion = \"1.0\"\nruntime = \"command\"\n\
         [services.run]\ncommand = [\"python3\", \"crowd.py\"]\n{limits}"
    );
    let program = format!("{CROWD}print(crowd())");
    App { manifest: &command, files: &[("crowd.py", &program)] }.publish(&kit.http).await.expect(200);
    let session = format!(
        "name = \"warm\"\nversion = \"1.0\"\nruntime = \"session\"\n[session]\n\
         command = [\"python3\", \"server.py\", \"--port\", \"{{port}}\"]\nready = \"/api/v2/tasks\"\n{limits}"
    );
    let server = include_str!("sessions/server.py");
    App { manifest: &session, files: &[("server.py", server)] }.publish(&kit.http).await.expect(200);
    let in_session = format!("{CROWD}result = crowd()");
    let of_command = kit.http.create("shell", "run", "").await;
    let of_session = kit.http.create("warm", "python", in_session).await;
    for id in [of_command, of_session] {
        let task = kit.http.until_ended(&id).await;
        if fences.ends_with("memory by cgroup and rlimit") {
            let message = task["errorMessage"].as_str().unwrap();
            let expected = "all processes of the task together used more memory than [limits] allows";
            assert!(message.contains(expected), "{task}");
            assert_eq!(task["state"], "failed", "{task}");
        } else {
            assert!(fences.ends_with("memory by rlimit"), "{fences}");
            assert_eq!(task["state"], "completed", "each process has what it may have: {task}");
        }
    }
    kit.stop().await;
}
