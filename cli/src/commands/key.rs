//! `key create`, `key list` and `key revoke`.

use domain::Scope;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wire::calls::admin::{KeyCreated, KeyKind as Kind, KeyShown, SigningKeyCreated};

use crate::arguments::{KeyCommand, KeyKind};
use crate::client::Ask;
use crate::commands::{Context, list_in, with_field};
use crate::error::CliError;
use crate::table::{fields, moment, table};
use crate::url::{path, with_query};

/// Runs `key …`.
///
/// # Errors
/// What the service says.
pub async fn run(context: &Context, command: KeyCommand) -> Result<(), CliError> {
    match command {
        KeyCommand::Create { kind, tenant, user, scopes, expires } => {
            let order = json!({ "tenant": tenant, "user": user });
            let order = match kind {
                KeyKind::Symetry => with_field(order, "kind", json!("symetry")),
                KeyKind::Api => order,
            };
            let order = if scopes.is_empty() { order } else { with_field(order, "scopes", json!(scopes)) };
            let order = match expires {
                Some(expires) => with_field(order, "expires_at", Value::String(expires)),
                None => order,
            };
            match kind {
                KeyKind::Api => create(context, &order).await,
                KeyKind::Symetry => create_signing(context, &order).await,
            }
        }
        KeyCommand::List { tenant } => list(context, tenant).await,
        KeyCommand::Revoke { key_id } => revoke(context, &key_id).await,
    }
}

/// Orders a key; gives the answer as it came, and what it says.
async fn order_key<K: DeserializeOwned>(context: &Context, order: &Value) -> Result<(Value, K), CliError> {
    let asked = Ask::new(Method::POST, path(["tasklane", "v1", "keys"])).json(order);
    let document = context.client.document(asked).await?;
    let key = serde_json::from_value(document.clone()).map_err(|error| CliError::NotUnderstood {
        asked: "the order for a new key".to_owned(),
        why: error.to_string(),
    })?;
    Ok((document, key))
}

async fn create_signing(context: &Context, order: &Value) -> Result<(), CliError> {
    let (document, key): (_, SigningKeyCreated) = order_key(context, order).await?;
    context.console.result(&document, || {
        fields(vec![
            ("customer id", key.cid.clone()),
            ("secret", key.secret.clone()),
            ("key id", key.key_id.clone()),
            ("valid until", moment(Some(key.expires_at))),
        ])
    })?;
    context.console.note("the secret is shown only this once; the tenant's other secrets go on working");
    Ok(())
}

async fn create(context: &Context, order: &Value) -> Result<(), CliError> {
    let (document, key): (_, KeyCreated) = order_key(context, order).await?;
    context.console.result(&document, || {
        fields(vec![
            ("api key", key.api_key.clone()),
            ("key id", key.key_id.clone()),
            ("valid until", moment(Some(key.expires_at))),
        ])
    })?;
    context.console.note("the API key is shown only this once; use it: export TASKLANE_API_KEY=…");
    Ok(())
}

async fn list(context: &Context, tenant: Option<String>) -> Result<(), CliError> {
    let pairs: Vec<_> = tenant.into_iter().map(|tenant| ("tenant", tenant)).collect();
    let document = context.client.get(with_query(&path(["tasklane", "v1", "keys"]), &pairs)).await?;
    let keys: Vec<KeyShown> = list_in(&document, "keys")?;
    context.console.result(&document, || key_table(&keys))
}

fn key_table(keys: &[KeyShown]) -> String {
    let row = |key: &KeyShown| {
        let scopes: Vec<String> = key.scopes.iter().map(Scope::to_string).collect();
        vec![
            key.key_id.clone(),
            match key.kind {
                Kind::Api => "api".to_owned(),
                Kind::Symetry => "symetry".to_owned(),
            },
            key.tenant.clone(),
            key.user.clone(),
            scopes.join(", "),
            moment(Some(key.created_at)),
            moment(Some(key.expires_at)),
            moment(key.revoked_at),
        ]
    };
    let headings = ["key id", "kind", "tenant", "user", "scopes", "created", "valid until", "revoked"];
    table(&headings, keys.iter().map(row).collect())
}

async fn revoke(context: &Context, key_id: &str) -> Result<(), CliError> {
    context.client.document(Ask::new(Method::DELETE, path(["tasklane", "v1", "keys", key_id]))).await?;
    let document = json!({ "key_id": key_id, "revoked": true });
    context.console.result(&document, || format!("key {key_id} is revoked; nothing works with it any more"))
}
