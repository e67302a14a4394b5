//! `key create`, `key list` and `key revoke`.

use domain::Scope;
use http::Method;
use serde_json::{Value, json};
use wire::calls::admin::{KeyCreated, KeyShown};

use crate::arguments::KeyCommand;
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
        KeyCommand::Create { tenant, user, scopes, expires } => {
            let order = json!({ "tenant": tenant, "user": user, "scopes": scopes });
            let order = match expires {
                Some(expires) => with_field(order, "expires_at", Value::String(expires)),
                None => order,
            };
            create(context, &order).await
        }
        KeyCommand::List { tenant } => list(context, tenant).await,
        KeyCommand::Revoke { key_id } => revoke(context, &key_id).await,
    }
}

async fn create(context: &Context, order: &Value) -> Result<(), CliError> {
    let asked = Ask::new(Method::POST, path(["tasklane", "v1", "keys"])).json(order);
    let document = context.client.document(asked).await?;
    let key: KeyCreated = serde_json::from_value(document.clone()).map_err(|error| {
        CliError::NotUnderstood { asked: "the order for a new key".to_owned(), why: error.to_string() }
    })?;
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
            key.tenant.clone(),
            key.user.clone(),
            scopes.join(", "),
            moment(Some(key.created_at)),
            moment(Some(key.expires_at)),
            moment(key.revoked_at),
        ]
    };
    let headings = ["key id", "tenant", "user", "scopes", "created", "valid until", "revoked"];
    table(&headings, keys.iter().map(row).collect())
}

async fn revoke(context: &Context, key_id: &str) -> Result<(), CliError> {
    context.client.document(Ask::new(Method::DELETE, path(["tasklane", "v1", "keys", key_id]))).await?;
    let document = json!({ "key_id": key_id, "revoked": true });
    context.console.result(&document, || format!("key {key_id} is revoked; nothing works with it any more"))
}
