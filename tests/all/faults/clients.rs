//! Clients that create tasks all the while, over whichever ingress is up, and note what they were told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use tests::http::Http;
use tokio::time::Instant;

use super::posts::Doors;
use super::trouble::Random;

/// How often each client begins a task.
const PACE: Duration = Duration::from_millis(100);
/// Longer than any answer may take.
const ANSWER: Duration = Duration::from_secs(12);
const PAUSE: Duration = Duration::from_millis(50);
/// What a create may be answered while it can't be taken (design §11).
const REFUSALS: [u16; 5] = [429, 502, 503, 504, 507];

/// What the clients know in the end.
#[derive(Default)]
pub struct Taken {
    /// The id of each task that was acknowledged, by the name that its client gave it.
    pub acknowledged: BTreeMap<String, String>,
    /// How many were acknowledged only after their request was repeated.
    pub repeated: u32,
    /// How many creates nobody knows the outcome of.
    pub unknown: u32,
    /// Answers that no client should get.
    pub broken: Vec<String>,
    /// What was seen last instead of an acknowledgement.
    last: String,
}

/// The running clients.
pub struct Clients {
    taken: Arc<Mutex<Taken>>,
    over: Arc<AtomicBool>,
    running: Vec<tokio::task::JoinHandle<()>>,
}

impl Clients {
    pub fn begin(count: usize, slow: u64, doors: Doors, random: &mut Random) -> Self {
        let (taken, over) = (Arc::<Mutex<Taken>>::default(), Arc::<AtomicBool>::default());
        let client = |number: usize| Client {
            number,
            slow,
            doors: Arc::clone(&doors),
            random: Random::new(random.number()),
            taken: Arc::clone(&taken),
            over: Arc::clone(&over),
        };
        let clients: Vec<Client> = (0..count).map(client).collect();
        let running = clients.into_iter().map(|client| tokio::spawn(client.run())).collect();
        Self { taken, over, running }
    }

    /// Lets each end what it has begun.
    pub async fn end(self, patience: Duration) -> Taken {
        self.over.store(true, Ordering::Relaxed);
        let deadline = Instant::now() + patience;
        for client in self.running {
            let stopper = client.abort_handle();
            if tokio::time::timeout_at(deadline, client).await.is_err() {
                stopper.abort();
                let mut taken = self.taken.lock().unwrap();
                let late = format!(
                    "a create was not acknowledged within {patience:?} of the last fault; seen last: {}",
                    taken.last
                );
                taken.broken.push(late);
            }
        }
        std::mem::take(&mut self.taken.lock().unwrap())
    }
}

struct Client {
    number: usize,
    slow: u64,
    doors: Doors,
    random: Random,
    taken: Arc<Mutex<Taken>>,
    over: Arc<AtomicBool>,
}

impl Client {
    async fn run(mut self) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut number = 0;
        while !self.over.load(Ordering::Relaxed) {
            pace.tick().await;
            number += 1;
            let name = format!("{}-{number}", self.number);
            // Every second task is one that a program with no patience creates: it asks once.
            if number % 2 == 0 { self.ask_until_acknowledged(name).await } else { self.ask_once(name).await }
        }
    }

    /// What a task is to do: nothing at all, or work for a short or a long time.
    fn work(&mut self, name: &str) -> (&'static str, String) {
        let hundredth = self.random.below(100);
        if hundredth < self.slow {
            ("shell/run", format!("{name} {}.5\n", 1 + self.random.below(3)))
        } else if hundredth.is_multiple_of(3) {
            ("shell/run", format!("{name} 0\n"))
        } else if hundredth.is_multiple_of(7) {
            ("shell/large", format!("{name}\n"))
        } else {
            ("noop/run", name.to_owned())
        }
    }

    async fn ask_once(&mut self, name: String) {
        let (service, body) = self.work(&name);
        match self.ask(service, None, &body).await {
            Some(id) => self.note(name, id, 0),
            None => self.taken.lock().unwrap().unknown += 1,
        }
    }

    async fn ask_until_acknowledged(&mut self, name: String) {
        let (service, body) = self.work(&name);
        for turn in 0.. {
            if let Some(id) = self.ask(service, Some(&name), &body).await {
                return self.note(name, id, turn);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn note(&self, name: String, id: String, repetitions: u32) {
        let mut taken = self.taken.lock().unwrap();
        taken.repeated += u32::from(repetitions > 0);
        taken.acknowledged.insert(name, id);
    }

    /// The id, if the create was acknowledged.
    async fn ask(&mut self, service: &str, key: Option<&str>, body: &str) -> Option<String> {
        let door = self.door()?;
        let path = format!("/pro-api/v2/tasks/{service}");
        let headers: Vec<(&str, &str)> = key.iter().map(|key| ("Idempotency-Key", *key)).collect();
        let asked = door.send(Method::POST, &path, &headers, body.to_owned());
        let answer = tokio::time::timeout(ANSWER, asked).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {ANSWER:?}")));
        let mut taken = self.taken.lock().unwrap();
        match answer {
            Ok(answer) if answer.status == 200 => Some(answer.json()["id"].as_str().unwrap().to_owned()),
            Ok(answer) => {
                let (status, text) = (answer.status.as_u16(), answer.text());
                if !REFUSALS.contains(&status) {
                    taken.broken.push(format!("a create was answered {status}: {text}"));
                }
                taken.last = format!("{} answered {status} {text}", door.url());
                None
            }
            Err(error) => {
                taken.last = format!("{}: {error}", door.url());
                None
            }
        }
    }

    fn door(&mut self) -> Option<Http> {
        let doors = self.doors.lock().unwrap();
        let place = self.random.number().checked_rem(doors.len() as u64)?;
        doors.values().nth(place as usize).cloned()
    }
}
