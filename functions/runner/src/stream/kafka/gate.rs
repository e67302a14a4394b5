//! The only way out to Kafka. A cluster names the servers that are dialled next, and a name may lead anywhere, so
//! the client dials nothing itself: it asks this gate, by SOCKS5, which resolves a name once, asks the operator's
//! rule about each address, and connects to the very address that was allowed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use service::outbound::Outbound;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

const CONNECT_PATIENCE: Duration = Duration::from_secs(3);
/// SOCKS5, as far as the client speaks it (RFC 1928).
const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const CONNECT: u8 = 1;
const BY_IPV4: u8 = 1;
const BY_NAME: u8 = 3;
const REFUSED: u8 = 2;
const LET_THROUGH: u8 = 0;

/// An open gate; with it all connections through it close.
pub struct Gate {
    address: SocketAddr,
    refusal: Arc<Mutex<Option<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl Gate {
    /// Opens one on a port of its own.
    pub async fn open(outbound: Outbound) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, refusal) = (listener.local_addr()?, Arc::new(Mutex::new(None)));
        let serving = tokio::spawn(serve(listener, Arc::new(outbound), Arc::clone(&refusal)));
        Ok(Self { address, refusal, _serving: AbortOnDropHandle::new(serving) })
    }

    /// Where the client finds it.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Why the last connection was not made, if it was not.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn serve(listener: TcpListener, outbound: Arc<Outbound>, refusal: Arc<Mutex<Option<String>>>) {
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (outbound, refusal) = (Arc::clone(&outbound), Arc::clone(&refusal));
        open.spawn(async move {
            // Who breaks off learns it from its own end of the connection.
            let _ = let_through(stream, &outbound, &refusal).await;
        });
        while open.try_join_next().is_some() {}
    }
}

async fn let_through(
    mut client: TcpStream,
    outbound: &Outbound,
    refusal: &Mutex<Option<String>>,
) -> io::Result<()> {
    let (host, port) = asked(&mut client).await?;
    let dialled = dial(&host, port, outbound).await;
    let note = dialled.as_ref().err().map(|why| format!("{host}:{port}: {why}"));
    *refusal.lock().unwrap_or_else(PoisonError::into_inner) = note;
    let reply = |code| [VERSION, code, 0, BY_IPV4, 0, 0, 0, 0, 0, 0];
    let Ok(mut server) = dialled else { return client.write_all(&reply(REFUSED)).await };
    client.write_all(&reply(LET_THROUGH)).await?;
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

/// Where the client wants to go.
async fn asked(client: &mut TcpStream) -> io::Result<(String, u16)> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    if client.read_u8().await? != VERSION {
        return Err(wrong());
    }
    let mut logins = vec![0; client.read_u8().await?.into()];
    client.read_exact(&mut logins).await?;
    client.write_all(&[VERSION, NO_LOGIN]).await?;
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let host = match head {
        [VERSION, CONNECT, _, BY_IPV4] => Ipv4Addr::from(client.read_u32().await?).to_string(),
        [VERSION, CONNECT, _, BY_NAME] => {
            let mut name = vec![0; client.read_u8().await?.into()];
            client.read_exact(&mut name).await?;
            String::from_utf8(name).map_err(|_| wrong())?
        }
        _ => return Err(wrong()),
    };
    Ok((host, client.read_u16().await?))
}

async fn dial(host: &str, port: u16, outbound: &Outbound) -> Result<TcpStream, String> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let addresses: Vec<IpAddr> = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => {
            let found =
                tokio::time::timeout(CONNECT_PATIENCE, tokio::net::lookup_host((host.as_str(), port)));
            let found = found.await.ok().and_then(Result::ok).ok_or("it can't be resolved")?;
            found.map(|address| address.ip()).collect()
        }
    };
    let mut failure = "it has no address".to_owned();
    for address in addresses {
        if let Err(refused) = outbound.allow(&host, address) {
            failure = refused.to_string();
            continue;
        }
        match tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect((address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = format!("no connection: {error}"),
            Err(_) => failure = "no connection in time".to_owned(),
        }
    }
    Err(failure)
}
