//! `dev`: everything in one process around a child broker, until a signal.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use service::{CancellationToken, Settings};

use super::boot::{BROKER_LOOK, Stack, StackOptions, durability};
use super::{StackError, examples};
use crate::arguments::stack::DevArguments;
use crate::client::Client;
use crate::error::CliError;

/// The tenant that `dev` comes with.
pub const TENANT: &str = "demo";

/// Runs until SIGINT or SIGTERM, then drains and stops.
pub async fn dev(mut settings: Settings, arguments: &DevArguments, json: bool) -> Result<ExitCode, CliError> {
    settings.durability = durability(arguments.durability);
    settings.outbound = settings.outbound.with_loopback();
    let temporary =
        if arguments.data.is_none() { Some(tempfile::tempdir().map_err(StackError::text)?) } else { None };
    let data = match (&arguments.data, &temporary) {
        (Some(data), _) => data.clone(),
        (None, Some(folder)) => folder.path().join("data"),
        (None, None) => PathBuf::from("data"),
    };
    let options = StackOptions {
        data,
        http: arguments.http,
        broker_listen: broker_listen(arguments.nats.as_deref())?,
        near: true,
        replicas: 1,
        broker_apart: std::io::stdin().is_terminal(),
        settings,
        users: Vec::new(),
    };
    let stop = CancellationToken::new();
    tokio::spawn(service::stop_on_signal(stop.clone()));
    let mut stack = Stack::start(options).await?;
    let api_key = stack.api_key()?;
    examples::publish(&client(&stack.url, &api_key)?).await?;
    announce(&stack, &api_key, temporary.is_some(), json)?;
    while stop.run_until_cancelled(tokio::time::sleep(BROKER_LOOK)).await.is_some() {
        stack.keep_broker().await;
        stack.keep_programs();
    }
    if !json {
        eprintln!("stopping …");
    }
    stack.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// This port of the loopback address, or a free one where it is taken.
pub async fn free_or(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from(([127, 0, 0, 1], port));
    match tokio::net::TcpListener::bind(wanted).await {
        Ok(_) => wanted,
        Err(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
    }
}

/// A client of the own stack.
pub fn client(url: &str, api_key: &str) -> Result<Client, CliError> {
    Client::new(url.parse().map_err(CliError::Usage)?, Some(api_key))
}

/// `nats://127.0.0.1:4222` as the broker's own `listen`; without one, a free port.
fn broker_listen(url: Option<&str>) -> Result<String, StackError> {
    let Some(url) = url else { return Ok("127.0.0.1:-1".to_owned()) };
    let address = url.strip_prefix("nats://").unwrap_or(url).trim_end_matches('/');
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none() {
        return Err(StackError::Text(format!("--nats {url} is wrong: it takes nats://ADDRESS:PORT")));
    }
    Ok(address.to_owned())
}

/// The broker's address with the demo user in it, as programs of the tenant use it.
fn nats_url(stack: &Stack) -> Result<String, StackError> {
    let password = stack.files.demo_user()?.password;
    let address = stack.settings.nats_url.trim_start_matches("nats://");
    Ok(format!("nats://demo:{password}@{address}"))
}

fn announce(stack: &Stack, api_key: &str, temporary: bool, json: bool) -> Result<(), StackError> {
    let mut out = std::io::stdout().lock();
    let written = if json {
        let secret = stack.signing_secret()?;
        let line = json!({
            "http": stack.url,
            "nats": nats_url(stack)?,
            "tenant": TENANT,
            "api_key": api_key,
            "symetry": { "cid": TENANT, "secret": secret },
        });
        writeln!(out, "{line}")
    } else {
        let keeping = if temporary {
            "a folder that is removed at the end; keep it with --data DIR".to_owned()
        } else {
            stack.files.folder().display().to_string()
        };
        writeln!(
            out,
            "Tasklane is up.\n\n  REST        {url}/pro-api/v2\n  health      {url}/tasklane/v1/health\n  broker      \
             {nats}\n  durability  {class}\n  data        {keeping}\n\nIn another terminal:\n\n  export \
             TASKLANE_URL={url}\n  export TASKLANE_API_KEY={api_key}\n  tasklane task submit routing solve --input \
             '{{\"instance\":\"berlin52\"}}' --wait\n\nCtrl-C stops it.",
            url = stack.url,
            nats = stack.settings.nats_url,
            class = stack.settings.durability.name(),
        )
    };
    written.and_then(|()| out.flush()).map_err(StackError::text)
}
