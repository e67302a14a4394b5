//! What a task and a session of a whole stack try in vain: to come to the broker, to its keys, to what others have.
//! The escapes from a single process are tested beside the keeper, which builds the fence.

use serde_json::Value;
use tempfile::TempDir;
use tests::Kit;
use tests::apps::{App, shell_app};
use tests::http::Http;

const SERVER: &str = include_str!("sessions/server.py");

/// Each attempt in Python, and what it gives where it succeeds. The names that it uses are set before it.
const ATTEMPTS: [(&str, &str); 14] = [
    ("logs in to the broker as nobody", "told = login({}); assert '-ERR' not in told, told"),
    (
        "logs in as a function without its key",
        "told = login({'nkey': nkey, 'sig': 'x'}); assert '-ERR' not in told, told",
    ),
    (
        "logs in by a name",
        "told = login({'user': 'runner', 'pass': 'runner'}); assert '-ERR' not in told, told",
    ),
    ("reads the key of the runner", "open(data + '/keys/runner.nk').read()"),
    ("reads the pepper", "open(data + '/pepper').read()"),
    ("reads the master key", "open(data + '/master.key').read()"),
    ("reads the first API key", "open(data + '/operator.key').read()"),
    ("reads the broker's programs", "open(data + '/broker/programs.conf').read()"),
    (
        "reads the broker's store",
        "[open(f, 'rb').read() for f in (os.path.join(at, f) for at, _, names in os.walk(data + '/broker') for f in names if f.endswith('.blk'))][0]",
    ),
    ("reads the work folder of another", "open(other + '/secret').read()"),
    ("writes into the work folder of another", "open(other + '/planted', 'w')"),
    ("changes its own app for later tasks", "open('planted.py', 'w')"),
    ("plants a link in its app", "os.symlink(data, 'link')"),
    ("signals the runner", "os.kill(runner, 0)"),
];

/// Python that makes every attempt and says which came through.
fn script(kit: &Kit, other: &str) -> String {
    let port = kit.stack.settings.nats_url.rsplit(':').next().unwrap();
    let data = kit.folder.path().join("data");
    let mut script = format!(
        "import json, os, socket\n\
         data, other, runner, nkey = {:?}, {other:?}, {}, 'U' + 'A' * 55\n\
         def login(options):\n  s = socket.create_connection(('127.0.0.1', {port}))\n  s.recv(65536)\n  \
         s.sendall(b'CONNECT ' + json.dumps(options).encode() + b'\\r\\nPING\\r\\n')\n  return s.recv(65536).decode()\n\
         through, refused = [], 0\n",
        data.display().to_string(),
        std::process::id(),
    );
    for (what, attempt) in ATTEMPTS {
        script.push_str(&format!(
            "try:\n  {attempt}\n  through.append({what:?})\nexcept Exception as error:\n  refused += 1\n"
        ));
    }
    script + "result = json.dumps([through, refused])\n"
}

async fn answer(http: &Http, app: &str, service: &str, body: String) -> Value {
    let id = http.create(app, service, body).await;
    let task = http.until_ended(&id).await;
    assert_eq!(task["state"], "completed", "{task}");
    http.response(&id).await.expect(200).json()
}

