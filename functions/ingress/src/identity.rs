//! Who calls: from the text of an API key to a tenant, a user and what the key may be used for. The secret
//! itself is nowhere; what is compared is its HMAC.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::{Broker, Bucket, View};
use dialects::Access;
use domain::{Caller, Scope, SessionId, Timestamp};
use service::clock;
use service::keys::{self, Pepper, Presented};
use tokio::time::Instant;
use wire::records::ApiKey;
use wire::topology::KEYS;
use wire::{Code, Error};

/// How long an id counts as unknown without asking again. A key that is made meanwhile works after it.
const UNKNOWN_FOR: Duration = Duration::from_millis(500);
/// Ids that are remembered as unknown.
const UNKNOWN_MAX: usize = 4096;

/// The keys, for checking them.
pub struct Identity {
    keys: View<ApiKey>,
    pepper: Pepper,
    unknown: Unknown,
    /// Routes whose key is optional do without one.
    open_reads: bool,
}

impl Identity {
    /// Begins to follow the keys.
    pub fn follow(broker: &Broker, pepper: Pepper, open_reads: bool) -> Self {
        let keys = View::follow(Bucket::new(broker, KEYS));
        Self { keys, pepper, unknown: Unknown::default(), open_reads }
    }

    /// The caller, if the key is valid and may be used for this; `None` for a route that is open to all.
    pub async fn caller(&self, access: Access, credential: Option<&str>) -> Result<Option<Caller>, Error> {
        let scope = match access {
            Access::Open => return Ok(None),
            Access::AnyKey => None,
            Access::Optional(_) if credential.is_none() && self.open_reads => return Ok(None),
            Access::Scope(scope) | Access::Optional(scope) => Some(scope),
        };
        let text = credential.ok_or_else(|| refused("this request needs an API key, sent exactly once"))?;
        let presented = keys::present(text).ok_or_else(|| refused(NOT_VALID))?;
        let stored = self.stored(presented.id).await?;
        check(&self.pepper, &presented, stored.as_deref(), scope, clock::now()).map(Some)
    }

    /// What opens one page for twelve hours without the key that it is made from, which must stay valid.
    pub fn ticket(&self, credential: Option<&str>, session: SessionId) -> Option<String> {
        let key = keys::present(credential?)?.id;
        let until = clock::now().plus_millis(TICKET_MILLIS).micros();
        let seal = self.pepper.seal(&sealed(session, key, until));
        Some(format!("{key}.{until}.{seal}"))
    }

    /// Whose ticket this is, if it opens the page.
    pub async fn by_ticket(&self, ticket: &str, session: SessionId) -> Result<Caller, Error> {
        let wrong = || refused("the ticket does not open this page, or not any more; start a session anew");
        let mut parts = ticket.splitn(3, '.');
        let (Some(key), Some(until), Some(seal)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let until = until.parse().map_err(|_| wrong())?;
        let now = clock::now();
        if !self.pepper.is_seal(&sealed(session, key, until), seal) || now.micros() >= until {
            return Err(wrong());
        }
        let stored = self.stored(key).await?.ok_or_else(wrong)?;
        valid(&stored, Some(Scope::Session), now)
    }

    async fn stored(&self, id: &str) -> Result<Option<Arc<ApiKey>>, Error> {
        if self.unknown.has(id, Instant::now()) {
            return Ok(None);
        }
        let stored = self.keys.get(id).await?;
        if stored.is_none() {
            self.unknown.add(id, Instant::now());
        }
        Ok(stored)
    }
}

/// How long a ticket opens its page.
const TICKET_MILLIS: i64 = 12 * 3600 * 1000;

fn sealed(session: SessionId, key: &str, until: i64) -> String {
    format!("page {session} {key} {until}")
}

const NOT_VALID: &str = "the API key is not valid";

fn refused(message: &str) -> Error {
    Error::new(Code::Unauthenticated, message)
}

/// What a stored key says about a presented one. Whether an id is known is not told to who lacks the secret.
fn check(
    pepper: &Pepper,
    presented: &Presented<'_>,
    stored: Option<&ApiKey>,
    scope: Option<Scope>,
    now: Timestamp,
) -> Result<Caller, Error> {
    let matches = pepper.matches(presented, stored.map(|key| key.hash.as_str()));
    valid(stored.filter(|_| matches).ok_or_else(|| refused(NOT_VALID))?, scope, now)
}

/// The caller of a key, if it is valid at this moment and may be used for this.
fn valid(key: &ApiKey, scope: Option<Scope>, now: Timestamp) -> Result<Caller, Error> {
    if key.revoked_at.is_some() {
        return Err(refused("the API key was revoked; ask for a new one"));
    }
    if key.expires_at <= now {
        return Err(refused(&format!("the API key expired at {}; ask for a new one", key.expires_at)));
    }
    if let Some(scope) = scope.filter(|scope| !key.scopes.contains(scope)) {
        return Err(Error::new(Code::Forbidden, format!("the API key lacks the scope {scope}")));
    }
    let admin = key.scopes.contains(&Scope::Admin);
    Ok(Caller { tenant: key.tenant.clone(), user: key.user.clone(), admin })
}

/// Ids that were asked for a moment ago and are not there, so that a wrong key that is sent again and again
/// costs the broker two reads a second.
#[derive(Default)]
pub struct Unknown(Mutex<HashMap<String, Instant>>);

impl Unknown {
    /// Whether the id is remembered.
    pub fn has(&self, id: &str, now: Instant) -> bool {
        // A poisoned lock costs the shortcut, not the answer.
        let Ok(ids) = self.0.lock() else { return false };
        ids.get(id).is_some_and(|since| now.duration_since(*since) < UNKNOWN_FOR)
    }

