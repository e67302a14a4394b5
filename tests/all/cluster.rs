//! A cluster of three brokers from broker-config/, every function on it, and one node that dies under a task.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use async_nats::ConnectOptions;
use cli::arguments::stack::ProgramCreate;
use cli::stack::files::Files;
use cli::stack::program::declare;
use domain::Scope;
use http::Method;
use nats_server::{Search, Server, ServerOptions};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::apps::shell_app;
use tests::door::outcome;
use tests::http::{Answer, Http};
use tests::process::Program;
use tests::wait::until;
use tokio::process::Command;
use wire::Function;

const NODES: usize = 3;
const STORAGE_MB: u64 = 512;
const PASSWORD: &str = "between-nodes";
/// Where `admin` leaves the first key, in the data folder.
const KEY_FILE: &str = "operator.key";

/// A loopback address of this test alone, since nodes have to know each other's ports before they listen, and
/// a port found free on 127.0.0.1 may be anybody's a moment later.
fn own_address() -> IpAddr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (a & 0x3f), b, c.max(2)).into()
}

/// So many different free ports of an address.
fn free_ports(address: IpAddr, count: usize) -> Vec<SocketAddr> {
    let held: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind((address, 0)).unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap()).collect()
}

struct Cluster {
    folder: TempDir,
    files: Files,
    nodes: Vec<Server>,
    urls: String,
    http: SocketAddr,
    /// The seed of a program that every node lets in.
    program: String,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data/tasklane");
        std::fs::create_dir_all(&data).unwrap();
        let files = Files::prepare(&data).unwrap();
        let order = ProgramCreate {
            tenant: "demo".to_owned(),
            user: "demo".to_owned(),
            name: "feeder".to_owned(),
            scopes: vec![Scope::Tasks, Scope::Admin],
            apps: Vec::new(),
            file: files.programs(),
        };
        let (_, program) = declare(&order).unwrap();
        let mut ports = free_ports(own_address(), 2 * NODES + 1);
        let http = ports.pop().unwrap();
        let (clients, routes) = ports.split_at(NODES);
        let nodes = (0..NODES).map(|number| node(&folder, &files, number, clients[number], routes)).collect();
        let urls: Vec<String> = clients.iter().map(|address| format!("nats://{address}")).collect();
        Self { folder, files, nodes, urls: urls.join(","), http, program }
    }

    /// `tasklane serve` as docs/operations.md has it.
    fn serve(&self, functions: &[Function]) -> Command {
        let mut command = Command::new(tests::program());
        command
            .arg("serve")
            .args(functions.iter().map(ToString::to_string))
            .env("TASKLANE_NATS_URL", &self.urls)
            .env("TASKLANE_REPLICAS", NODES.to_string())
            .env("TASKLANE_STORAGE_MB", STORAGE_MB.to_string())
            .env("TASKLANE_KEYS", self.files.keys())
            .env("TASKLANE_PEPPER", self.files.pepper())
            .env("TASKLANE_MASTER_KEY", self.files.master_key())
            .env("TASKLANE_WORK", self.files.work())
            .env("TASKLANE_HTTP", self.http.to_string())
            .env("TASKLANE_LOG", "error")
            .env("XDG_DATA_HOME", self.folder.path().join("data"))
            .kill_on_drop(true);
        command
    }

    /// Runs `provision` until it succeeds: it fails until the nodes have elected a leader.
    async fn provision(&self) {
        until("provision succeeds", || async {
            let done = self.serve(&[Function::Provision]).output().await.unwrap();
            if done.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&done.stderr).into_owned())
            }
        })
        .await;
    }
}

