//! Who may do what at the NATS door: a row for every word that a function answers.

use async_nats::connection::State;
use domain::Scope;
use serde_json::{Value, json};
use tests::Kit;
use tests::accounts::{grant, tenant};
use tests::apps::noop_app;
use tests::door::{Program, demo, outcome};
use tests::process::Dev;
use tests::wait::until;
use wire::Function;
use wire::door::words;

/// What programs get who are let in, and are not allowed all the same. 200 is an answer without an error.
struct Row {
    word: &'static str,
    request: Value,
    /// A user whose right on the app is read alone.
    read_only: u16,
    /// A user without any right on the app.
    no_rights: u16,
    /// An Admin of another tenant.
    stranger: u16,
}

/// One row per word. A word without one fails the test, so nobody can add one without deciding this.
fn row(word: &'static str, task: &str) -> Option<Row> {
    let of =
        |request, read_only, no_rights, stranger| Some(Row { word, request, read_only, no_rights, stranger });
    match word {
        "create" => of(json!({ "app": "guarded", "service": "run" }), 403, 403, 404),
        "status" | "logs" | "response" => of(json!({ "id": task }), 200, 404, 404),
        "interrupt" | "delete" => of(json!({ "id": task }), 403, 404, 404),
        // Everybody has a list and letters; what is in them is checked apart.
        "list" => of(json!({ "all": true }), 200, 200, 200),
        "dead_letters" => of(json!({}), 200, 200, 200),
        _ => None,
    }
}

#[tokio::test]
async fn every_word_does_for_a_program_what_its_user_may() {
    let mut kit = Kit::start().await;
    tenant(&kit.http, "other").await;
    noop_app(&kit.http, "guarded").await;
    let task = kit.http.create("guarded", "run", "{}").await;
    kit.http.until_ended(&task).await;
    grant(&kit.http, "guarded", "reader", "read").await;
    let tasks = [Scope::Tasks];
    let reader = Program::new(&mut kit, "demo", "reader", "reader", &tasks).await;
    let nobody = Program::new(&mut kit, "demo", "nobody", "nobody", &tasks).await;
    let stranger = Program::new(&mut kit, "other", "demo", "stranger", &[Scope::Tasks, Scope::Admin]).await;
    let admin = demo(&kit).await;
    admin.submit(None, "no JSON").await;
    until("the dead letter of the Admin", || async {
        let page = admin.ask("dead_letters", json!({})).await.unwrap();
        if page["letters"][0].is_object() { Ok(()) } else { Err(page) }
    })
    .await;
    until("the grant acts", || async { reader.ask("status", json!({ "id": task })).await.map(|_| ()) }).await;

    let mut wrong = Vec::new();
    for word in Function::ALL.into_iter().flat_map(|function| words(function).iter().copied()) {
        let row = row(word, &task).unwrap_or_else(|| panic!("{word} has no row in this test: add one"));
        for (who, program, expected) in [
            ("reader", &reader, row.read_only),
            ("nobody", &nobody, row.no_rights),
            ("stranger", &stranger, row.stranger),
        ] {
            let outcome = program.ask(row.word, row.request.clone()).await;
            let status = outcome.as_ref().map_or_else(|refused| refused.status, |_| 200);
            if status != expected {
                wrong.push(format!("{who}: {word} is {status} instead of {expected}: {outcome:?}"));
            }
            // Another tenant can't be named, whoever it is.
            let mut named = row.request.clone();
            named["tenant"] = json!(if who == "stranger" { "demo" } else { "other" });
            let refused = program.ask(word, named).await.expect_err(who);
            if refused.status != 404 {
                wrong.push(format!("{who}: {word} for another tenant: {refused:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    for (who, program, seen) in [("reader", &reader, 1), ("nobody", &nobody, 0), ("stranger", &stranger, 0)] {
        let list = program.ask("list", json!({ "all": true })).await.unwrap();
        assert_eq!(list["total"], seen, "{who}: {list}");
        let letters = program.ask("dead_letters", json!({})).await.unwrap();
        assert_eq!(letters["letters"], json!([]), "{who}");
    }
    assert_eq!(kit.http.task(&task).await["state"], "completed", "nothing of what was tried has happened");
    kit.stop().await;
}

#[tokio::test]
async fn a_program_that_is_taken_out_is_out_at_once_and_its_neighbours_stay() {
    let mut kit = Kit::start().await;
    let programs = kit.stack.files.programs();
    let stays = Program::new(&mut kit, "demo", "ann", "stays", &[Scope::Tasks]).await;
    let before = std::fs::read_to_string(&programs).unwrap();
    let goes = Program::new(&mut kit, "demo", "ann", "goes", &[Scope::Tasks]).await;
    goes.ask("list", json!({})).await.unwrap();

    std::fs::write(&programs, before).unwrap();
    kit.stack.keep_programs();
    until("the program is cut off", || async {
        let state = goes.client.connection_state();
        if state == State::Connected { Err(state) } else { Ok(()) }
    })
    .await;
    let url = kit.stack.settings.nats_url.clone();
    let again = async_nats::ConnectOptions::with_nkey(goes.seed.clone()).connect(&url).await;
    assert!(again.is_err(), "it was let in once more");
    stays.ask("list", json!({})).await.unwrap();

    // What the broker can't read changes nothing.
    std::fs::write(&programs, "\"demo.broken\" { users: [").unwrap();
    kit.stack.keep_programs();
    stays.ask("list", json!({})).await.unwrap();
    kit.http.get("/pro-api/v2/tasks").await.expect(200);
    kit.stop().await;
}

#[tokio::test]
async fn dev_lets_a_program_in_that_the_command_line_declares() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let dev = Dev::start(&data, &[]).await;
    let declare = |name: &str, more: &[&str]| {
        let mut command = std::process::Command::new(tests::program());
        command.args(["program", "create", "--json", "--tenant", "demo", "--user", "ann", "--name", name]);
        command.arg("--file").arg(data.join("broker/programs.conf")).args(more);
        command.output().expect("the program runs")
    };
    let declared = declare("feeder", &["--scope", "Tasks,Admin"]);
    let declared: Value = serde_json::from_slice(&declared.stdout).unwrap();
    let (_, address) = dev.ready["nats"].as_str().unwrap().rsplit_once('@').unwrap();
    let list = until("the program is let in", || async {
        let seed = declared["seed"].as_str().unwrap().to_owned();
        let client = async_nats::ConnectOptions::with_nkey(seed).connect(address).await;
        let client = client.map_err(|error| error.to_string())?;
        let answer =
            client.request("tasklane.v1.list", "{}".into()).await.map_err(|error| error.to_string())?;
        outcome(&answer).map_err(|refused| refused.text)
    })
    .await;
    assert_eq!(list["total"], 0, "{list}");
    for (name, more) in [("feeder", &[][..]), ("other", &["--scope", "Jobs"]), ("a.b", &[])] {
        let refused = declare(name, more);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{name}");
    }
}
