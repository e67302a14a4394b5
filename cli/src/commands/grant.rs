//! `grant`.

use http::Method;
use serde_json::json;

use crate::arguments::GrantArguments;
use crate::client::Ask;
use crate::commands::Context;
use crate::error::CliError;
use crate::url::path;

/// Runs `grant …`.
///
/// # Errors
/// What the service says.
pub async fn run(context: &Context, arguments: GrantArguments) -> Result<(), CliError> {
    let GrantArguments { app, user, rights } = arguments;
    let path = path(["tasklane", "v1", "apps", &app, "grants", &user]);
    context.client.document(Ask::new(Method::PUT, path).json(&json!({ "rights": rights }))).await?;
    let document = json!({ "app": app, "user": user, "rights": rights });
    let words: Vec<&str> = rights.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
    context.console.result(&document, || {
        if words.is_empty() {
            format!("user {user} has no rights on app {app} any more")
        } else {
            format!("user {user} has the rights {} on app {app}, in all its versions", words.join(", "))
        }
    })
}
