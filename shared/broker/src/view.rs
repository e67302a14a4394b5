//! A small bucket held in memory and kept up to date: reads cost nothing and are a moment old at the most.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use wire::Error;

use crate::bucket::Bucket;
use crate::feed::{Feed, News};

/// How long a view may be used without proof that it is up to date. Revocations act within this time.
const TRUSTED_FOR: Duration = Duration::from_secs(4);
/// How often the proof is sought.
const PROOF_EVERY: Duration = Duration::from_secs(1);

/// How long a view may take to catch up before those who ask for a proof read from the broker instead.
const CATCH_UP: Duration = Duration::from_millis(200);
/// How many are answered by one question.
const ASKERS_AT_ONCE: usize = 1024;

type Values<T> = Arc<RwLock<HashMap<String, Arc<T>>>>;

/// A bucket in memory.
pub struct View<T> {
    bucket: Bucket<T>,
    values: Values<T>,
    proven_at: watch::Receiver<Option<Instant>>,
    seen: watch::Receiver<u64>,
    /// Who asks for a proof, to be answered together.
    asking: mpsc::UnboundedSender<oneshot::Sender<bool>>,
}

impl<T> Clone for View<T> {
    fn clone(&self) -> Self {
        let Self { bucket, values, proven_at, seen, asking } = self;
        let (proven_at, seen) = (proven_at.clone(), seen.clone());
        Self { bucket: bucket.clone(), values: Arc::clone(values), proven_at, seen, asking: asking.clone() }
    }
}

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> View<T> {
    /// Begins to follow the bucket.
    pub fn follow(bucket: Bucket<T>) -> Self {
        let values: Values<T> = Arc::default();
        let (proof, proven_at) = watch::channel(None);
        let (latest, seen) = watch::channel(0);
        tokio::spawn(keep(bucket.clone(), Arc::clone(&values), proof, latest));
        let (asking, asked) = mpsc::unbounded_channel();
        tokio::spawn(prove(bucket.clone(), seen.clone(), asked));
        Self { bucket, values, proven_at, seen, asking }
    }

    /// The value under a key. What the view does not hold, or can't vouch for, is read from the broker.
    pub async fn get(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        if self.is_trusted()
            && let Some(value) = self.held(key)
        {
            return Ok(Some(value));
        }
        Ok(self.bucket.get(key).await?.map(|(_, value)| Arc::new(value)))
    }

    /// The value under a key, at most a few seconds old; that there is none may be as old as that, too.
    pub async fn recent(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        if self.is_trusted() { Ok(self.held(key)) } else { self.get(key).await }
    }

    /// Is told of each change that the view has seen.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.seen.clone()
    }

    fn is_trusted(&self) -> bool {
        self.proven_at.borrow().is_some_and(|at| at.elapsed() < TRUSTED_FOR)
    }

    /// The value under a key as it is now: whatever was written before this call is seen. All who ask at
    /// once share one question to the broker.
    pub async fn current(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        let (asking, proven) = oneshot::channel();
        if self.asking.send(asking).is_ok() && proven.await.unwrap_or(false) {
            return Ok(self.held(key));
        }
        Ok(self.bucket.get(key).await?.map(|(_, value)| Arc::new(value)))
    }

    /// Every value at this moment, once the view has caught up.
    pub async fn all(&self) -> Result<Vec<Arc<T>>, Error> {
        self.settled().await?;
        let values = self.values.read().map_err(|e| Error::internal(e.to_string()))?;
        Ok(values.values().cloned().collect())
    }

    /// The same, with every write that was acknowledged before this call.
    pub async fn all_fresh(&self) -> Result<Vec<Arc<T>>, Error> {
        let last = self.bucket.last_of_few().await?;
        let mut seen = self.seen.clone();
        let caught_up = async { seen.wait_for(|seen| *seen >= last).await.is_ok() };
        if !tokio::time::timeout(TRUSTED_FOR, caught_up).await.unwrap_or(false) {
            return Err(Error::unavailable("a bucket can't be followed"));
        }
        self.all().await
    }

    async fn settled(&self) -> Result<(), Error> {
        let mut proven = self.proven_at.clone();
        let asked = Instant::now();
        let fresh = proven.wait_for(|at| at.is_some_and(|at| at.elapsed() < TRUSTED_FOR || at >= asked));
        match tokio::time::timeout(TRUSTED_FOR, fresh).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Error::unavailable("a bucket can't be followed")),
        }
    }

    fn held(&self, key: &str) -> Option<Arc<T>> {
        self.values.read().ok()?.get(key).cloned()
    }
}

/// Answers those who ask whether the view holds everything that was written before they asked: one question to
/// the broker for all who wait, then as long as it takes the view to get there.
async fn prove<T>(
    bucket: Bucket<T>,
    mut seen: watch::Receiver<u64>,
    mut asked: mpsc::UnboundedReceiver<oneshot::Sender<bool>>,
) where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let mut askers = Vec::new();
    while asked.recv_many(&mut askers, ASKERS_AT_ONCE).await > 0 {
        let proven = match bucket.last_of_few().await {
            Ok(last) => {
                let caught_up = seen.wait_for(|seen| *seen >= last);
                matches!(tokio::time::timeout(CATCH_UP, caught_up).await, Ok(Ok(_)))
            }
            Err(_) => false,
        };
        for asker in askers.drain(..) {
            // Whoever has gone needs no answer.
            let _ = asker.send(proven);
        }
    }
}

async fn keep<T>(
    bucket: Bucket<T>,
    values: Values<T>,
    proof: watch::Sender<Option<Instant>>,
    latest: watch::Sender<u64>,
) where
    T: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    let mut feed = Feed::follow(&bucket);
    let mut seen = 0;
    let mut proofs = tokio::time::interval(PROOF_EVERY);
    loop {
        tokio::select! {
            news = feed.next() => match news {
                Some(news) => {
                    seen = take(news, seen, &values, &proof);
                    latest.send_replace(seen);
                }
                None => return,
            },
            _ = proofs.tick() => {
                let asked = Instant::now();
                if let Ok(last) = bucket.last_of_few().await && last <= seen && proof.borrow().is_some() {
                    proof.send_replace(Some(asked));
                }
            }
            () = proof.closed() => return,
        }
    }
}

fn take<T>(news: News<T>, seen: u64, values: &Values<T>, proof: &watch::Sender<Option<Instant>>) -> u64 {
    let Ok(mut held) = values.write() else { return seen };
    match news {
        News::Reset => {
            held.clear();
            proof.send_replace(None);
            0
        }
        News::Value { key, revision, value } => {
            held.insert(key, value);
            revision
        }
        News::CaughtUp { sequence } => {
            drop(held);
            if proof.borrow().is_none() {
                proof.send_replace(Some(Instant::now()));
            }
            sequence.max(seen)
        }
    }
}