/// One node, from the files of broker-config/ and the variables that they name.
fn node(folder: &TempDir, files: &Files, number: usize, client: SocketAddr, routes: &[SocketAddr]) -> Server {
    let own = folder.path().join(format!("node{number}"));
    std::fs::create_dir_all(own.join("store")).unwrap();
    std::fs::copy(files.programs(), own.join("programs.conf")).unwrap();
    for file in ["cluster.conf", "server.conf", "permissions.conf"] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../broker-config").join(file);
        std::fs::copy(from, own.join(file)).unwrap();
    }
    let storage = STORAGE_MB * 1024 * 1024;
    let (_, mut environment) = files.broker_config(&client.to_string(), "always", storage, &[]).unwrap();
    let all: Vec<String> =
        routes.iter().map(|address| format!("\"nats://node:{PASSWORD}@{address}\"")).collect();
    let own_variables = [
        ("TASKLANE_SERVER_NAME", format!("node{number}")),
        ("TASKLANE_STORE", format!("\"{}\"", own.join("store").display())),
        ("TASKLANE_CLUSTER_LISTEN", format!("\"{}\"", routes[number])),
        ("TASKLANE_CLUSTER_PASSWORD", PASSWORD.to_owned()),
        ("TASKLANE_CLUSTER_ROUTES", format!("[{}]", all.join(", "))),
    ];
    environment.retain(|(name, _)| own_variables.iter().all(|(own, _)| name != own));
    environment.extend(own_variables.map(|(name, value)| (name.to_owned(), value)));
    let settings = tests::settings();
    let search = Search {
        explicit: settings.nats_server,
        path: Some(settings.path.into()),
        cache: settings.cache,
        python: vec!["python3".to_owned()],
        allow_fetch: true,
    };
    let options = ServerOptions {
        binary: nats_server::find(&search).unwrap().path,
        config: own.join("cluster.conf"),
        environment,
        log: own.join("nats.log"),
        ready_timeout: Duration::from_secs(60),
        own_process_group: false,
    };
    Server::start(options).unwrap()
}

#[tokio::test]
async fn a_task_ends_although_a_node_of_the_cluster_dies_under_it() {
    let mut cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    cluster.provision().await;
    let functions: Vec<Function> =
        Function::ALL.into_iter().filter(|function| *function != Function::Provision).collect();
    let _functions = Program::start(&mut cluster.serve(&functions));
    let key = until("the operator's first key", || async {
        std::fs::read_to_string(cluster.files.folder().join(KEY_FILE))
    })
    .await;
    let http = Http::new(&format!("http://{}", cluster.http), Some(key.trim()));
    until("every function answers", || async {
        let health = http.send(Method::GET, "/tasklane/v1/health", &[], "").await?.text();
        if health.contains("\"runners\":1") { Ok(()) } else { Err(health) }
    })
    .await;

    let gate = cluster.folder.path().join("gate");
    let script = format!("cat; echo waiting >&2; until [ -e '{}' ]; do sleep 0.05; done", gate.display());
    shell_app(&http, "echo", &[("run", &script)]).await;
    let id = http.create("echo", "run", "hello").await;
    http.until_state(&id, &["running"]).await;

    cluster.nodes[0].kill();
    std::fs::write(&gate, "").unwrap();
    let task = completed(&http, &id).await;
    assert_eq!(task["returnCode"], 0, "{task}");
    let response = answered(&http, Method::GET, &format!("/pro-api/v2/tasks/{id}/response"), "").await;
    assert_eq!(response.text(), "hello");

    // And the two that are left take new ones.
    let second = answered(&http, Method::POST, "/pro-api/v2/tasks/echo/run", "again").await.json();
    let second = second["id"].as_str().unwrap();
    completed(&http, second).await;

    // So does the NATS door, at whichever node a program is: the functions are at one of the two, or at both.
    for url in cluster.urls.split(',').skip(1) {
        let client = ConnectOptions::with_nkey(cluster.program.clone()).connect(url).await.unwrap();
        let ask = json!({ "id": second, "wait": 5 }).to_string();
        let task = until("a program is answered", || async {
            let answer = client.request("tasklane.v1.status", ask.clone().into()).await;
            outcome(&answer.map_err(|error| error.to_string())?).map_err(|refused| refused.text)
        })
        .await;
        assert_eq!(task["result"]["text"], "again", "{task}");
    }
}

/// The answer once it is 200. Until the two nodes that are left have elected leaders for every stream, which is
/// another moment for each, a call is answered with 503, or with 504 where nobody knows whether it was done.
/// Under its idempotency key it can be sent again.
async fn answered(http: &Http, method: Method, path: &str, body: &'static str) -> Answer {
    until(path, || async {
        let answer = http.send(method.clone(), path, &[("Idempotency-Key", "second")], body).await.unwrap();
        match answer.status.as_u16() {
            200 => Ok(answer),
            503 | 504 => Err(answer.text()),
            other => panic!("{path}: {other} {}", answer.text()),
        }
    })
    .await
}

/// The task, once it has completed.
async fn completed(http: &Http, id: &str) -> Value {
    let path = format!("/pro-api/v2/tasks/{id}");
    until(&format!("{path} completed"), || async {
        let task = answered(http, Method::GET, &path, "").await.json();
        if task["state"] == "completed" { Ok(task) } else { Err(task) }
    })
    .await
}
