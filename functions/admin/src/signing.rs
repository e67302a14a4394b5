//! Signing keys, which SymetryML calls secrets: made, listed without the secret, revoked. A tenant may have a
//! few at once: to rotate, make a new one, change the clients over, and revoke the old one.

use domain::{Caller, Scope, Timestamp};
use service::clock;
use service::master_key::new_signing_key;
use wire::calls::admin::{AdminReply, KeyKind, KeyShown, SigningKeyCreated};
use wire::records::{Signer, SigningKey};
use wire::{Code, Error};

use crate::Admin;
use crate::keys::end_of_life;

/// Live keys of one tenant. Each is tried against a signature, so the bound keeps a wrong one cheap.
const KEYS_MAX: usize = 8;

impl Admin {
    pub(crate) async fn create_signing_key(
        &self,
        tenant: String,
        user: String,
        expires_at: Option<Timestamp>,
    ) -> Result<AdminReply, Error> {
        self.check_holder(&tenant, &user).await?;
        let now = clock::now();
        let expires_at = end_of_life(expires_at, now)?;
        let (id, secret) = new_signing_key()?;
        let sealed = self.master_key.seal(&secret, &tenant)?;
        let key = SigningKey { id: id.clone(), sealed, user, created_at: now, expires_at, revoked_at: None };
        let add = |found: Option<Signer>| add_key(found, &tenant, &key, now).map(Some);
        self.signers.update(&tenant, add).await?;
        Ok(AdminReply::SigningKeyCreated(SigningKeyCreated { cid: tenant, secret, key_id: id, expires_at }))
    }

    pub(crate) async fn signing_keys(&self, tenant: &str) -> Result<Vec<KeyShown>, Error> {
        let all = self.signer_list.all().await?;
        let of_tenant = all.iter().filter(|signer| signer.tenant == tenant);
        Ok(of_tenant.flat_map(|signer| signer.keys.iter().map(|key| show(tenant, key))).collect())
    }

    /// Revokes the key if it is a signing key; `None` if it is none.
    pub(crate) async fn revoke_signing_key(
        &self,
        caller: &Caller,
        key_id: &str,
    ) -> Result<Option<KeyShown>, Error> {
        let all = self.signer_list.all().await?;
        let Some(signer) = all.iter().find(|signer| signer.keys.iter().any(|key| key.id == key_id)) else {
            return Ok(None);
        };
        if self.may_act_for(caller, &signer.tenant).is_err() {
            return Ok(None);
        }
        let now = clock::now();
        let revoke = |found: Option<Signer>| {
            let mut signer = found.ok_or_else(|| Error::internal("a signer vanished"))?;
            for key in signer.keys.iter_mut().filter(|key| key.id == key_id) {
                key.revoked_at = key.revoked_at.or(Some(now));
            }
            Ok(Some(signer))
        };
        let revoked = self.signers.update(&signer.tenant, revoke).await?;
        let keys = revoked.iter().flat_map(|signer| &signer.keys);
        Ok(keys.filter(|key| key.id == key_id).map(|key| show(&signer.tenant, key)).next())
    }
}

/// The tenant's keys with one more. Where the place is needed, those that sign no longer give it up.
fn add_key(found: Option<Signer>, tenant: &str, key: &SigningKey, now: Timestamp) -> Result<Signer, Error> {
    let mut signer = found.unwrap_or_else(|| Signer { tenant: tenant.to_owned(), keys: Vec::new() });
    if signer.keys.len() >= KEYS_MAX {
        signer.keys.retain(|key| key.is_live(now));
    }
    if signer.keys.len() >= KEYS_MAX {
        let message =
            format!("tenant {tenant} has {KEYS_MAX} signing keys, which is the most; revoke one first");
        return Err(Error::new(Code::Conflict, message));
    }
    signer.keys.push(key.clone());
    Ok(signer)
}

fn show(tenant: &str, key: &SigningKey) -> KeyShown {
    KeyShown {
        key_id: key.id.clone(),
        kind: KeyKind::Symetry,
        tenant: tenant.to_owned(),
        user: key.user.clone(),
        scopes: vec![Scope::Streams],
        created_at: key.created_at,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_few_keys_and_dead_ones_give_way() {
        let at = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        let key = |id: usize| SigningKey {
            id: id.to_string(),
            sealed: String::new(),
            user: "ann".to_owned(),
            created_at: at(0),
            expires_at: at(100),
            revoked_at: None,
        };
        let mut signer = add_key(None, "demo", &key(0), at(1)).unwrap();
        for id in 1..KEYS_MAX {
            signer = add_key(Some(signer), "demo", &key(id), at(1)).unwrap();
        }
        assert_eq!(add_key(Some(signer.clone()), "demo", &key(9), at(1)).unwrap_err().code, Code::Conflict);
        signer.keys[3].revoked_at = Some(at(1));
        let signer = add_key(Some(signer), "demo", &key(9), at(2)).unwrap();
        assert_eq!(signer.keys.len(), KEYS_MAX);
        assert!(signer.keys.iter().all(|key| key.id != "3"));
        assert_eq!(add_key(Some(signer), "demo", &key(10), at(100)).unwrap().keys.len(), 1, "expired");
    }
}
