//! `app publish`, `app list` and `app check`.

mod check;

use std::path::PathBuf;

use bundle::{Bounds, Packed};
use bytes::Bytes;
use domain::Timestamp;
use domain::lane::JOBS;
use domain::trigger::{Dedup, Trigger, TriggerLane};
use http::Method;
use serde_json::json;
use wire::records::App;
use wire::topology::tasks_lane;

use crate::arguments::AppCommand;
use crate::client::{Ask, Body, Client};
use crate::commands::{Context, list_in, quoted};
use crate::error::CliError;
use crate::table::{bytes, fields, moment, table};
use crate::url::{path, with_query};

/// Runs `app …`.
///
/// # Errors
/// What packing and the service say.
pub async fn run(context: &Context, command: AppCommand) -> Result<(), CliError> {
    match command {
        AppCommand::Publish { directory, latest } => publish(context, directory, latest).await,
        AppCommand::List => list(context).await,
        AppCommand::Check(arguments) => check::run(context, arguments).await,
    }
}

async fn publish(context: &Context, directory: PathBuf, latest: bool) -> Result<(), CliError> {
    let packed = publish_folder(&context.client, directory, latest).await?;
    let size = packed.bytes.len() as u64;
    let manifest = &packed.manifest;
    let services: Vec<&str> = manifest.services.keys().map(String::as_str).collect();
    let of =
        |(name, trigger): (&String, &bundle::manifest::Trigger)| format!("{name} on {}", trigger.subject);
    let triggers: Vec<String> = manifest.triggers.iter().map(of).collect();
    let document = json!({
        "app": manifest.name,
        "version": manifest.version,
        "latest": latest,
        "digest": packed.digest,
        "services": services,
        "triggers": manifest.triggers,
        "files": packed.files,
        "bytes": size,
    });
    let tag = if latest { " (latest)" } else { "" };
    context.console.result(&document, || {
        fields(vec![
            ("published", format!("{} {}{tag}", manifest.name, manifest.version)),
            ("services", services.join(", ")),
            ("triggers", triggers.join(", ")),
            ("digest", packed.digest.clone()),
            ("bundle", format!("{} files, {}", packed.files, bytes(size))),
        ])
    })?;
    let version =
        if latest { String::new() } else { format!(" --app-version {}", quoted(&manifest.version)) };
    let service = services.first().map_or_else(|| "SERVICE".to_owned(), |service| quoted(service));
    let app = quoted(&manifest.name);
    context.console.note(&format!("run it: tasklane task submit {app} {service}{version} --wait"));
    Ok(())
}

/// Packs a folder and publishes it.
///
/// # Errors
/// What packing and the service say.
pub async fn publish_folder(client: &Client, directory: PathBuf, latest: bool) -> Result<Packed, CliError> {
    let packed = pack(directory).await?;
    let path = with_query(&path(["tasklane", "v1", "apps"]), &[("latest", latest.to_string())]);
    let bytes = Bytes::from(packed.bytes.clone());
    client.document(Ask::new(Method::POST, path).body("application/gzip", Body::Bytes(bytes))?).await?;
    Ok(packed)
}

/// Packing reads many files and compresses them, which would hold up everything else here.
async fn pack(directory: PathBuf) -> Result<Packed, CliError> {
    let packing = tokio::task::spawn_blocking(move || bundle::pack_directory(&directory, &Bounds::default()));
    let packed = packing.await.map_err(|error| CliError::Stack(format!("packing ended early: {error}")))?;
    packed.map_err(CliError::Bundle)
}

async fn list(context: &Context) -> Result<(), CliError> {
    let document = context.client.get(path(["tasklane", "v1", "apps"])).await?;
    let apps: Vec<App> = list_in(&document, "apps")?;
    context.console.result(&document, || [app_table(&apps), trigger_table(&apps)].concat())?;
    if apps.is_empty() {
        context.console.note("publish one: tasklane app publish DIR --latest");
    }
    Ok(())
}

fn app_table(apps: &[App]) -> String {
    let mut rows = Vec::new();
    for app in apps {
        // The newest last, where the eye ends up.
        let mut versions: Vec<(&String, &wire::records::AppVersion)> = app.versions.iter().collect();
        versions.sort_by_key(|(_, version)| version.published_at);
        for (name, version) in versions {
            let latest = if app.latest.as_ref() == Some(name) { "latest" } else { "" };
            let published: Option<Timestamp> = Some(version.published_at);
            rows.push(vec![
                app.name.clone(),
                name.clone(),
                latest.to_owned(),
                version.services.join(", "),
                moment(published),
                version.published_by.clone(),
                version.bundle.chars().take(12).collect(),
            ]);
        }
    }
    table(&["app", "version", "tag", "services", "published", "by", "digest"], rows)
}

/// The triggers that are in force, where there are any.
fn trigger_table(apps: &[App]) -> String {
    let mut rows = Vec::new();
    for app in apps {
        for (name, Trigger { subject, service, lane, dedup }, version) in app.triggers() {
            let lane = match lane {
                TriggerLane::Tasks => tasks_lane(&app.tenant),
                TriggerLane::Jobs => JOBS.to_owned(),
            };
            let known_by = match dedup {
                Dedup::MessageId => "Nats-Msg-Id, or its place".to_owned(),
                Dedup::Header(header) => format!("header {header}"),
                Dedup::Field(path) => format!("field {path}"),
                Dedup::Sequence => "its place".to_owned(),
            };
            let (subject, service, user) = (subject.clone(), service.clone(), version.published_by.clone());
            rows.push(vec![app.name.clone(), name.clone(), subject, service, lane, known_by, user]);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    format!("\n\n{}", table(&["app", "trigger", "subject", "service", "lane", "known by", "for"], rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_triggers_in_force_are_shown_with_what_they_make_of_a_message() {
        let trigger = json!({ "subject": "demo.orders", "service": "run", "dedup": { "field": "order.id" } });
        let version = |triggers: serde_json::Value| {
            json!({ "bundle": "b", "runtime": "noop", "services": [], "triggers": triggers,
                    "published_at": "2026-01-01T00:00:00Z", "published_by": "ann" })
        };
        let versions = json!({ "1": version(json!({ "new": trigger })), "2": version(json!({})) });
        let mut app: App = serde_json::from_value(
            json!({ "tenant": "demo", "name": "shop", "versions": versions, "latest": "2" }),
        )
        .unwrap();
        assert_eq!(trigger_table(&[app.clone()]), "");
        app.latest = Some("1".to_owned());
        let shown = trigger_table(&[app]);
        for part in ["shop", "new", "demo.orders", "run", "tasks.demo", "field order.id", "ann"] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }
}
