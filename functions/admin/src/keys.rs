//! API keys: made, listed without secrets, revoked by a record.

use domain::access::is_principal_name;
use domain::{Caller, Scope, Timestamp};
use service::clock;
use wire::calls::admin::{AdminReply, KeyCreated, KeyShown};
use wire::records::ApiKey;
use wire::{Code, Error};

use crate::{Admin, shown};

/// A key lives at most one year (reference/aimms.md §3).
const LIFE_MAX_MILLIS: i64 = 365 * 24 * 3600 * 1000;
/// A date that names the day one year ahead means its end, in any zone.
const LIFE_SLACK_MILLIS: i64 = 2 * 24 * 3600 * 1000;

impl Admin {
    pub(crate) async fn create_key(
        &self,
        tenant: String,
        user: String,
        mut scopes: Vec<Scope>,
        expires_at: Option<Timestamp>,
    ) -> Result<AdminReply, Error> {
        if self.tenants.get(&tenant_key(&tenant)?).await?.is_none() {
            return Err(Error::new(Code::NotFound, format!("tenant {} does not exist", shown(&tenant))));
        }
        if !is_principal_name(&user) {
            let message =
                format!("'{}' can't name a user: 1 to 64 letters, digits, '-' or '_'", shown(&user));
            return Err(Error::new(Code::BadRequest, message));
        }
        scopes.sort();
        scopes.dedup();
        if scopes.is_empty() {
            return Err(Error::new(Code::BadRequest, "a key needs at least one scope"));
        }
        let now = clock::now();
        let expires_at = expires_at.unwrap_or_else(|| now.plus_millis(LIFE_MAX_MILLIS));
        if expires_at > now.plus_millis(LIFE_MAX_MILLIS + LIFE_SLACK_MILLIS) {
            return Err(Error::new(Code::BadRequest, "a key is valid for one year at the most"));
        }
        let key = self.pepper.new_key()?;
        let record = ApiKey {
            id: key.id.clone(),
            hash: key.hash,
            tenant,
            user,
            scopes,
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        self.keys.write(&key.id, 0, &record).await?;
        Ok(AdminReply::KeyCreated(KeyCreated { api_key: key.text, key_id: key.id, expires_at }))
    }

    pub(crate) async fn list_keys(&self, tenant: &str) -> Result<AdminReply, Error> {
        let all = self.key_list.all().await?;
        let mut keys: Vec<KeyShown> =
            all.iter().filter(|key| key.tenant == tenant).map(|key| show(key)).collect();
        keys.sort_by(|a, b| a.created_at.cmp(&b.created_at).then_with(|| a.key_id.cmp(&b.key_id)));
        Ok(AdminReply::Keys(keys))
    }

    /// A key of another tenant is one that does not exist.
    pub(crate) async fn revoke_key(&self, caller: &Caller, key_id: &str) -> Result<AdminReply, Error> {
        let missing = || Error::new(Code::NotFound, format!("key {} does not exist", shown(key_id)));
        if key_id.is_empty() || !key_id.chars().all(|c| c.is_ascii_alphanumeric()) || key_id.len() > 64 {
            return Err(missing());
        }
        let revoked = self
            .keys
            .update(key_id, |found| {
                let mut key = found.ok_or_else(missing)?;
                self.may_act_for(caller, &key.tenant).map_err(|_| missing())?;
                key.revoked_at = key.revoked_at.or_else(|| Some(clock::now()));
                Ok(Some(key))
            })
            .await?;
        Ok(AdminReply::Keys(revoked.iter().map(show).collect()))
    }
}

/// Tenant names come from callers here, and go into a key.
fn tenant_key(tenant: &str) -> Result<String, Error> {
    if is_principal_name(tenant) {
        return Ok(tenant.to_owned());
    }
    Err(Error::new(Code::NotFound, format!("tenant {} does not exist", shown(tenant))))
}

fn show(key: &ApiKey) -> KeyShown {
    KeyShown {
        key_id: key.id.clone(),
        tenant: key.tenant.clone(),
        user: key.user.clone(),
        scopes: key.scopes.clone(),
        created_at: key.created_at,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
    }
}
