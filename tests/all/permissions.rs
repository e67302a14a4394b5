//! What a function must not do is refused by the broker itself: for every function, everything that is not on
//! its allow-list is tried with its own user, and each attempt must come back as a permissions violation.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_nats::{Client, ConnectOptions, Event};
use domain::{Caller, RunnerId, Scope, TaskKey};
use futures_util::StreamExt;
use serde_json::json;
use tests::Kit;
use tests::apps::noop_app;
use tests::door::{Program, demo};
use tests::wait::until;
use wire::door::names;
use wire::permissions::{self, Permissions};
use wire::topology::{self, Kind, Sizes, Stream};
use wire::{Function, subjects};

/// The broker's client remembers 128 events that nobody has looked at; fewer are caused at once.
const ATTEMPTS_AT_ONCE: usize = 60;
const ID: &str = "efa680a0-748e-43d0-9099-cf40937b13f4";

#[tokio::test]
async fn whatever_is_not_on_a_functions_list_is_refused() {
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    let (publish, subscribe) = (publish_attempts(), subscribe_attempts());
    for function in Function::ALL {
        let list = permissions::of(function);
        let seed = kit.stack.settings.seed(function).unwrap();
        let intruder = Intruder::connect(&kit.stack.settings.nats_url, ConnectOptions::with_nkey(seed)).await;
        intruder.check(function.name(), &list, &publish, &subscribe).await;
    }
    kit.stop().await;
}

#[tokio::test]
async fn the_demo_user_reaches_nothing_but_its_tenants_subjects() {
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    let password = kit.stack.files.demo_user().unwrap().password;
    let own = |more: &[&str]| ["demo.>", "_INBOX.>"].iter().chain(more).map(|s| (*s).to_owned()).collect();
    let heard = ["tasklane.v1.event.demo.>", "tasklane.v1.dead.demo.*"];
    let list = Permissions { publish: own(&["tasklane.v1.*", "$SRV.>"]), subscribe: own(&heard) };
    let options = ConnectOptions::with_user_and_password("demo".to_owned(), password);
    let intruder = Intruder::connect(&kit.stack.settings.nats_url, options).await;
    intruder.check("the demo user", &list, &publish_attempts(), &subscribe_attempts()).await;
    kit.stop().await;
}

#[tokio::test]
async fn a_program_reaches_nothing_but_the_door() {
    let mut kit = Kit::start_with(|options| options.replicas = 1).await;
    noop_app(&kit.http, "noop").await;
    let program = Program::new(&mut kit, "demo", "ann", "curious", &[Scope::Tasks]).await;
    let url = kit.stack.settings.nats_url.clone();
    let intruder = Intruder::connect(&url, ConnectOptions::with_nkey(program.seed.clone())).await;
    let whose = [true, false].map(|admin| Caller { tenant: "demo".into(), user: "demo".into(), admin });
    let forged = whose.map(|caller| names::door_of(&caller).replace('*', "create"));
    let publish: Vec<String> = publish_attempts().into_iter().chain(forged).collect();
    intruder.check("a program", &program.permissions, &publish, &subscribe_attempts()).await;

    // Its inboxes are its own account's: the answers to others go elsewhere.
    let mut heard = program.client.subscribe("_INBOX.>").await.unwrap();
    program.client.flush().await.unwrap();
    let id = kit.http.create("noop", "run", "{}").await;
    demo(&kit).await.ask("status", json!({ "id": id, "wait": 30 })).await.unwrap();
    let neighbour = Program::new(&mut kit, "demo", "demo", "neighbour", &[Scope::Tasks, Scope::Admin]).await;
    neighbour.ask("status", json!({ "id": id })).await.unwrap();
    program.client.publish_with_reply("$SRV.PING.tasklane-create", "_INBOX.last", "".into()).await.unwrap();
    assert_eq!(heard.next().await.unwrap().subject.as_str(), "_INBOX.last");
    kit.stop().await;
}

#[tokio::test]
async fn nobody_is_let_in_without_a_user_of_the_broker() {
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    let url = &kit.stack.settings.nats_url;
    let stranger = nkeys_of_another_stack();
    for (who, options) in [
        ("no user", ConnectOptions::new()),
        ("an unknown key", ConnectOptions::with_nkey(stranger)),
        ("a wrong password", ConnectOptions::with_user_and_password("demo".into(), "demo".into())),
        ("an API key", ConnectOptions::with_token(kit.http.key().unwrap().to_owned())),
    ] {
        assert!(options.connect(url).await.is_err(), "{who} was let in");
    }
    kit.stop().await;
}

/// A well-formed seed that this broker has never heard of.
fn nkeys_of_another_stack() -> String {
    let folder = tempfile::tempdir().unwrap();
    cli::stack::files::Files::prepare(folder.path()).unwrap();
    std::fs::read_to_string(folder.path().join("keys/create.nk")).unwrap().trim().to_owned()
}

