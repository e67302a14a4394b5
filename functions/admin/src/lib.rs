//! `admin`: tenants, keys, apps, grants, lane limits and the settings of the Task Engine. The only writer of their buckets.

mod apps;
mod bootstrap;
mod keys;
mod lanes;
mod settings;
mod signing;

use std::sync::Arc;

use broker::body::Bodies;
use broker::{Broker, Bucket, View};
use domain::Caller;
use domain::access::is_principal_name;
use domain::lane::LaneLimits;
use service::keys::Pepper;
use service::master_key::MasterKey;
use service::{Context, RunError, clock, serve};
use wire::calls::admin::{AdminOrder, AdminReply, AdminRequest};
use wire::records::{ApiKey, App, EngineSettings, Signer, Tenant};
use wire::topology::{APPS, BUNDLES, KEYS, LANES, SETTINGS, SIGNERS, TENANTS};
use wire::{Code, Error, subjects};

pub use bootstrap::{OPERATOR_KEY_FILE, OPERATOR_SECRET_FILE};

/// Serves until it is stopped.
pub async fn run(context: Context) -> Result<(), RunError> {
    let function = Arc::new(Admin::new(&context)?);
    function.bootstrap(&context.settings).await.map_err(RunError::from_text)?;
    serve(&context, move |request| {
        let function = Arc::clone(&function);
        async move { function.handle(request).await }
    })
    .await
}

/// The function with what it writes.
struct Admin {
    broker: Broker,
    operator: String,
    pepper: Pepper,
    master_key: MasterKey,
    tenants: Bucket<Tenant>,
    tenant_list: View<Tenant>,
    keys: Bucket<ApiKey>,
    key_list: View<ApiKey>,
    signers: Bucket<Signer>,
    signer_list: View<Signer>,
    apps: Bucket<App>,
    app_list: View<App>,
    lanes: Bucket<LaneLimits>,
    settings: Bucket<EngineSettings>,
    bundles: Bodies,
}

impl Admin {
    fn new(context: &Context) -> Result<Self, RunError> {
        let broker = context.broker.clone();
        let (tenants, keys, apps) =
            (Bucket::new(&broker, TENANTS), Bucket::new(&broker, KEYS), Bucket::new(&broker, APPS));
        let signers = Bucket::new(&broker, SIGNERS);
        Ok(Self {
            operator: context.settings.operator.clone(),
            pepper: Pepper::read(&context.settings.pepper).map_err(RunError)?,
            master_key: MasterKey::read(&context.settings.master_key).map_err(RunError)?,
            tenant_list: View::follow(tenants.clone()),
            tenants,
            key_list: View::follow(keys.clone()),
            keys,
            app_list: View::follow(apps.clone()),
            signer_list: View::follow(signers.clone()),
            signers,
            apps,
            lanes: Bucket::new(&broker, LANES),
            settings: Bucket::new(&broker, SETTINGS),
            bundles: Bodies::new(&broker, BUNDLES),
            broker,
        })
    }

    /// Does one order. That the key has scope Admin, or Jobs for what belongs to the Task Engine, was checked
    /// at the door; here it is checked whose things it may touch.
    async fn handle(&self, request: AdminRequest) -> Result<AdminReply, Error> {
        let caller = request.caller;
        match request.order {
            AdminOrder::TenantCreate { name } => self.create_tenant(&caller, name).await,
            AdminOrder::TenantList => self.list_tenants(&caller).await,
            AdminOrder::KeyCreate { tenant, user, scopes, expires_at } => {
                self.may_act_for(&caller, &tenant)?;
                self.create_key(tenant, user, scopes, expires_at).await
            }
            AdminOrder::SigningKeyCreate { tenant, user, expires_at } => {
                self.may_act_for(&caller, &tenant)?;
                self.create_signing_key(tenant, user, expires_at).await
            }
            AdminOrder::KeyList { tenant } => {
                self.may_act_for(&caller, &tenant)?;
                self.list_keys(&tenant).await
            }
            AdminOrder::KeyRevoke { key_id } => self.revoke_key(&caller, &key_id).await,
            AdminOrder::AppPublish { bundle, latest } => self.publish(&caller, bundle, latest).await,
            AdminOrder::AppList => self.list_apps(&caller).await,
            AdminOrder::Grant { app, user, rights } => self.grant(&caller, &app, user, rights).await,
            AdminOrder::LaneSet { name, change } => self.set_lane(&caller, &name, &change).await,
            AdminOrder::LaneList => self.list_lanes(&caller).await,
            AdminOrder::SettingSet { name, value } => self.set_setting(name, value).await,
            AdminOrder::SchedulerSet { schedule, active } => self.set_scheduler(&schedule, active).await,
            AdminOrder::Schedules => self.schedules().await,
        }
    }

    fn is_operator(&self, caller: &Caller) -> bool {
        caller.admin && caller.tenant == self.operator
    }

    /// Another tenant's things look as if they were not there.
    fn may_act_for(&self, caller: &Caller, tenant: &str) -> Result<(), Error> {
        if caller.tenant == tenant || self.is_operator(caller) {
            return Ok(());
        }
        Err(Error::new(Code::NotFound, format!("tenant {} does not exist", shown(tenant))))
    }

    async fn create_tenant(&self, caller: &Caller, name: String) -> Result<AdminReply, Error> {
        if !self.is_operator(caller) {
            let message = "only an Admin key of the operator's tenant may create tenants";
            return Err(Error::new(Code::Forbidden, message));
        }
        if !is_principal_name(&name) || name == subjects::ROOT || name == "SYS" {
            let message =
                format!("'{}' can't name a tenant: 1 to 64 letters, digits, '-' or '_'", shown(&name));
            return Err(Error::new(Code::BadRequest, message));
        }
        let new = Tenant { name: name.clone(), created_at: clock::now() };
        let taken = |found: Option<Tenant>| match found {
            Some(_) => Err(Error::new(Code::Conflict, format!("tenant {name} exists already"))),
            None => Ok(Some(new.clone())),
        };
        self.tenants.update(&name, taken).await?;
        Ok(AdminReply::Tenants(vec![new]))
    }

    async fn list_tenants(&self, caller: &Caller) -> Result<AdminReply, Error> {
        let all = self.tenant_list.all().await?;
        let mut seen: Vec<Tenant> = all
            .iter()
            .filter(|tenant| self.is_operator(caller) || tenant.name == caller.tenant)
            .map(|tenant| (**tenant).clone())
            .collect();
        seen.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(AdminReply::Tenants(seen))
    }
}

/// A caller's text, short and printable, for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
