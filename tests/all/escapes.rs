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
