//! A look at topics from outside, with a broker user of a tenant and not as a function.

use async_nats::{ConnectOptions, Event, ServerAddr, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{SelectAll, select_all};

/// The records of some topics from now on. Those that come faster than they are taken are dropped: this is no reader
/// that anybody waits for.
pub struct Look {
    records: SelectAll<Subscriber>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic on which it was told.
    pub topic: String,
    /// The record itself.
    pub payload: Bytes,
}

impl Look {
    /// Connects with the user that the address names. What the broker refuses later, such as a topic of another
    /// tenant, is handed to `refused`.
    pub async fn at<F>(nats: &str, topics: &[String], refused: F) -> Result<Self, String>
    where
        F: Fn(String) + Clone + Send + Sync + 'static,
    {
        let address: ServerAddr =
            nats.parse().map_err(|error| format!("the address can't be used: {error}"))?;
        let options = match (address.username(), address.password()) {
            (Some(user), Some(password)) => {
                ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
            }
            (None, _) | (_, None) => ConnectOptions::new(),
        };
        let options = options.name("tasklane-look").event_callback(move |event| {
            let refused = refused.clone();
            async move {
                if let Event::ServerError(error) = event {
                    refused(error.to_string());
                }
            }
        });
        let client = options.connect(address).await.map_err(|error| error.to_string())?;
        let mut ends = Vec::new();
        for topic in topics {
            ends.push(client.subscribe(topic.clone()).await.map_err(|error| error.to_string())?);
        }
        client.flush().await.map_err(|error| error.to_string())?;
        Ok(Self { records: select_all(ends) })
    }

    /// The next record. `None` once the connection is closed for good.
    pub async fn next(&mut self) -> Option<Record> {
        let message = self.records.next().await?;
        Some(Record { topic: message.subject.to_string(), payload: message.payload })
    }
}
