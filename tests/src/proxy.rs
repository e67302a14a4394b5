//! A small TCP proxy between functions and broker, which makes trouble where it is told to: it resets a
//! connection, holds its bytes back, cuts it right after a write went through, and tells conflicts by the code
//! that a replicated stream has for them. What really happened is counted, not what was asked for.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use wire::{Function, subjects, topology};

const CHUNK: usize = 64 * 1024;
/// How long the broker may take to answer what was cut off behind it.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How the broker tells a conflict on one copy of a stream, how on a replicated one, and as nobody knows it.
const CONFLICT: &[u8] = b"\"err_code\":10071";
const CONFLICT_REPLICATED: &[u8] = b"\"err_code\":10164";
const CONFLICT_UNKNOWN: &[u8] = b"\"err_code\":10999";

/// What became of conflicts on their way to the functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflicts {
    /// Every second one has the code of a replicated stream.
    Mixed,
    /// Those have a code that no function knows: what each would do that does not know the replicated one.
    Misread,
}

/// How often something happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were reset.
    pub resets: u32,
    /// Times that bytes were held back.
    pub stalls: u32,
    /// Connections that were cut after a write of a record went through.
    pub cuts: u32,
    /// Conflicts that were told by the code of a replicated stream.
    pub replicated_conflicts: u32,
}

/// The proxy; it ends with the value.
pub struct Proxy {
    address: SocketAddr,
    inner: Arc<Inner>,
    accepting: tokio::task::JoinHandle<()>,
}

struct Inner {
    broker: String,
    conflicts: Conflicts,
    state: Mutex<State>,
}

/// The functions whose writes of records are cut off, and to whom conflicts are retold. They follow no bucket of
/// many changes, so that looking at all their bytes costs little.
const WRITERS: [Function; 2] = [Function::Create, Function::Report];

#[derive(Default)]
struct State {
    links: BTreeMap<u64, Known>,
    next: u64,
    counts: Counts,
    conflicts_seen: u32,
}

/// One connection.
#[derive(Default)]
struct Known {
    order: watch::Sender<Order>,
    is_writer: bool,
}

/// What a connection is to suffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Order {
    reset: bool,
    /// After the next write of a record went through.
    cut: bool,
    stalled_until: Option<Instant>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// Begins to listen, in front of the broker at `nats://HOST:PORT`.
    pub async fn start(url: &str, conflicts: Conflicts) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let broker = url.trim_start_matches("nats://").to_owned();
        let inner = Arc::new(Inner { broker, conflicts, state: Mutex::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&inner)));
        Self { address, inner, accepting }
    }

    /// Where the functions find the broker.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// What happened so far.
    pub fn counts(&self) -> Counts {
        self.inner.with(|state| state.counts)
    }

    /// Resets one connection, at both ends.
    pub fn reset(&self, which: u64) {
        self.order(which, |_| true, |order| order.reset = true);
    }

    /// Holds the bytes of one connection back, both ways, for a while.
    pub fn stall(&self, which: u64, time: Duration) {
        self.order(which, |_| true, |order| order.stalled_until = Some(Instant::now() + time));
    }

    /// Cuts one connection off, right after the next write of a record went through it to the broker.
    pub fn cut(&self, which: u64) {
        self.order(which, |known| known.is_writer && !known.order.borrow().cut, |order| order.cut = true);
    }

    /// From here on everything goes through.
    pub fn heal(&self) {
        self.inner.with(|state| {
            for link in state.links.values() {
                link.order.send_replace(Order::default());
            }
        });
    }

    /// Any number stands for one of the connections that are meant.
    fn order(&self, which: u64, is_meant: impl Fn(&Known) -> bool, change: impl FnOnce(&mut Order)) {
        self.inner.with(|state| {
            let meant: Vec<_> = state.links.values().filter(|known| is_meant(known)).collect();
            let place = which.checked_rem(meant.len() as u64).unwrap_or(0);
            if let Some(known) = meant.get(place as usize) {
                known.order.send_modify(change);
            }
        });
    }
}

impl Inner {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap())
    }

    fn count(&self, what: impl FnOnce(&mut Counts) -> &mut u32) {
        self.with(|state| *what(&mut state.counts) += 1);
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    while let Ok((client, _)) = listener.accept().await {
        // A broker that is away refuses, and so do we: the client is gone with the value.
        let Ok(broker) = TcpStream::connect(&inner.broker).await else { continue };
        let (sender, order) = watch::channel(Order::default());
        let number = inner.with(|state| {
            state.next += 1;
            state.links.insert(state.next, Known { order: sender, is_writer: false });
            state.next
        });
        let inner = Arc::clone(&inner);
        tokio::spawn(async move {
            let link = Link { inner: &inner, number, order, is_writer: AtomicBool::new(false) };
            // An error is the end of one side, which is told to the other by the end of its own.
            let _ = link.carry(client, broker).await;
            inner.with(|state| state.links.remove(&number));
        });
    }
}