/// The lists themselves, said once more by hand: what would be wrong even if the broker did as the lists say.
#[test]
fn no_list_allows_what_its_function_has_no_business_with() {
    let task = subjects::bucket_key(topology::TASKS, &format!("demo.{ID}"));
    let key = subjects::bucket_key(topology::KEYS, "abc");
    let app = subjects::bucket_key(topology::APPS, "demo.x");
    for function in Function::ALL {
        let may = |subject: &str| allows(&permissions::of(function).publish, subject);
        use Function::{
            Admin, Amend, Create, Delete, Ingress, Interrupt, Provision, Report, Schedule, Topics,
        };
        let writes_tasks = matches!(function, Amend | Create | Delete | Interrupt | Report | Schedule);
        assert_eq!(may(&task), writes_tasks, "{function} writes tasks");
        assert_eq!(may(&key), function == Admin, "{function} writes keys");
        assert_eq!(may(&app), function == Admin, "{function} writes apps");
        let reads_keys = may("$JS.API.DIRECT.GET.KV_keys.$KV.keys.abc");
        assert_eq!(reads_keys, matches!(function, Admin | Ingress), "{function} reads keys");
        let makes_streams = matches!(function, Provision | Topics);
        assert_eq!(may("$JS.API.STREAM.CREATE.KV_tasks"), makes_streams, "{function} makes streams");
        assert_eq!(may("$JS.API.STREAM.UPDATE.KV_tasks"), function == Provision, "{function} alters streams");
        for verb in
            ["STREAM.DELETE", "STREAM.PURGE", "STREAM.MSG.DELETE", "STREAM.RESTORE", "STREAM.SNAPSHOT"]
        {
            assert!(!may(&format!("$JS.API.{verb}.KV_tasks")), "{function}: {verb}");
        }
    }
}

/// A client that remembers what the broker refused.
struct Intruder {
    client: Client,
    refused: Arc<Mutex<BTreeSet<String>>>,
}

impl Intruder {
    async fn connect(url: &str, options: ConnectOptions) -> Self {
        let refused: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let heard = Arc::clone(&refused);
        let options = options.event_callback(move |event| {
            if let Event::ServerError(error) = event {
                heard.lock().unwrap().insert(error.to_string().to_lowercase());
            }
            async {}
        });
        Self { client: options.connect(url).await.unwrap(), refused }
    }

    async fn check(&self, who: &str, list: &Permissions, publish: &[String], subscribe: &[String]) {
        let tries = |all: &[String], allowed: &[String]| -> Vec<String> {
            all.iter().filter(|subject| !allows(allowed, subject)).cloned().collect()
        };
        let publish = tries(publish, &list.publish);
        assert!(publish.len() > 100, "{who}: only {} attempts", publish.len());
        for some in publish.chunks(ATTEMPTS_AT_ONCE) {
            for subject in some {
                self.client.publish(subject.clone(), "{}".into()).await.unwrap();
            }
            self.all_refused(who, "publish to", some).await;
        }
        for some in tries(subscribe, &list.subscribe).chunks(ATTEMPTS_AT_ONCE) {
            let mut kept = Vec::new();
            for subject in some {
                kept.push(self.client.subscribe(subject.clone()).await.unwrap());
            }
            self.all_refused(who, "subscription to", some).await;
        }
    }

