//! Who may do what: scopes of a key, rights on an app. No keys and no secrets are seen here.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a key may be used for, as a family of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// AIMMS Tasks.
    Tasks,
    /// AIMMS session-manager.
    Session,
    /// Task Engine.
    Jobs,
    /// SymetryML Tasks.
    Streams,
    /// Apps, keys, grants and lanes of the own tenant.
    Admin,
}

impl Scope {
    /// Every scope, in the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Tasks, Self::Session, Self::Jobs, Self::Streams, Self::Admin];
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scope| scope.to_string().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            format!("'{text}' is no scope; the scopes are Tasks, Session, Jobs, Streams, Admin")
        })
    }
}

/// One right on an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// See the app and its tasks.
    Read,
    /// Publish further versions.
    Write,
    /// Create, interrupt and delete tasks.
    Execute,
}

/// The rights of one user on one app, as one record field each so that a grant reads plainly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// See the app and its tasks.
    #[serde(default)]
    pub read: bool,
    /// Publish further versions.
    #[serde(default)]
    pub write: bool,
    /// Create, interrupt and delete tasks.
    #[serde(default)]
    pub execute: bool,
}

impl Rights {
    /// Every right.
    pub const ALL: Self = Self { read: true, write: true, execute: true };

    /// Whether all of `wanted` are there.
    pub fn has(self, wanted: &[Right]) -> bool {
        wanted.iter().all(|right| match right {
            Right::Read => self.read,
            Right::Write => self.write,
            Right::Execute => self.execute,
        })
    }

    /// Reads `read,execute` in any order; an empty text takes every right away.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rights = Self::default();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "read" => rights.read = true,
                "write" => rights.write = true,
                "execute" => rights.execute = true,
                _ => return Err(format!("'{word}' is no right; the rights are read, write, execute")),
            }
        }
        Ok(rights)
    }
}

/// Who calls, as the credential says. Nothing of it ever comes from the request itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The tenant that the credential belongs to.
    pub tenant: String,
    /// The user of that tenant.
    pub user: String,
    /// The credential has scope Admin: every right on every app of its tenant.
    pub admin: bool,
}

/// The rights of a caller on one app, from the app's grants.
pub fn rights_on(caller: &Caller, grants: &BTreeMap<String, Rights>) -> Rights {
    if caller.admin {
        return Rights::ALL;
    }
    grants.get(&caller.user).copied().unwrap_or_default()
}

/// The most characters a tenant or user name may have.
pub const PRINCIPAL_CHARS_MAX: usize = 64;

/// Whether a text may name a tenant or a user. They go into keys and subjects, so the set is closed.
pub fn is_principal_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    !text.is_empty() && text.len() <= PRINCIPAL_CHARS_MAX && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_come_from_the_grant_or_from_admin() {
        let grants =
            BTreeMap::from([("ann".to_owned(), Rights { read: true, write: false, execute: false })]);
        let caller = |user: &str, admin| Caller { tenant: "t".into(), user: user.into(), admin };
        assert!(rights_on(&caller("ann", false), &grants).has(&[Right::Read]));
        assert!(!rights_on(&caller("ann", false), &grants).has(&[Right::Read, Right::Execute]));
        assert!(!rights_on(&caller("bob", false), &grants).has(&[Right::Read]));
        assert!(rights_on(&caller("bob", true), &grants).has(&[Right::Read, Right::Write, Right::Execute]));
    }

    #[test]
    fn rights_are_read_from_words() {
        assert_eq!(Rights::parse("execute, read"), Ok(Rights { read: true, write: false, execute: true }));
        assert_eq!(Rights::parse(""), Ok(Rights::default()));
        assert!(Rights::parse("read,all").is_err());
    }

    #[test]
    fn names_that_could_break_a_subject_are_no_names() {
        for bad in ["", ".", "a.b", "*", ">", "a b", "a\r\nb", "%41", "ü", "a/b", &"x".repeat(65)] {
            assert!(!is_principal_name(bad), "{bad:?}");
        }
        for good in ["demo", "a-b_C9", &"x".repeat(64)] {
            assert!(is_principal_name(good), "{good:?}");
        }
    }
}
