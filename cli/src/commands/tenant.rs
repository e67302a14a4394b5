//! `tenant create` and `tenant list`.

use http::Method;
use serde_json::json;
use wire::records::Tenant;

use crate::arguments::TenantCommand;
use crate::client::Ask;
use crate::commands::{Context, list_in, one_of, quoted};
use crate::error::CliError;
use crate::table::{moment, table};
use crate::url::path;

/// Runs `tenant …`.
///
/// # Errors
/// What the service says.
pub async fn run(context: &Context, command: TenantCommand) -> Result<(), CliError> {
    let tenants = path(["tasklane", "v1", "tenants"]);
    match command {
        TenantCommand::Create { name } => {
            let ask = Ask::new(Method::POST, tenants).json(&json!({ "name": name }));
            let document = context.client.document(ask).await?;
            let created = one_of(&document, "tenants", "name", &name);
            let created = if created.is_object() { created.clone() } else { json!({ "name": name }) };
            context.console.result(&created, || format!("tenant {name} is created"))?;
            let name = quoted(&name);
            context.console.note(&format!(
                "make its first key: tasklane key create --tenant {name} --user admin --scope Admin --scope Tasks"
            ));
        }
        TenantCommand::List => {
            let document = context.client.get(tenants).await?;
            let tenants: Vec<Tenant> = list_in(&document, "tenants")?;
            let row = |tenant: &Tenant| vec![tenant.name.clone(), moment(Some(tenant.created_at))];
            context
                .console
                .result(&document, || table(&["tenant", "created"], tenants.iter().map(row).collect()))?;
        }
    }
    Ok(())
}