    async fn all_refused(&self, who: &str, what: &str, subjects: &[String]) {
        self.client.flush().await.unwrap();
        until(&format!("{who} is refused"), || async {
            let refused = self.refused.lock().unwrap();
            let is_refused = |subject: &&String| {
                let text = format!("permissions violation for {what} \"{}\"", subject.to_lowercase());
                refused.iter().any(|error| error.contains(&text))
            };
            let left: Vec<String> = subjects.iter().filter(|s| !is_refused(s)).cloned().collect();
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await;
    }
}

/// Whether one of the patterns covers a subject as the broker sees it: to its lists the `>` of a subscription
/// is one more token, so `a.*` lets `a.>` pass. Nothing of ours lies deeper than such a list reaches.
fn allows(patterns: &[String], subject: &str) -> bool {
    patterns.iter().any(|pattern| covers(pattern, subject))
}

fn covers(pattern: &str, subject: &str) -> bool {
    let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
    loop {
        match (pattern.next(), subject.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(wanted), Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
}

#[test]
fn patterns_cover_what_they_mean() {
    for (pattern, subject, expected) in [
        ("a.>", "a.b", true),
        ("a.>", "a.>", true),
        ("a.>", "a", false),
        ("a.*", "a.b", true),
        ("a.*", "a.*", true),
        ("a.*", "a.>", true),
        ("a.b", "a.*", false),
        ("a.*", "a.b.c", false),
    ] {
        assert_eq!(covers(pattern, subject), expected, "{pattern} {subject}");
    }
}

/// Every verb of JetStream on every stream, every subject of ours, every inbox, every bucket.
fn publish_attempts() -> Vec<String> {
    let mut all = vec!["$JS.API.INFO".to_owned(), "$JS.API.STREAM.NAMES".to_owned()];
    all.extend(
        ["$JS.API.STREAM.LIST", "$JS.API.ACCOUNT.PURGE.TASKLANE", "$SYS.REQ.SERVER.PING"].map(str::to_owned),
    );
    for stream in topology::streams(Sizes::default()) {
        all.extend(stream_attempts(&stream));
    }
    for function in Function::ALL {
        all.push(subjects::function(function));
        all.push(subjects::ping(function));
        all.push(format!("{}.stolen", subjects::inbox(function)));
        // Who could publish either would speak for whomever it names.
        for word in wire::door::words(function) {
            all.extend([names::public(word), format!("tasklane.door.demo.demo.admin.{word}")]);
        }
    }
    let others = [
        "$SRV.PING",
        "_R_.stolen",
        "tasklane.v1.submit",
        "tasklane.v1.event.demo.a.b",
        "tasklane.v1.dead.demo.a",
    ];
    all.extend(others.map(str::to_owned));
    let key = TaskKey::new("demo", ID.parse().unwrap());
    let runner = RunnerId(key.id.0);
    all.extend([
        subjects::runner(runner),
        subjects::beat(runner),
        subjects::progress(&key),
        subjects::logs(&key),
    ]);
    all.extend([subjects::LANE, "_INBOX.stolen", "other.topic", "tasklane", "a"].map(str::to_owned));
    all
}

fn stream_attempts(stream: &Stream) -> Vec<String> {
    const VERBS: [&str; 28] = [
        "STREAM.CREATE",
        "STREAM.UPDATE",
        "STREAM.DELETE",
        "STREAM.PURGE",
        "STREAM.INFO",
        "STREAM.MSG.GET",
        "STREAM.MSG.DELETE",
        "STREAM.SNAPSHOT",
        "STREAM.RESTORE",
        "STREAM.PEER.REMOVE",
        "STREAM.LEADER.STEPDOWN",
        "CONSUMER.CREATE",
        "CONSUMER.NAMES",
        "CONSUMER.LIST",
        "DIRECT.GET",
        "CONSUMER.CREATE.{}.c",
        "CONSUMER.DURABLE.CREATE.{}.c",
        "CONSUMER.INFO.{}.c",
        "CONSUMER.DELETE.{}.c",
        "CONSUMER.MSG.NEXT.{}.c",
        "CONSUMER.PAUSE.{}.c",
        "CONSUMER.RESET.{}.c",
        "CONSUMER.UNPIN.{}.c",
        "CONSUMER.LEADER.STEPDOWN.{}.c",
        "DIRECT.GET.{}.a.b",
        "CONSUMER.CREATE.{}.c.a.b",
        "META.LEADER.STEPDOWN",
        "SERVER.REMOVE",
    ];
    let name = stream.stream_name();
    let mut all: Vec<String> = VERBS
        .iter()
        .map(|verb| match verb.contains("{}") {
            true => format!("$JS.API.{}", verb.replace("{}", &name)),
            false => format!("$JS.API.{verb}.{name}"),
        })
        .collect();
    all.push(format!("$JS.ACK.{name}.c.1.1.1.1.1"));
    all.push(format!("$JS.FC.{name}.c.1"));
    all.extend(stream.subjects.iter().map(|subject| subject.replace('>', "demo.stolen")));
    if stream.kind == Kind::Bucket {
        all.push(subjects::bucket_key(&stream.name, "one"));
    }
    all
}

/// What listeners could want: everything, all answers of others, all writes, all calls.
fn subscribe_attempts() -> Vec<String> {
    let mut all: Vec<String> = [
        ">",
        "*",
        "*.>",
        "$JS.>",
        "$JS.API.>",
        "$JS.EVENT.>",
        "$KV.>",
        "$O.>",
        "$SYS.>",
        "$SRV.>",
        "_INBOX.>",
        "_INBOX.*",
        "tasklane.>",
        "tasklane.fn.*",
        "tasklane.door.>",
        "tasklane.v1.>",
        "tasklane.v1.event.>",
        "tasklane.v1.event.other.>",
        "tasklane.v1.event.demo.secret.*",
        "tasklane.v1.dead.*.*",
        "tasklane.v1.dead.demo.demo",
        "_R_.>",
        "tasklane.ping.*",
        "tasklane.lane",
        "tasklane.beat.>",
        "tasklane.runner.>",
        "tasklane.logs.>",
        "tasklane.progress.>",
        "other.>",
    ]
    .map(str::to_owned)
    .into();
    for stream in topology::streams(Sizes::default()) {
        all.extend(stream.subjects);
    }
    for function in Function::ALL {
        all.extend([subjects::function(function), subjects::ping(function)]);
        all.push(format!("{}.>", subjects::inbox(function)));
    }
    all
}
