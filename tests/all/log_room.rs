//! What is kept of logs: no tenant's lines push out those of another, old ones go, and whoever asks for a line that
//! is not there any more is told so.

use broker::Bucket;
use serde_json::Value;
use tests::Kit;
use tests::accounts::{tenant, user};
use tests::apps::shell_app;
use tests::http::Http;
use tests::wait::until;
use wire::Function;
use wire::records::LogCut;
use wire::topology::{LOG_CUTS, Sizes, log_bytes};

const SCOPES: [&str; 4] = ["Tasks", "Session", "Jobs", "Admin"];
const TALK: &str = "for i in 1 2 3; do echo line $i >&2; done";
/// A hundred thousand lines of a hundred bytes, hardly faster than they are taken.
const FLOOD: &str =
    "for i in $(seq 0 49); do seq -f %099.0f $((i * 2000 + 1)) $((i * 2000 + 2000)) >&2; sleep 0.05; done";

async fn run(http: &Http, app: &str, service: &str) -> String {
    let id = http.create(app, service, "").await;
    assert_eq!(http.until_ended(&id).await["state"], "completed");
    id
}

async fn page(http: &Http, id: &str) -> Value {
    http.get(&format!("/tasklane/v1/tasks/{id}/logs?limit=1000")).await.expect(200).json()
}

fn texts(page: &Value) -> Vec<&str> {
    page["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_loud_tenant_makes_room_for_itself_alone_and_is_told_so() {
    let sizes = Sizes { storage_bytes: 128 << 20, log_tenant_percent: 20, ..Sizes::default() };
    let kit = Kit::start_with(|options| options.settings.sizes = sizes).await;
    let loud = &kit.http;
    tenant(loud, "calm").await;
    let calm = user(loud, "calm", "carl", &SCOPES).await;
    for http in [loud, &calm] {
        shell_app(http, "talk", &[("talk", TALK), ("flood", FLOOD)]).await;
    }
    let (said, oldest) = (run(&calm, "talk", "talk").await, run(loud, "talk", "talk").await);

    // Far more than its share, and more than the whole store.
    let cuts = Bucket::<LogCut>::new(&kit.stack.connect(Function::Logs).await.unwrap(), LOG_CUTS);
    let (mut floods, mut given_up) = (Vec::new(), LogCut::default());
    while given_up.bytes < log_bytes(sizes) {
        floods.push(run(loud, "talk", "flood").await);
        given_up = cuts.get("demo").await.unwrap().map(|(_, cut)| cut).unwrap_or_default();
        assert!(floods.len() < 60, "the loud tenant never gives anything up: {given_up:?}");
    }
    assert!(given_up.batches > 0, "{given_up:?}");

    let kept = page(&calm, &said).await;
    assert_eq!(texts(&kept), ["line 1", "line 2", "line 3"], "{kept}");
    assert_eq!((&kept["dropped"], &kept["made_room"]), (&Value::from(0), &Value::Null));

    // What of the loud one is left is the newest, and what is missing is counted.
    let last = floods.last().unwrap();
    let text = loud.get(&format!("/pro-api/v2/tasks/{last}/logs/download")).await.expect(200).text();
    let end: Vec<&str> = text.lines().rev().take(2).collect();
    assert!(end.iter().any(|line| line.ends_with("00100000")), "{end:?}");
    until("the oldest log of the loud one is known to be gone", || async {
        let gone = page(loud, &oldest).await;
        if texts(&gone).is_empty() && gone["made_room"].is_string() { Ok(()) } else { Err(gone) }
    })
    .await;
    let text = loud.get(&format!("/pro-api/v2/tasks/{oldest}/logs/download")).await.expect(200).text();
    assert!(text.starts_with("(what was written before ") && text.lines().count() == 1, "{text}");
    let mut is_cut = false;
    for flood in floods.iter().rev() {
        let text = loud.get(&format!("/pro-api/v2/tasks/{flood}/logs/download")).await.expect(200).text();
        is_cut |= text.trim_end().ends_with("they came too fast, or made room for newer ones)");
    }
    assert!(is_cut, "one of them was cut in its middle, and says how many lines are missing");
    kit.stop().await;
}

#[tokio::test]
async fn lines_that_are_old_go_and_those_that_follow_keep_their_numbers() {
    let sizes = Sizes { log_age_seconds: 3, ..Sizes::default() };
    let kit = Kit::start_with(|options| options.settings.sizes = sizes).await;
    let go = kit.folder.path().join("go");
    let script = format!(
        "echo one >&2; echo two >&2; while [ ! -e {0} ]; do sleep 0.05; done; echo three >&2; sleep 600",
        go.display()
    );
    shell_app(&kit.http, "talk", &[("run", &script)]).await;
    let id = kit.http.create("talk", "run", "").await;
    until("the first lines are there", || async {
        let page = page(&kit.http, &id).await;
        if texts(&page) == ["one", "two"] { Ok(()) } else { Err(page) }
    })
    .await;
    until("they have gone", || async {
        let page = page(&kit.http, &id).await;
        if texts(&page).is_empty() { Ok(()) } else { Err(page) }
    })
    .await;
    std::fs::write(&go, "").unwrap();
    let after = until("the next line is there", || async {
        let page = page(&kit.http, &id).await;
        if texts(&page) == ["three"] { Ok(page) } else { Err(page) }
    })
    .await;
    assert_eq!((&after["next"], &after["dropped"]), (&Value::from(3), &Value::from(2)), "{after}");
    kit.stop().await;
}
