//! The program as a user calls it: tables for people, JSON for programs, exit codes, and messages that say
//! what to do next.

use std::process::{Output, Stdio};

use serde_json::Value;
use tests::Kit;
use tests::apps::noop_app;
use tokio::process::Command;

/// What a call came to.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }

    /// It failed, and says what is wrong on the standard error alone.
    fn failed(self, words: &[&str]) -> Self {
        assert_ne!(self.code, 0, "{}", self.out);
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in: {}", self.err);
        }
        assert!(!self.err.contains("panicked") && self.out.is_empty(), "{}{}", self.out, self.err);
        self
    }
}

async fn tasklane(url: &str, key: Option<&str>, arguments: &[&str]) -> Said {
    let mut command = Command::new(tests::program());
    command.args(arguments).env("TASKLANE_URL", url).env_remove("TASKLANE_API_KEY").stdin(Stdio::null());
    if let Some(key) = key {
        command.env("TASKLANE_API_KEY", key);
    }
    let Output { status, stdout, stderr } = command.output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
}

#[tokio::test]
async fn an_operator_does_everything_from_the_command_line() {
    let kit = Kit::start().await;
    let (url, demo) = (kit.http.url().to_owned(), kit.http.key().unwrap().to_owned());
    let run = |arguments: &'static [&'static str]| tasklane(&url, Some(&demo), arguments);
    run(&["tenant", "create", "acme"]).await.ok();
    run(&["tenant", "create", "acme"]).await.failed(&["acme", "exists"]);
    assert!(run(&["tenant", "list"]).await.ok().out.contains("acme"));

    let made = run(&[
        "key", "create", "--tenant", "acme", "--user", "root", "--scope", "Admin", "--scope", "Tasks",
        "--json",
    ])
    .await
    .ok()
    .json();
    let (admin, id) =
        (made["api_key"].as_str().unwrap().to_owned(), made["key_id"].as_str().unwrap().to_owned());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("app.toml"),
        "name = \"echo\"\nversion = \"1.0\"\nruntime = \"command\"\n[services.run]\ncommand = [\"sh\", \"run.sh\"]\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("run.sh"), "echo busy >&2; cat").unwrap();
    let path = folder.path().to_str().unwrap();
    let acme = async |arguments: &[&str]| tasklane(&url, Some(&admin), arguments).await;
    acme(&["app", "publish", path, "--latest"]).await.ok();
    let apps = acme(&["app", "list", "--json"]).await.ok().json();
    assert_eq!(apps["apps"][0]["name"], "echo", "{apps}");
    acme(&["grant", "--app", "echo", "--user", "ann", "--rights", "read,execute"]).await.ok();

    let task = acme(&["task", "submit", "echo", "run", "--input", "hello", "--json"]).await.ok().json();
    let task = task["id"].as_str().unwrap().to_owned();
    acme(&["task", "watch", &task]).await.ok();
    let shown = acme(&["task", "get", &task, "--json"]).await.ok().json();
    assert_eq!(shown["state"], "completed", "{shown}");
    assert!(acme(&["task", "get", &task]).await.ok().out.contains("completed"));
    assert_eq!(acme(&["task", "response", &task]).await.ok().out, "hello");
    assert!(acme(&["task", "logs", &task]).await.ok().out.contains("busy"));
    assert!(acme(&["task", "list"]).await.ok().out.contains(&task));
    assert!(
        acme(&["task", "submit", "echo", "run", "--input", "again", "--wait"])
            .await
            .ok()
            .out
            .contains("again")
    );
    acme(&["task", "delete", &task]).await.ok();
    acme(&["task", "get", &task]).await.failed(&[&task, "does not exist"]);

    let set = acme(&["lane", "set", "tasks.acme", "--max-running", "0"]).await.ok().out;
    assert!(set.contains("tasks.acme") && !set.contains('?'), "how full the lane is is known: {set}");
    acme(&["lane", "set", "tasks.demo", "--max-running", "0"]).await.failed(&["tasks.demo"]);
    let lanes = acme(&["lane", "list", "--json"]).await.ok().json();
    assert_eq!(lanes["lanes"][0]["limits"]["max_running"], 0, "{lanes}");
    assert!(acme(&["lane", "list"]).await.ok().out.contains("tasks.acme"));
    let waits = acme(&["task", "submit", "echo", "run", "--json"]).await.ok().json();
    let waits = waits["id"].as_str().unwrap().to_owned();
    tests::wait::until("the reason is shown", || async {
        let shown = acme(&["task", "get", &waits]).await.ok().out;
        if shown.contains("position 1 in lane tasks.acme") { Ok(()) } else { Err(shown) }
    })
    .await;

    run(&["doctor"]).await.ok();
    assert!(run(&["doctor", "--json"]).await.ok().json().is_object());
    run(&["lane", "set", "tasks.acme", "--max-running", "1"]).await.ok();
    assert!(run(&["key", "list", "--tenant", "acme"]).await.ok().out.contains(&id));
    tasklane(&url, Some(&demo), &["key", "revoke", &id]).await.ok();
    tests::wait::within(tests::accounts::EFFECTIVE, "the key is revoked", || async {
        let said = acme(&["task", "list"]).await;
        if said.code != 0 && said.err.contains("revoked") { Ok(()) } else { Err(said.out) }
    })
    .await;
    kit.stop().await;
}

