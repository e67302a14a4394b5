//! API keys: made, listed without secrets, revoked by a record.

use domain::access::is_principal_name;
use domain::{Caller, Scope, Timestamp};
use service::clock;
use wire::calls::admin::{AdminReply, KeyCreated, KeyKind, KeyShown};
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
        self.check_holder(&tenant, &user).await?;
        scopes.sort();
        scopes.dedup();
        if scopes.is_empty() {
            return Err(Error::new(Code::BadRequest, "a key needs at least one scope"));
        }
        let now = clock::now();
        let expires_at = end_of_life(expires_at, now)?;
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

    /// Refuses a key for a tenant that is not there, or a user that can't be.
    pub(crate) async fn check_holder(&self, tenant: &str, user: &str) -> Result<(), Error> {
        if self.tenants.get(&tenant_key(tenant)?).await?.is_none() {
            return Err(Error::new(Code::NotFound, format!("tenant {} does not exist", shown(tenant))));
        }
        if !is_principal_name(user) {
            let message = format!("'{}' can't name a user: 1 to 64 letters, digits, '-' or '_'", shown(user));
            return Err(Error::new(Code::BadRequest, message));
        }
        Ok(())
    }

    pub(crate) async fn list_keys(&self, tenant: &str) -> Result<AdminReply, Error> {
        let all = self.key_list.all().await?;
        let mut keys: Vec<KeyShown> =
            all.iter().filter(|key| key.tenant == tenant).map(|key| show(key)).collect();
        keys.extend(self.signing_keys(tenant).await?);
        keys.sort_by(|a, b| a.created_at.cmp(&b.created_at).then_with(|| a.key_id.cmp(&b.key_id)));
        Ok(AdminReply::Keys(keys))
    }

    /// A key of another tenant is one that does not exist.
    pub(crate) async fn revoke_key(&self, caller: &Caller, key_id: &str) -> Result<AdminReply, Error> {
        let missing = || Error::new(Code::NotFound, format!("key {} does not exist", shown(key_id)));
        if key_id.is_empty() || !key_id.chars().all(|c| c.is_ascii_alphanumeric()) || key_id.len() > 64 {
            return Err(missing());
        }
        if let Some(revoked) = self.revoke_signing_key(caller, key_id).await? {
            return Ok(AdminReply::Keys(vec![revoked]));
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

/// Until when a key is valid that was asked for until then.
pub(crate) fn end_of_life(asked: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, Error> {
    let expires_at = asked.unwrap_or_else(|| now.plus_millis(LIFE_MAX_MILLIS));
    if expires_at <= now {
        let message = format!("a key that expires at {expires_at} would never be valid; name a later date");
        return Err(Error::new(Code::BadRequest, message));
    }
    if expires_at > now.plus_millis(LIFE_MAX_MILLIS + LIFE_SLACK_MILLIS) {
        return Err(Error::new(Code::BadRequest, "a key is valid for one year at the most"));
    }
    Ok(expires_at)
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
        kind: KeyKind::Api,
        tenant: key.tenant.clone(),
        user: key.user.clone(),
        scopes: key.scopes.clone(),
        created_at: key.created_at,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
    }
}
