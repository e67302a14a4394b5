//! A program at the NATS door, with a broker user of its own, through the broker's plain client.

use async_nats::{Client, ConnectOptions, HeaderMap, Message, Subscriber};
use cli::arguments::stack::ProgramCreate;
use cli::stack::program::declare;
use domain::Scope;
use futures_util::StreamExt;
use serde_json::Value;
use wire::permissions::Permissions;

use crate::Kit;
use crate::wait::PATIENCE;

/// A program that is let in.
pub struct Program {
    /// Its connection.
    pub client: Client,
    /// Its seed.
    pub seed: String,
    /// What the broker's configuration lets it do.
    pub permissions: Permissions,
}

/// An answer that is an error: the number and the text of its headers, and its JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// `Nats-Service-Error-Code`.
    pub status: u16,
    /// `Nats-Service-Error`.
    pub text: String,
    /// The body.
    pub body: Value,
}

impl Program {
    /// Declares a program as an operator does, lets the broker know it, and connects.
    pub async fn new(kit: &mut Kit, tenant: &str, user: &str, name: &str, scopes: &[Scope]) -> Self {
        Self::hearing(kit, tenant, user, name, scopes, &[]).await
    }

    /// The same for one that hears of the changes of some apps' tasks.
    pub async fn hearing(
        kit: &mut Kit,
        tenant: &str,
        user: &str,
        name: &str,
        scopes: &[Scope],
        apps: &[&str],
    ) -> Self {
        let order = ProgramCreate {
            tenant: tenant.to_owned(),
            user: user.to_owned(),
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            apps: apps.iter().map(|app| (*app).to_owned()).collect(),
            file: kit.stack.files.programs(),
        };
        let (declared, seed) = declare(&order).unwrap();
        kit.stack.keep_programs();
        let client = ConnectOptions::with_nkey(seed.clone()).connect(&kit.stack.settings.nats_url).await;
        let client = client.expect("a program is let in");
        Self { client, seed, permissions: declared.permissions() }
    }

    /// Asks with JSON.
    pub async fn ask(&self, word: &str, request: Value) -> Result<Value, Refusal> {
        self.ask_raw(word, request.to_string().into_bytes()).await
    }

    /// Asks with any bytes.
    pub async fn ask_raw(&self, word: &str, request: Vec<u8>) -> Result<Value, Refusal> {
        let answer = self.client.request(format!("tasklane.v1.{word}"), request.into()).await;
        outcome(&answer.unwrap_or_else(|error| panic!("{word}: {error}")))
    }
}

/// The demo user of a kit's stack, which asks from within the functions' account.
pub async fn demo(kit: &Kit) -> Program {
    let password = kit.stack.files.demo_user().unwrap().password;
    let options = ConnectOptions::with_user_and_password("demo".to_owned(), password);
    let client = options.connect(&kit.stack.settings.nats_url).await.unwrap();
    Program { client, seed: String::new(), permissions: Permissions::default() }
}

impl Program {
    /// Hands a create in and goes; gives what the broker acknowledges.
    pub async fn submit(&self, id: Option<&str>, submission: impl Into<Vec<u8>>) -> Value {
        let mut headers = HeaderMap::new();
        if let Some(id) = id {
            headers.insert("Nats-Msg-Id", id);
        }
        let sent = self.client.request_with_headers("tasklane.v1.submit", headers, submission.into().into());
        serde_json::from_slice(&sent.await.unwrap().payload).unwrap()
    }

    /// Begins to hear what comes on a subject.
    pub async fn hear(&self, subject: &str) -> Subscriber {
        let heard = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.client.flush().await.unwrap();
        heard
    }
}

/// The next message as JSON, with its subject.
pub async fn next(heard: &mut Subscriber) -> (String, Value) {
    let message = tokio::time::timeout(PATIENCE, heard.next()).await.expect("a message comes").unwrap();
    (message.subject.to_string(), serde_json::from_slice(&message.payload).unwrap())
}

/// What an answer says.
pub fn outcome(answer: &Message) -> Result<Value, Refusal> {
    let body: Value = serde_json::from_slice(&answer.payload).expect("an answer is JSON");
    let header =
        |name: &str| answer.headers.as_ref().and_then(|headers| headers.get(name)).map(ToString::to_string);
    match header("Nats-Service-Error-Code") {
        None => Ok(body),
        Some(code) => {
            Err(Refusal { status: code.parse().unwrap(), text: header("Nats-Service-Error").unwrap(), body })
        }
    }
}
