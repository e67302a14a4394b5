//! A program of the demo tenant that writes and reads topics, with the broker user that `dev` shows.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Subscriber};
use futures_util::StreamExt;

use crate::Kit;
use crate::wait::PATIENCE;

/// The program's connection.
#[derive(Clone)]
pub struct Topics {
    client: Client,
}

/// What is told on a topic.
pub struct Listener {
    messages: Subscriber,
}

impl Topics {
    /// Connects to a kit's broker.
    pub async fn of(kit: &Kit) -> Self {
        let password = kit.stack.files.demo_user().unwrap().password;
        Self::connect(&kit.stack.settings.nats_url, &password).await
    }

    /// Connects with the demo user's password.
    pub async fn connect(url: &str, password: &str) -> Self {
        let options = ConnectOptions::with_user_and_password("demo".to_owned(), password.to_owned());
        // What is asked while the broker is away gets no answer; whoever asks has to hear so.
        let options = options.subscription_capacity(2_000_000).request_timeout(Some(Duration::from_secs(1)));
        Self { client: options.connect(url).await.expect("the demo user is let in") }
    }

    /// Listens to a topic from now on.
    pub async fn listen(&self, topic: &str) -> Listener {
        let messages = self.client.subscribe(topic.to_owned()).await.unwrap();
        self.client.flush().await.unwrap();
        Listener { messages }
    }

    /// Publishes records and waits until the broker has them.
    pub async fn publish(&self, topic: &str, records: impl IntoIterator<Item = String>) {
        for record in records {
            self.client.publish(topic.to_owned(), record.into()).await.unwrap();
        }
        self.client.flush().await.unwrap();
    }

    /// Publishes one record with a key.
    pub async fn publish_with_key(&self, topic: &str, key: &str, record: String) {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Tasklane-Key", key);
        self.client.publish_with_headers(topic.to_owned(), headers, record.into()).await.unwrap();
    }

    /// Publishes one record and waits until its topic has stored it; an error where nothing stores it.
    pub async fn store(&self, topic: &str, record: String) -> Result<(), String> {
        let answer = self.client.request(topic.to_owned(), record.into()).await.map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&answer.payload).into_owned();
        if text.contains("\"seq\"") { Ok(()) } else { Err(text) }
    }
}

impl Listener {
    /// The next record.
    pub async fn next(&mut self) -> String {
        let message = tokio::time::timeout(PATIENCE, self.messages.next()).await;
        let message = message.expect("a record comes").expect("the connection stands");
        String::from_utf8(message.payload.to_vec()).unwrap()
    }

    /// So many records.
    pub async fn take(&mut self, count: usize) -> Vec<String> {
        let mut records = Vec::with_capacity(count);
        while records.len() < count {
            records.push(self.next().await);
        }
        records
    }
}