#[tokio::test]
async fn sessions_are_listed_read_and_ended_from_the_command_line() {
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    tests::apps::shell_app(&kit.http, "echo", &[("run", "echo busy >&2"), ("sleep", "sleep 600")]).await;
    let (url, key) = (kit.http.url().to_owned(), kit.http.key().unwrap().to_owned());
    let run = async |arguments: &[&str]| tasklane(&url, Some(&key), arguments).await;
    let task = kit.http.create("echo", "run", "").await;
    let ended = kit.http.until_ended(&task).await["sessionId"].as_str().unwrap().to_owned();
    let shown = run(&["session", "get", &ended, "--json"]).await.ok().json();
    assert_eq!((&shown["state"], &shown["kind"]), (&"finished".into(), &"task".into()), "{shown}");
    assert!(run(&["session", "logs", &ended]).await.ok().out.contains("busy"));
    assert!(!run(&["session", "logs", &ended, "--contains", "lazy"]).await.ok().out.contains("busy"));
    assert!(run(&["session", "list", "--all"]).await.ok().out.contains(&ended));
    run(&["session", "terminate", &ended]).await.failed(&["has ended already"]);

    let task = kit.http.create("echo", "sleep", "").await;
    let live = kit.http.until_state(&task, &["running"]).await["sessionId"].as_str().unwrap().to_owned();
    tests::wait::until("it is listed", || async {
        let said = run(&["session", "list"]).await.ok().out;
        if said.contains(&live) { Ok(()) } else { Err(said) }
    })
    .await;
    assert!(run(&["session", "terminate", &live]).await.ok().out.contains("terminated by user demo"));
    assert_eq!(kit.http.task(&task).await["state"], "failed");
    kit.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    noop_app(&kit.http, "n").await;
    let (url, key) = (kit.http.url().to_owned(), kit.http.key().unwrap().to_owned());
    let run = |arguments: &'static [&'static str]| tasklane(&url, Some(&key), arguments);
    tasklane(&url, None, &["task", "list"]).await.failed(&["TASKLANE_API_KEY"]);
    tasklane(&url, Some("tl1_wrong"), &["task", "list"]).await.failed(&["not valid"]);
    tasklane("http://127.0.0.1:1", Some(&key), &["task", "list"]).await.failed(&["127.0.0.1:1"]);
    tasklane("nonsense", Some(&key), &["task", "list"]).await.failed(&["nonsense"]);
    run(&["task", "submit", "nobody", "run"]).await.failed(&["App nobody with latest tag doesn't exist"]);
    run(&["task", "submit", "n", "walk"]).await.failed(&["walk", "run"]);
    run(&["task", "get", "1"]).await.failed(&["1"]);
    run(&["key", "create", "--tenant", "demo", "--user", "a", "--scope", "All"])
        .await
        .failed(&["All", "Tasks"]);
    run(&["grant", "--app", "n", "--user", "a", "--rights", "fly"]).await.failed(&["fly", "execute"]);
    run(&["lane", "set", "tasks.demo"]).await.failed(&["--max-running"]);
    run(&["app", "publish", "/nonexistent"]).await.failed(&["/nonexistent"]);
    let said = run(&["task", "submit", "nobody", "run", "--json"]).await;
    let error: Value = serde_json::from_str(&said.err).unwrap_or_else(|e| panic!("{e}: {}", said.err));
    assert!(said.code != 0 && error.to_string().contains("nobody"), "{error}");
    kit.stop().await;
}

#[tokio::test]
async fn a_wrong_setting_ends_the_program_by_name_before_anything_is_bound() {
    // The port is taken, so a program that got as far as binding would say so instead.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (name, value) in
        [("TASKLANE_SLOTS", "many"), ("TASKLANE_DURABILITY", "sometimes"), ("TASKLANE_REPLICAS", "-1")]
    {
        for arguments in [vec!["dev", "--http", &address], vec!["serve", "create"]] {
            let mut command = Command::new(tests::program());
            let said = command.args(&arguments).env(name, value).stdin(Stdio::null()).output().await.unwrap();
            let err = String::from_utf8(said.stderr).unwrap();
            assert!(!said.status.success() && said.stdout.is_empty(), "{name}: {err}");
            assert!(err.contains(name) && err.contains(value) && !err.contains(&address), "{name}: {err}");
        }
    }
}
