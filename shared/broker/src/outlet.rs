//! Hands records on to a stream, many under way at once, and waits until the broker has all of them.

use std::time::Duration;

use async_nats::Subscriber;
use bytes::Bytes;
use futures_util::StreamExt;

use crate::connect::Broker;
use crate::write::{REQUEST_SECONDS, WriteError, acknowledged};

/// Where one writer's records go.
pub struct Outlet {
    broker: Broker,
    subject: String,
    inbox: String,
    receipts: Subscriber,
    sent: u64,
}

impl Outlet {
    /// An outlet to this subject.
    pub async fn open(broker: &Broker, subject: String) -> Result<Self, WriteError> {
        let inbox = broker.client.new_inbox();
        let receipts = broker.client.subscribe(format!("{inbox}.*")).await.map_err(unknown)?;
        Ok(Self { broker: broker.clone(), subject, inbox, receipts, sent: 0 })
    }

    /// Hands records on in their order, and returns once all of them are stored. After an error it is unknown
    /// which are; whoever sends all of them again repeats some.
    pub async fn hand_on(&mut self, records: &[Bytes]) -> Result<(), WriteError> {
        let first = self.sent;
        self.sent += records.len() as u64;
        for (number, record) in (first..).zip(records) {
            let reply = format!("{}.{number}", self.inbox);
            let sent = self.broker.client.publish_with_reply(self.subject.clone(), reply, record.clone());
            sent.await.map_err(unknown)?;
        }
        let mut missing = records.len();
        while missing > 0 {
            let receipt = tokio::time::timeout(Duration::from_secs(REQUEST_SECONDS), self.receipts.next());
            let receipt = receipt.await.map_err(|_| unknown("no answer in time"))?;
            let receipt = receipt.ok_or_else(|| unknown("the connection closed"))?;
            let number = receipt.subject.rsplit('.').next().and_then(|number| number.parse::<u64>().ok());
            // Those of an earlier attempt may still come.
            if number.is_none_or(|number| number < first) {
                continue;
            }
            if receipt.status.is_some() {
                return Err(unknown("nothing stores what is written to the topic"));
            }
            acknowledged(&receipt.payload)?;
            missing -= 1;
        }
        Ok(())
    }
}

fn unknown(error: impl std::fmt::Display) -> WriteError {
    WriteError::Unknown(error.to_string())
}
