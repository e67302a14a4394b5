//! `lane set` and `lane list`.

use http::Method;
use serde_json::{Value, json};
use wire::calls::admin::{LaneChange, LaneShown};

use crate::arguments::LaneCommand;
use crate::client::Ask;
use crate::commands::{Context, list_in, one_of};
use crate::error::CliError;
use crate::table::table;
use crate::url::path;

/// Runs `lane …`.
///
/// # Errors
/// What the service says.
pub async fn run(context: &Context, command: LaneCommand) -> Result<(), CliError> {
    match command {
        LaneCommand::Set { name, max_running, priority_slots, priority_threshold, max_queued } => {
            let change = LaneChange {
                max_running,
                priority_slots,
                priority_threshold,
                max_queued,
                ..LaneChange::default()
            };
            set(context, &name, &change).await
        }
        LaneCommand::List => {
            let document = context.client.get(path(["tasklane", "v1", "lanes"])).await?;
            let lanes: Vec<LaneShown> = list_in(&document, "lanes")?;
            context.console.result(&document, || lane_table(&lanes))
        }
    }
}

async fn set(context: &Context, name: &str, change: &LaneChange) -> Result<(), CliError> {
    let order = json!(change);
    let ask = Ask::new(Method::PATCH, path(["tasklane", "v1", "lanes", name])).json(&only_named(&order));
    let document = context.client.document(ask).await?;
    let lane = one_of(&document, "lanes", "name", name);
    let shown: Result<LaneShown, _> = serde_json::from_value(lane.clone());
    match shown {
        Ok(shown) => context.console.result(lane, || lane_table(&[shown])),
        // An answer without the lane is a success all the same.
        Err(_) => context.console.result(&json!({ "name": name }), || format!("lane {name} is changed")),
    }
}

/// What is not to change is not sent, so that the order says what was typed.
fn only_named(order: &Value) -> Value {
    let fields = order.as_object().into_iter().flatten();
    let named =
        fields.filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.clone(), value.clone()));
    Value::Object(named.collect())
}

fn lane_table(lanes: &[LaneShown]) -> String {
    let counted = |count: Option<String>| count.unwrap_or_else(|| "?".to_owned());
    let row = |lane: &LaneShown| {
        vec![
            lane.name.clone(),
            counted(lane.running.map(|running| running.to_string())),
            lane.limits.max_running.to_string(),
            counted(lane.queued.map(|queued| queued.to_string())),
            lane.limits.max_queued.to_string(),
            lane.limits.priority_slots.to_string(),
            lane.limits.priority_threshold.to_string(),
            lane.limits.retry_limit.to_string(),
        ]
    };
    let headings = [
        "lane",
        "running#",
        "max running#",
        "queued#",
        "max queued#",
        "priority slots#",
        "priority threshold#",
        "retry limit#",
    ];
    table(&headings, lanes.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_typed_is_sent() {
        let change = LaneChange { max_running: Some(0), max_queued: Some(7), ..Default::default() };
        assert_eq!(only_named(&json!(change)), json!({ "max_running": 0, "max_queued": 7 }));
    }
}