    /// Remembers the id.
    pub fn add(&self, id: &str, now: Instant) {
        let Ok(mut ids) = self.0.lock() else { return };
        // To begin anew is the cheapest way to stay within the bound while somebody tries many ids.
        if ids.len() >= UNKNOWN_MAX {
            ids.clear();
        }
        ids.insert(id.to_owned(), now);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pepper() -> Pepper {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&[7; 32]).unwrap();
        Pepper::read(file.path()).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_key_is_checked_in_the_order_secret_revoked_expired_scope() {
        let pepper = pepper();
        let new = pepper.new_key().unwrap();
        let other = pepper.new_key().unwrap();
        let stored = ApiKey {
            id: new.id.clone(),
            hash: new.hash.clone(),
            tenant: "demo".to_owned(),
            user: "ann".to_owned(),
            scopes: vec![Scope::Tasks],
            created_at: at(0),
            expires_at: at(100),
            revoked_at: None,
        };
        let check = |text: &str, stored: Option<&ApiKey>, scope, now| {
            check(&pepper, &keys::present(text).unwrap(), stored, scope, now)
        };
        let caller = check(&new.text, Some(&stored), Some(Scope::Tasks), at(99)).unwrap();
        assert_eq!((caller.tenant.as_str(), caller.user.as_str(), caller.admin), ("demo", "ann", false));
        assert!(check(&new.text, Some(&stored), None, at(99)).is_ok());

        let wrong = check(&other.text, Some(&stored), None, at(1)).unwrap_err();
        assert_eq!(
            wrong,
            check(&new.text, None, None, at(1)).unwrap_err(),
            "unknown and wrong look the same"
        );
        assert_eq!(wrong.code, Code::Unauthenticated);

        let expired = check(&new.text, Some(&stored), Some(Scope::Admin), at(100)).unwrap_err();
        assert!(expired.code == Code::Unauthenticated && expired.message.contains("expired"));
        let revoked = ApiKey { revoked_at: Some(at(1)), ..stored.clone() };
        let revoked = check(&new.text, Some(&revoked), None, at(100)).unwrap_err();
        assert!(revoked.code == Code::Unauthenticated && revoked.message.contains("revoked"));
        let lacking = check(&new.text, Some(&stored), Some(Scope::Admin), at(99)).unwrap_err();
        assert!(lacking.code == Code::Forbidden && lacking.message.contains("Admin"));

        let admin = ApiKey { scopes: vec![Scope::Admin], ..stored };
        assert!(check(&new.text, Some(&admin), None, at(99)).unwrap().admin);
    }

    #[test]
    fn an_unknown_id_is_asked_for_again_after_half_a_second() {
        let (unknown, now) = (Unknown::default(), Instant::now());
        assert!(!unknown.has("a", now));
        unknown.add("a", now);
        assert!(unknown.has("a", now + UNKNOWN_FOR / 2));
        assert!(!unknown.has("a", now + UNKNOWN_FOR));
    }

    #[test]
    fn a_flood_of_ids_takes_no_more_than_its_place() {
        let (unknown, now) = (Unknown::default(), Instant::now());
        for index in 0..=UNKNOWN_MAX {
            unknown.add(&index.to_string(), now);
            assert!(unknown.has(&index.to_string(), now));
        }
        assert!(unknown.0.lock().unwrap().len() <= UNKNOWN_MAX);
    }
}
