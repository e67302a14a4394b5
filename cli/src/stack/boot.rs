//! A whole stack in one process: a child broker, and every function on a connection of its own. `dev`, `demo`
//! and `bench` run it, and so do the tests, which also stop and start single replicas.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use broker::{Broker, Near};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use nats_server::{DataLock, Server, ServerOptions};
use service::{CancellationToken, Context, Durability, RunError, Settings};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wire::Function;
use wire::calls::sessions::{SessionsReply, SessionsRequest};
use wire::permissions::ExtraUser;

use super::StackError;
use super::files::Files;

/// How often is looked whether the broker still runs.
pub const BROKER_LOOK: Duration = Duration::from_millis(200);

/// How a stack is to be.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Where everything is kept.
    pub data: PathBuf,
    /// Where HTTP listens; port 0 takes a free one.
    pub http: SocketAddr,
    /// Where the broker listens; port -1 takes a free one.
    pub broker_listen: String,
    /// How many of each function.
    pub replicas: usize,
    /// Whether the broker leaves our process group, so that Ctrl-C at a terminal reaches us alone.
    pub broker_apart: bool,
    /// The settings; those that name places in the data folder are overwritten.
    pub settings: Settings,
    /// Whether functions hand each other their calls in memory; else all go over the broker, as between machines.
    pub near: bool,
    /// Broker users beside those of the functions and of the demo tenant's programs.
    pub users: Vec<ExtraUser>,
}

/// A replica of a function that was started.
pub struct Replica {
    /// Which function.
    pub function: Function,
    broker: Broker,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// A running stack.
pub struct Stack {
    /// Where HTTP answers, as `http://127.0.0.1:8080`.
    pub url: String,
    /// The data folder.
    pub files: Files,
    /// The settings in force.
    pub settings: Arc<Settings>,
    /// The broker; `None` after it was stopped.
    pub server: Option<Server>,
    /// The replicas, in the order in which they were started.
    pub replicas: Vec<Replica>,
    /// The programs as the broker has been told of them.
    programs: String,
    near: Option<Near>,
    _lock: DataLock,
}

impl Stack {
    /// Starts the broker, provisions it, starts every function, and waits until all of them answer.
    pub async fn start(options: StackOptions) -> Result<Self, StackError> {
        let listener = TcpListener::bind(options.http).await.map_err(|e| {
            StackError::Text(format!(
                "{} can't be listened on: {e}; choose another with --http",
                options.http
            ))
        })?;
        let url = format!("http://{}", listener.local_addr().map_err(StackError::text)?);
        let began = tokio::task::spawn_blocking(move || start_broker(options)).await;
        let (options, lock, files, server) = began.map_err(StackError::text)??;
        let storage = files.storage_bytes(options.settings.sizes.storage_bytes)?;
        let programs = programs(&files);
        let mut settings = options.settings;
        settings.nats_url = server.url();
        settings.keys = files.keys();
        settings.pepper = files.pepper();
        settings.master_key = files.master_key();
        settings.work = files.work();
        settings.data = files.folder().to_owned();
        settings.sizes.storage_bytes = storage;
        let mut stack = Self {
            url,
            files,
            settings: Arc::new(settings),
            server: Some(server),
            replicas: Vec::new(),
            programs,
            near: options.near.then(Near::default),
            _lock: lock,
        };
        stack.provision().await?;
        let mut listener = Some(listener);
        for function in Function::ALL.into_iter().filter(|function| *function != Function::Provision) {
            for _ in 0..options.replicas {
                let replica =
                    stack.replica(function, listener.take_if(|_| function == Function::Ingress)).await?;
                stack.replicas.push(replica);
            }
        }
        stack.until_ready().await?;
        Ok(stack)
    }

    /// A connection of its own for one function.
    pub async fn connect(&self, function: Function) -> Result<Broker, StackError> {
        let broker = service::connect(&self.settings, function).await.map_err(StackError::text)?;
        Ok(match &self.near {
            Some(near) => broker.beside(near.clone()),
            None => broker,
        })
    }