#[tokio::test]
async fn neither_a_task_nor_a_session_comes_to_the_broker_or_to_what_others_have() {
    // Not below /tmp, which tasks may use.
    let kit = Kit::start_in(TempDir::new_in("/var/tmp").unwrap(), |_| {}).await;
    let http = &kit.http;
    let other =
        "echo mine > \"$TASKLANE_WORKDIR/secret\"; printf '{\"phase\":\"solving\"}\\n' >&3; sleep 600";
    shell_app(http, "other", &[("hold", other)]).await;
    let holding = http.create("other", "hold", "").await;
    let session = http.until_state(&holding, &["solving"]).await["sessionId"].as_str().unwrap().to_owned();
    let runners = std::fs::read_dir(kit.folder.path().join("data/work")).unwrap().flatten();
    let folders: Vec<_> = runners.map(|runner| runner.path().join(&session)).collect();
    let folder = folders.iter().find(|folder| folder.join("secret").exists()).unwrap();

    let manifest = "name = \"plain\"\nversion = \"1.0\"\nruntime = \"command\"\n\
                    [services.try]\ncommand = [\"python3\", \"-B\", \"try.py\"]\n";
    let program = "import sys\nknown = {}\nexec(sys.stdin.read(), known)\nprint(known['result'])\n";
    App { manifest, files: &[("try.py", program)] }.publish(http).await.expect(200);
    let manifest = "name = \"warm\"\nversion = \"1.0\"\nruntime = \"session\"\n[session]\n\
                    command = [\"python3\", \"-B\", \"server.py\", \"--port\", \"{port}\"]\nready = \"/api/v2/tasks\"\n";
    App { manifest, files: &[("server.py", SERVER)] }.publish(http).await.expect(200);
    let script = script(&kit, &folder.display().to_string());
    for (app, service) in [("plain", "try"), ("warm", "python")] {
        let tried = answer(http, app, service, script.clone()).await;
        assert_eq!(tried, serde_json::json!([[], ATTEMPTS.len()]), "{app}");
    }
    // Each attempt is one: whoever is not fenced comes through, but for the broker, which lets nobody in.
    let control = tokio::process::Command::new("python3")
        .args(["-c", &format!("{script}print(result)")])
        .current_dir(folder)
        .output();
    let control = control.await.unwrap();
    let control: Value = serde_json::from_slice(&control.stdout).unwrap_or_else(|_| panic!("{control:?}"));
    assert_eq!(control[1], 3, "{control}");
    kit.stop().await;
}

/// Each writes more than anybody wants to keep: as its result, as one line of its log, as a file, as many files.
const TOO_MUCH: [(&str, &str, &str, &str); 4] = [
    (
        "result",
        "head -c 536870912 /dev/zero",
        "failed",
        "the response has 536870912 bytes; 268435456 is the most",
    ),
    ("line", "head -c 268435456 /dev/zero | tr '\\\\0' x >&2", "completed", ""),
    (
        "file",
        "cd $TASKLANE_WORKDIR; head -c 1073741824 /dev/zero > file || exit 5",
        "failed",
        "File size limit exceeded",
    ),
    (
        "files",
        "cd $TASKLANE_WORKDIR; for i in 1 2 3 4 5 6 7 8; do head -c 33554432 /dev/zero > $i; done",
        "completed",
        "",
    ),
];

/// The bytes of all files below a folder.
fn bytes_below(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[tokio::test]
async fn too_much_of_anything_hurts_nobody_and_is_not_kept() {
    let kit = Kit::start().await;
    let http = &kit.http;
    let mut manifest = "name = \"flood\"\nversion = \"1.0\"\nruntime = \"command\"\n".to_owned();
    for (service, script, ..) in TOO_MUCH {
        manifest += &format!("[services.{service}]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n");
    }
    manifest += "[limits]\nfile_size = \"600m\"\n";
    App { manifest: &manifest, files: &[] }.publish(http).await.expect(200);
    tests::apps::noop_app(http, "noop").await;
    let mut ids = Vec::new();
    for (service, ..) in TOO_MUCH {
        ids.push(http.create("flood", service, "").await);
    }
    // Meanwhile others go their way.
    for _ in 0..5 {
        let began = std::time::Instant::now();
        let other = http.create("noop", "run", "x").await;
        assert_eq!(http.until_ended(&other).await["state"], "completed");
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }
    for (id, (service, _, state, message)) in ids.iter().zip(TOO_MUCH) {
        let task = http.until_ended(id).await;
        assert_eq!(task["state"], state, "{service}: {task}");
        let told = task["errorMessage"].as_str().unwrap_or_default();
        assert!(told.contains(message), "{service}: {task}");
    }
    let log = http.get(&format!("/tasklane/v1/tasks/{}/logs?limit=1000", ids[1])).await.expect(200).text();
    assert!(log.len() < 1 << 20, "{} bytes of one line are kept", log.len());
    let work = kit.folder.path().join("data/work");
    tests::wait::until("nothing of it is left on the disk", || async {
        let left = bytes_below(&work);
        if left < 1 << 20 { Ok(()) } else { Err(left) }
    })
    .await;
    kit.stop().await;
}
