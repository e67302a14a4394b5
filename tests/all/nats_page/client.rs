//! The Rust of docs/nats.md, as it stands there.

use std::error::Error;

use async_nats::{Client, ConnectOptions, HeaderMap};
use futures_util::StreamExt;
use serde_json::{Value, json};

async fn ask(client: &Client, word: &str, request: Value) -> Result<Value, String> {
    let answer = client.request(format!("tasklane.v1.{word}"), request.to_string().into()).await;
    let answer = answer.map_err(|error| error.to_string())?;
    let headers = answer.headers.unwrap_or_default();
    match headers.get("Nats-Service-Error-Code") {
        Some(code) => Err(format!("{code}: {}", String::from_utf8_lossy(&answer.payload))),
        None => serde_json::from_slice(&answer.payload).map_err(|error| error.to_string()),
    }
}

/// Everything that the page shows, one after the other.
pub async fn run(url: String, seed: String) -> Result<(), Box<dyn Error>> {
    let client = ConnectOptions::with_nkey(seed).connect(url).await?;
    let create = json!({ "app": "hello", "service": "greet", "text": "Ada", "priority": 3 });
    let task = ask(&client, "create", create).await?;
    let task = ask(&client, "status", json!({ "id": task["id"], "wait": 8 })).await?;
    println!("{} {}", task["state"], task["result"]["text"]);

    let nap = ask(&client, "create", json!({ "app": "hello", "service": "sleep", "text": "1" })).await?;
    let page = ask(&client, "list", json!({ "app": "hello", "limit": 10 })).await?;
    println!("{} tasks, the newest is {}", page["total"], page["tasks"][0]["id"]);
    let nap = ask(&client, "status", json!({ "id": nap["id"], "wait": 8 })).await?;
    let log = ask(&client, "logs", json!({ "id": nap["id"], "limit": 100 })).await?;
    println!("{} lines", log["lines"].as_array().map_or(0, Vec::len));
    ask(&client, "delete", json!({ "id": nap["id"] })).await?;

    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", "order-18");
    let order = json!({ "app": "hello", "service": "greet", "text": "Grace" }).to_string();
    let ack = client.request_with_headers("tasklane.v1.submit", headers, order.into()).await?;
    println!("{}", String::from_utf8_lossy(&ack.payload));

    let order = json!({ "order": 18, "rows": [3] }).to_string();
    let ack = client.request("demo.orders", order.into()).await?;
    println!("{}", String::from_utf8_lossy(&ack.payload));

    let mut changes = client.subscribe("tasklane.v1.event.demo.hello.*").await?;
    client.flush().await?;
    let task = ask(&client, "create", json!({ "app": "hello", "service": "greet" })).await?;
    while let Some(message) = changes.next().await {
        let event: Value = serde_json::from_slice(&message.payload)?;
        println!("{} {}", event["id"], event["state"]);
        if event["id"] == task["id"] && event["state"] == "completed" {
            break;
        }
    }
    Ok(())
}