    /// Runs `provision` once.
    pub async fn provision(&self) -> Result<(), StackError> {
        let broker = self.connect(Function::Provision).await?;
        let context =
            Context { broker, settings: Arc::clone(&self.settings), stop: CancellationToken::new() };
        provision::run(context).await.map_err(StackError::text)
    }

    /// Starts one more replica. An ingress without a listener takes a free port of this machine.
    pub async fn replica(
        &self,
        function: Function,
        listener: Option<TcpListener>,
    ) -> Result<Replica, StackError> {
        let listener = match (function, listener) {
            (Function::Ingress, None) => {
                Some(TcpListener::bind("127.0.0.1:0").await.map_err(StackError::text)?)
            }
            (_, listener) => listener,
        };
        let stop = CancellationToken::new();
        let broker = self.connect(function).await?;
        let context =
            Context { broker: broker.clone(), settings: Arc::clone(&self.settings), stop: stop.clone() };
        let running = match listener {
            Some(listener) => ingress::serve(context, listener).boxed(),
            None => run(function, context),
        };
        let task = tokio::spawn(async move {
            if let Err(error) = running.await {
                tracing::error!(%function, %error, "a function ended");
            }
        });
        Ok(Replica { function, broker, stop, task })
    }

    /// Waits until every function answers and a runner is up.
    pub async fn until_ready(&self) -> Result<(), StackError> {
        let broker = self.connect(Function::Ingress).await?;
        let expected: Vec<Function> =
            Function::ALL.into_iter().filter(|function| wire::permissions::answers(*function)).collect();
        let ready = async {
            for function in expected {
                while !broker.ping(function).await {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            let caller =
                domain::Caller { tenant: self.settings.operator.clone(), user: String::new(), admin: true };
            let ask = SessionsRequest::Live { caller };
            let has_runner = |reply| matches!(reply, SessionsReply::Live(live) if !live.runners.is_empty());
            while !broker.call(&ask).await.is_ok_and(has_runner) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let ready = tokio::time::timeout(Duration::from_secs(30), ready).await;
        ready.map_err(|_| StackError::Text("the functions did not come up within 30 s".to_owned()))
    }

    /// Starts the broker again, on its port and its store, if it has ended without being asked to. The
    /// functions hold on to what they have and connect again by themselves. Where it fails, the next call
    /// tries again.
    pub async fn keep_broker(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        if server.is_running() {
            self.server = Some(server);
            return;
        }
        tracing::error!("the broker ended by itself; starting it again");
        let restarted = tokio::task::spawn_blocking(move || {
            let restarted = server.restart();
            (server, restarted)
        });
        match restarted.await {
            Ok((server, restarted)) => {
                self.server = Some(server);
                if let Err(error) = restarted {
                    tracing::error!(%error, "the broker could not be started again");
                }
            }
            Err(error) => tracing::error!(%error, "the broker is lost"),
        }
    }

    /// Lets the broker know of programs that were added to its configuration or taken out of it. A file that it
    /// can't read leaves everything as it is.
    pub fn keep_programs(&mut self) {
        let now = programs(&self.files);
        if now == self.programs {
            return;
        }
        self.programs = now;
        let Some(server) = &self.server else { return };
        for _ in 0..RELOADS {
            if let Err(reason) = server.reload() {
                tracing::error!(reason, "the broker goes on with the programs that it knows");
                return;
            }
        }
    }

    /// The text of the demo tenant's first key.
    pub fn api_key(&self) -> Result<String, StackError> {
        self.first_key(admin::OPERATOR_KEY_FILE)
    }

    /// The demo tenant's first signing key.
    pub fn signing_secret(&self) -> Result<String, StackError> {
        self.first_key(admin::OPERATOR_SECRET_FILE)
    }

    fn first_key(&self, file: &str) -> Result<String, StackError> {
        let path = self.files.folder().join(file);
        let text = std::fs::read_to_string(&path).map_err(|e| StackError::file(&path, &e))?;
        Ok(text.trim().to_owned())
    }

    /// Stops everything in order: doors first, then what works behind them, the broker last. A signal to the
    /// whole process group ends the broker too early; it is started again, so that tasks can be given back.
    pub async fn stop(mut self) {
        while let Some(replica) = self.replicas.pop() {
            let mut stopping = std::pin::pin!(replica.stop());
            while tokio::time::timeout(BROKER_LOOK, stopping.as_mut()).await.is_err() {
                self.keep_broker().await;
            }
        }
        if let Some(server) = self.server.take() {
            let stopped = tokio::task::spawn_blocking(move || server.stop()).await;
            tracing::debug!(?stopped, "the broker ended");
        }
    }
}

impl Replica {
    /// Stops it in order, its connection last.
    pub async fn stop(self) {
        self.stop.cancel();
        // A replica that panicked has been reported by the runtime.
        let _ = self.task.await;
        self.broker.close().await;
    }

    /// Ends it in the middle of whatever it does, as a crash would. The connection goes with it, so that
    /// nothing that it had begun speaks to the broker any more.
    pub async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
        self.broker.close().await;
    }
}

/// How often the broker reads its configuration after a change: what a new account imports begins with the
/// second time (nats-server 2.15.1).
const RELOADS: usize = 2;

fn programs(files: &Files) -> String {
    std::fs::read_to_string(files.programs()).unwrap_or_default()
}

type Started = (StackOptions, DataLock, Files, Server);

fn start_broker(options: StackOptions) -> Result<Started, StackError> {
    std::fs::create_dir_all(&options.data).map_err(|e| StackError::file(&options.data, &e))?;
    let lock = DataLock::acquire(&options.data).map_err(StackError::text)?;
    // The broker and the keepers run elsewhere, so every path has to hold everywhere.
    let data = options.data.canonicalize().map_err(|e| StackError::file(&options.data, &e))?;
    let files = Files::prepare(&data)?;
    let storage = files.storage_bytes(options.settings.sizes.storage_bytes)?;
    let sync = options.settings.durability.sync_interval();
    let (config, environment) = files.broker_config(&options.broker_listen, sync, storage, &options.users)?;
    nats_server::end_orphan(&config).map_err(StackError::text)?;
    check_free(&options.broker_listen)?;
    let server = Server::start(ServerOptions {
        binary: super::find::broker_binary(&options.settings)?,
        config,
        environment,
        log: files.broker_log(),
        ready_timeout: Duration::from_secs(60),
        own_process_group: options.broker_apart,
    });
    Ok((options, lock, files, server.map_err(StackError::text)?))
}

/// Says in one sentence what the broker would say at the end of a long log. Port -1 takes a free one.
fn check_free(address: &str) -> Result<(), StackError> {
    if address.ends_with(":-1") {
        return Ok(());
    }
    let bound = std::net::TcpListener::bind(address);
    let refused =
        |e| format!("the broker can't listen on {address}: {e}; choose another address with --nats");
    bound.map(|_| ()).map_err(|e| StackError::Text(refused(e)))
}

/// Runs one function. The match is what makes a forgotten function a compile error.
pub fn run(function: Function, context: Context) -> BoxFuture<'static, Result<(), RunError>> {
    match function {
        Function::Provision => provision::run(context).boxed(),
        Function::Ingress => ingress::run(context).boxed(),
        Function::Create => create::run(context).boxed(),
        Function::Status => status::run(context).boxed(),
        Function::Interrupt => interrupt::run(context).boxed(),
        Function::Amend => amend::run(context).boxed(),
        Function::Delete => delete::run(context).boxed(),
        Function::Callbacks => callbacks::run(context).boxed(),
        Function::Schedule => schedule::run(context).boxed(),
        Function::Logs => logs::run(context).boxed(),
        Function::Sessions => sessions::run(context).boxed(),
        Function::Runner => runner::run(context).boxed(),
        Function::Report => report::run(context).boxed(),
        Function::Admin => admin::run(context).boxed(),
        Function::Topics => topics::run(context).boxed(),
    }
}

/// The class by the word of the command line.
pub fn durability(class: crate::arguments::stack::Durability) -> Durability {
    match class {
        crate::arguments::stack::Durability::Strict => Durability::Strict,
        crate::arguments::stack::Durability::Interval => Durability::Interval,
    }
}
