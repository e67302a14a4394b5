//! How the service is: whether the broker answers, which functions do, and how many runners live. Everybody
//! may ask, so the answer is found once a second at the most, and within two seconds.

use std::time::Duration;

use broker::{Broker, Bucket};
use dialects::Health;
use domain::Caller;
use futures_util::future::join_all;
use service::{Context, Settings};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use wire::calls::sessions::{SessionsReply, SessionsRequest};
use wire::records::ApiKey;
use wire::topology::KEYS;
use wire::{Function, permissions};

/// How long one question may take.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How old an answer may be.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// Finds out how the service is.
pub struct Checkup {
    broker: Broker,
    settings: Arc<Settings>,
    keys: Bucket<ApiKey>,
    last: Mutex<Option<(Instant, Health)>>,
}

impl Checkup {
    /// A checkup with nothing found yet.
    pub fn new(context: &Context) -> Self {
        Self {
            broker: context.broker.clone(),
            settings: Arc::clone(&context.settings),
            keys: Bucket::new(&context.broker, KEYS),
            last: Mutex::default(),
        }
    }

    /// How the service is, or was within the last second. Whoever asks meanwhile waits for the same answer.
    pub async fn health(&self) -> Health {
        let mut last = self.last.lock().await;
        if let Some((at, health)) = &*last
            && at.elapsed() < FRESH_FOR
        {
            return health.clone();
        }
        let health = self.look().await;
        *last = Some((Instant::now(), health.clone()));
        health
    }

    async fn look(&self) -> Health {
        let broker = self.broker.is_connected() && self.broker_answers().await;
        let (functions, runners) =
            if broker { tokio::join!(self.functions(), self.runners()) } else { (Vec::new(), 0) };
        Health {
            broker,
            durability: self.settings.durability.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            broker_version: self.broker.server_version(),
            functions,
            runners,
        }
    }

    /// A connection may stand for a while after its broker has hung, so the broker is asked something.
    async fn broker_answers(&self) -> bool {
        timeout(PATIENCE, self.keys.last_sequence()).await.is_ok_and(|answer| answer.is_ok())
    }

    async fn functions(&self) -> Vec<String> {
        let asked = Function::ALL.into_iter().filter(|function| permissions::answers(*function));
        let answers = asked.map(|function| async move { (function, self.broker.ping(function).await) });
        let answers = join_all(answers).await;
        answers.into_iter().filter(|(_, is_up)| *is_up).map(|(function, _)| function.to_string()).collect()
    }

    async fn runners(&self) -> u64 {
        let operator =
            Caller { tenant: self.settings.operator.clone(), user: "health".to_owned(), admin: true };
        let answer = timeout(PATIENCE, self.broker.call(&SessionsRequest::Live { caller: operator })).await;
        let Ok(Ok(SessionsReply::Live(live))) = answer else { return 0 };
        live.runners.len() as u64
    }
}