/// How the way to the broker ended.
enum Ended {
    ByClient,
    ByCut,
}

struct Link<'l> {
    inner: &'l Inner,
    number: u64,
    order: watch::Receiver<Order>,
    is_writer: AtomicBool,
}

impl Link<'_> {
    async fn carry(&self, mut client: TcpStream, mut broker: TcpStream) -> std::io::Result<()> {
        for stream in [&client, &broker] {
            stream.set_nodelay(true)?;
            // Whatever is not ended in order ends with a reset.
            stream.set_zero_linger()?;
        }
        let (mut from_client, mut to_client) = client.split();
        let (mut from_broker, mut to_broker) = broker.split();
        let ended = tokio::select! {
            () = self.until_reset() => {
                self.inner.count(|counts| &mut counts.resets);
                return Ok(());
            }
            ended = self.to_broker(&mut from_client, &mut to_broker) => ended?,
            ended = self.to_client(&mut from_broker, &mut to_client) => return ended,
        };
        if matches!(ended, Ended::ByCut) {
            drop(client);
        }
        // Ended in order, so that the broker reads to the end what it was sent.
        to_broker.shutdown().await?;
        let mut nowhere = tokio::io::sink();
        let rest = tokio::io::copy(&mut from_broker, &mut nowhere);
        let _ = tokio::time::timeout(LAST_ANSWERS, rest).await;
        Ok(())
    }

    async fn until_reset(&self) {
        if self.order.clone().wait_for(|order| order.reset).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn to_broker(&self, from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>) -> std::io::Result<Ended> {
        let write = format!("HPUB {}", subjects::bucket_key(topology::TASKS, ""));
        let mut chunk = vec![0; CHUNK];
        let mut is_known = false;
        loop {
            let count = from.read(&mut chunk).await?;
            if count == 0 {
                return Ok(Ended::ByClient);
            }
            if !is_known {
                is_known = self.learn_who_it_is(&chunk[..count]);
            }
            self.until_it_flows().await;
            to.write_all(&chunk[..count]).await?;
            let cut = self.order.borrow().cut;
            if cut && find(&chunk[..count], write.as_bytes()).is_some() {
                self.inner.count(|counts| &mut counts.cuts);
                return Ok(Ended::ByCut);
            }
        }
    }

    async fn to_client(&self, from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>) -> std::io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let count = from.read(&mut chunk).await?;
            if count == 0 {
                return Ok(());
            }
            self.until_it_flows().await;
            if self.is_writer.load(Ordering::Relaxed) {
                self.retell_conflicts(&mut chunk[..count]);
            }
            to.write_all(&chunk[..count]).await?;
        }
    }

    /// The first words of a client say its name.
    fn learn_who_it_is(&self, chunk: &[u8]) -> bool {
        let named = |function: &Function| {
            find(chunk, format!("\"name\":\"tasklane-{function}\"").as_bytes()).is_some()
        };
        if WRITERS.iter().any(named) {
            self.is_writer.store(true, Ordering::Relaxed);
            self.inner.with(|state| state.links.entry(self.number).or_default().is_writer = true);
        }
        find(chunk, b"CONNECT ").is_some()
    }

    async fn until_it_flows(&self) {
        let mut order = self.order.clone();
        let mut held = false;
        loop {
            let until = order.borrow_and_update().stalled_until.filter(|until| *until > Instant::now());
            let Some(until) = until else { break };
            held = true;
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                _ = order.changed() => {}
            }
        }
        if held {
            self.inner.count(|counts| &mut counts.stalls);
        }
    }

    /// The codes have the same length, so nothing else of the message changes.
    fn retell_conflicts(&self, chunk: &mut [u8]) {
        let mut start = 0;
        while let Some(found) = find(&chunk[start..], CONFLICT) {
            let place = start + found;
            start = place + CONFLICT.len();
            let every_second = self.inner.with(|state| {
                state.conflicts_seen += 1;
                state.conflicts_seen % 2 == 0
            });
            if every_second {
                self.inner.count(|counts| &mut counts.replicated_conflicts);
                chunk[place..start].copy_from_slice(match self.inner.conflicts {
                    Conflicts::Mixed => CONFLICT_REPLICATED,
                    Conflicts::Misread => CONFLICT_UNKNOWN,
                });
            }
        }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
