//! Rights on apps, as the functions check them: from a view that is a few seconds old at the most.

use std::sync::Arc;

use broker::{Broker, Bucket, View};
use domain::access::rights_on;
use domain::{Caller, Right, Rights, Task, TaskId};
use wire::records::App;
use wire::topology::{APPS, app_key};
use wire::{Code, Error};

/// The apps, for checking rights.
#[derive(Clone)]
pub struct Apps(View<App>);

impl Apps {
    /// Begins to follow the apps.
    pub fn follow(broker: &Broker) -> Self {
        Self(View::follow(Bucket::new(broker, APPS)))
    }

    /// An app as it is now: what was published a moment ago is found.
    pub async fn current(&self, tenant: &str, app: &str) -> Result<Option<Arc<App>>, Error> {
        self.0.current(&app_key(tenant, app)).await
    }

    /// The rights of a caller on an app.
    pub async fn rights(&self, caller: &Caller, app: &str) -> Result<Rights, Error> {
        let app = self.0.get(&app_key(&caller.tenant, app)).await?;
        Ok(app.map_or(if caller.admin { Rights::ALL } else { Rights::default() }, |app| {
            rights_on(caller, &app.grants)
        }))
    }

    /// Refuses a caller who may not do this to a task. Who may not even read it learns nothing about it.
    pub async fn check(&self, caller: &Caller, task: &Task, wanted: &[Right]) -> Result<(), Error> {
        self.check_app(caller, &task.app, task.id, wanted).await
    }

    /// The same for a task of which only the app is known.
    pub async fn check_app(
        &self,
        caller: &Caller,
        app: &str,
        id: TaskId,
        wanted: &[Right],
    ) -> Result<(), Error> {
        let rights = self.rights(caller, app).await?;
        if !rights.has(&[Right::Read]) {
            return Err(Error::task_not_found(id));
        }
        if !rights.has(wanted) {
            let message = format!("user {} needs the right to execute app {app}", caller.user);
            return Err(Error::new(Code::Forbidden, message));
        }
        Ok(())
    }

    /// The apps of a tenant on which the caller has the right to read.
    pub async fn readable(&self, caller: &Caller) -> Result<std::collections::HashSet<String>, Error> {
        let mut names = std::collections::HashSet::new();
        for app in self.0.all().await? {
            if app.tenant == caller.tenant && rights_on(caller, &app.grants).has(&[Right::Read]) {
                names.insert(app.name.clone());
            }
        }
        Ok(names)
    }
}
