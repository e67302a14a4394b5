//! Apps: published, listed, granted. Name and version are unique; the tag `latest` is on one version.

use std::collections::BTreeMap;

use bundle::{Bounds, Manifest, manifest};
use domain::access::{is_principal_name, rights_on};
use domain::stream::is_topic;
use domain::task::state::Runtime;
use domain::trigger::{Dedup, Trigger, TriggerLane};
use domain::{Caller, Right, Rights};
use service::clock;
use wire::calls::admin::AdminReply;
use wire::calls::topics::{TopicsRequest, TriggerOf};
use wire::records::{App, AppVersion, WorkflowDeclared};
use wire::topology::app_key;
use wire::{Code, Error};

use crate::{Admin, shown};

impl Admin {
    /// The bundle lies in the store already; here its manifest is read and the version becomes known.
    pub(crate) async fn publish(
        &self,
        caller: &Caller,
        bundle: String,
        latest: bool,
    ) -> Result<AdminReply, Error> {
        let manifest = self.manifest(&bundle).await?;
        let runtime = runtime(&manifest);
        let version = AppVersion {
            bundle,
            runtime,
            services: manifest.services.keys().cloned().collect(),
            workflows: manifest.workflows.iter().map(declared).collect(),
            triggers: triggers(&caller.tenant, &manifest)?,
            published_at: clock::now(),
            published_by: caller.user.clone(),
        };
        let key = app_key(&caller.tenant, &manifest.name);
        let published = self
            .apps
            .update(&key, |found| add_version(found, caller, &manifest, &version, latest).map(Some))
            .await?;
        if let Some(app) = &published {
            self.arrange_triggers(app).await?;
        }
        Ok(AdminReply::Apps(published.into_iter().collect()))
    }

    /// What is published on the subject of a trigger from the answer on becomes a task. `create` arranges the same
    /// from the record, so that an error here costs no more than that moment; publishing again repeats it.
    async fn arrange_triggers(&self, app: &App) -> Result<(), Error> {
        let of = |name: &str, subject: &str| TriggerOf {
            tenant: app.tenant.clone(),
            app: app.name.clone(),
            name: name.to_owned(),
            subject: subject.to_owned(),
        };
        for (name, trigger, _) in app.triggers() {
            self.broker.call(&TopicsRequest::Trigger(of(name, &trigger.subject))).await?;
        }
        for (name, subject) in app.past_triggers() {
            self.broker.call(&TopicsRequest::Untrigger(of(name, subject))).await?;
        }
        Ok(())
    }

    /// Reads app.toml out of a stored bundle, checking every entry as the runner will.
    async fn manifest(&self, bundle: &str) -> Result<Manifest, Error> {
        let Some(size) = self.bundles.size(bundle).await? else {
            return Err(Error::new(Code::NotFound, "the bundle is not stored"));
        };
        let chunks = self.bundles.read(bundle, size);
        let read = tokio::task::spawn_blocking(move || {
            bundle::read_manifest(broker::body::BlockingReader::new(chunks), &Bounds::default())
        });
        let manifest = read.await.map_err(Error::internal)?;
        manifest.map_err(|error| {
            if error.is_ours() {
                Error::internal(error)
            } else {
                Error::new(Code::BadRequest, error.to_string())
            }
        })
    }

    pub(crate) async fn list_apps(&self, caller: &Caller) -> Result<AdminReply, Error> {
        let all = self.app_list.all().await?;
        let mut apps: Vec<App> = all
            .iter()
            .filter(|app| app.tenant == caller.tenant && rights_on(caller, &app.grants).has(&[Right::Read]))
            .map(|app| (**app).clone())
            .collect();
        apps.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(AdminReply::Apps(apps))
    }

    pub(crate) async fn grant(
        &self,
        caller: &Caller,
        app: &str,
        user: String,
        rights: Rights,
    ) -> Result<AdminReply, Error> {
        if !is_principal_name(&user) {
            let message = format!("'{}' is no user: 1 to 64 letters, digits, '-' or '_'", shown(&user));
            return Err(Error::new(Code::BadRequest, message));
        }
        let granted = self
            .apps
            .update(&app_key(&caller.tenant, app), |found| {
                let missing = || Error::new(Code::AppNotFound, format!("app {} does not exist", shown(app)));
                let mut app = found.ok_or_else(missing)?;
                app.grants.insert(user.clone(), rights);
                Ok(Some(app))
            })
            .await?;
        Ok(AdminReply::Apps(granted.into_iter().collect()))
    }
}

fn declared((name, workflow): (&String, &bundle::manifest::Workflow)) -> (String, WorkflowDeclared) {
    let (steps, required) = (workflow.steps.clone(), workflow.required.clone());
    (name.clone(), WorkflowDeclared { steps, required })
}

/// The triggers of a manifest, as records have them. Only now is it known whose subjects they may name.
fn triggers(tenant: &str, manifest: &Manifest) -> Result<BTreeMap<String, Trigger>, Error> {
    let read = |(name, declared): (&String, &manifest::Trigger)| {
        if !is_topic(tenant, &declared.subject) {
            let message = format!(
                "app.toml: triggers.{name}.subject is \"{}\"; accepted is a subject that begins with '{tenant}.'",
                declared.subject
            );
            return Err(Error::new(Code::BadRequest, message));
        }
        let lane = match declared.lane {
            manifest::TriggerLane::Tasks => TriggerLane::Tasks,
            manifest::TriggerLane::Jobs => TriggerLane::Jobs,
        };
        let dedup = match &declared.dedup {
            manifest::Dedup::MessageId => Dedup::MessageId,
            manifest::Dedup::Header(header) => Dedup::Header(header.clone()),
            manifest::Dedup::Field(path) => Dedup::Field(path.clone()),
            manifest::Dedup::Sequence => Dedup::Sequence,
        };
        let (subject, service) = (declared.subject.clone(), declared.service.clone());
        Ok((name.clone(), Trigger { subject, service, lane, dedup }))
    };
    manifest.triggers.iter().map(read).collect()
}

/// The runtime of a manifest, as records have it.
fn runtime(manifest: &Manifest) -> Runtime {
    match manifest.runtime {
        bundle::manifest::Runtime::Command => Runtime::Command,
        bundle::manifest::Runtime::Noop => Runtime::Noop,
        bundle::manifest::Runtime::Session => Runtime::Session,
        bundle::manifest::Runtime::Stream => Runtime::Stream,
        bundle::manifest::Runtime::Webui => Runtime::Webui,
    }
}

/// The same bundle again is no change; another bundle under the same version is refused, since tasks that
/// were created for a version must run what it was.
fn add_version(
    found: Option<App>,
    caller: &Caller,
    manifest: &Manifest,
    version: &AppVersion,
    latest: bool,
) -> Result<App, Error> {
    let mut app = found.unwrap_or_else(|| App {
        tenant: caller.tenant.clone(),
        name: manifest.name.clone(),
        versions: BTreeMap::new(),
        latest: None,
        // Whoever publishes an app first owns it.
        grants: BTreeMap::from([(caller.user.clone(), Rights::ALL)]),
    });
    match app.versions.get(&manifest.version) {
        Some(there) if there.bundle != version.bundle => {
            let message = format!(
                "app {} version {} is published already with other files; give the new ones a new version",
                manifest.name, manifest.version
            );
            return Err(Error::new(Code::Conflict, message));
        }
        Some(_) => {}
        None => {
            app.versions.insert(manifest.version.clone(), version.clone());
        }
    }
    if latest {
        app.latest = Some(manifest.version.clone());
    }
    Ok(app)
}
