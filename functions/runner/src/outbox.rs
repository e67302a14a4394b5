//! The way from this runner to `report`. What is to be said while calls are under way goes together in the next
//! one: a busy runner has much to say at once, and every call costs the broker two messages.

use std::sync::Arc;

use broker::Broker;
use domain::payload::{INLINE_BYTES_MAX, Place};
use domain::task::input::Report;
use tokio::sync::{Semaphore, mpsc, oneshot};
use wire::calls::Answer;
use wire::calls::report::Standing;
use wire::runner::{ClaimReport, ReportRequest};
use wire::{Code, Error};

/// Calls under way at once; only beyond them reports wait for each other.
const CALLS: usize = 4;
/// The most bytes of one call, well below what one message takes.
const CALL_BYTES_MAX: usize = 512 * 1024;
/// What a report takes beside its result, and the most that a byte of a result takes in JSON.
const REPORT_BYTES: usize = 1024;
const JSON_BYTES_PER_BYTE: usize = 6;

type Letter = (ClaimReport, oneshot::Sender<Result<Standing, Error>>);

/// Takes reports and tells what became of each.
#[derive(Clone)]
pub struct Outbox(mpsc::UnboundedSender<Letter>);

impl Outbox {
    /// Begins to carry.
    pub fn begin(broker: &Broker) -> Self {
        // Every claim has one report under way at most, so the places of the runner are the bound.
        let (letters, waiting) = mpsc::unbounded_channel();
        tokio::spawn(carry(broker.clone(), waiting));
        Self(letters)
    }

    /// Sends one report; what became of it.
    pub async fn send(&self, report: ClaimReport) -> Result<Standing, Error> {
        let (teller, told) = oneshot::channel();
        let lost = || Error::unavailable("the reports of this runner are not carried any more");
        self.0.send((report, teller)).map_err(|_| lost())?;
        told.await.map_err(|_| lost())?
    }
}

async fn carry(broker: Broker, mut waiting: mpsc::UnboundedReceiver<Letter>) {
    let calls = Arc::new(Semaphore::new(CALLS));
    let mut next = None;
    loop {
        let Ok(call) = Arc::clone(&calls).acquire_owned().await else { return };
        let first = match next.take() {
            Some(letter) => letter,
            None => match waiting.recv().await {
                Some(letter) => letter,
                None => return,
            },
        };
        let mut bytes = weight(&first);
        let mut letters = vec![first];
        while let Ok(letter) = waiting.try_recv() {
            bytes += weight(&letter);
            if bytes > CALL_BYTES_MAX {
                next = Some(letter);
                break;
            }
            letters.push(letter);
        }
        let broker = broker.clone();
        tokio::spawn(async move {
            deliver(&broker, letters).await;
            drop(call);
        });
    }
}

async fn deliver(broker: &Broker, letters: Vec<Letter>) {
    let (reports, tellers): (Vec<_>, Vec<_>) = letters.into_iter().unzip();
    let outcome = broker.call(&ReportRequest { reports }).await;
    let answers = match outcome {
        Ok(answers) if answers.len() == tellers.len() => answers,
        Ok(_) => {
            let error = Error::new(Code::Internal, "report answered another number of reports");
            vec![Answer::Err(error); tellers.len()]
        }
        Err(error) => vec![Answer::Err(error); tellers.len()],
    };
    for (teller, answer) in tellers.into_iter().zip(answers) {
        let outcome = match answer {
            Answer::Ok(standing) => Ok(standing),
            Answer::Err(error) => Err(error),
        };
        // A claim that was ended meanwhile needs no answer.
        let _ = teller.send(outcome);
    }
}

/// The most bytes that a report may take. Only the end of a task is looked at closely: others are few.
fn weight(letter: &Letter) -> usize {
    let inline = if let Report::Ended(ending) = &letter.0.report {
        ending.result.as_ref().map_or(0, |result| match &result.place {
            Place::Text(text) | Place::Base64(text) => text.len(),
            Place::Object(_) | Place::Empty => 0,
        })
    } else {
        INLINE_BYTES_MAX
    };
    REPORT_BYTES + inline * JSON_BYTES_PER_BYTE
}
