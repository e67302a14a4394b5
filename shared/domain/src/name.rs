//! Names that many tasks have in common: of a tenant, a user, an app. A copy shares the text, so that what is held of
//! a hundred thousand tasks holds each name once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        self
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<&String> for Name {
    fn from(text: &String) -> Self {
        Self(text.as_str().into())
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        (*name).to_owned()
    }
}

impl PartialEq<String> for Name {
    fn eq(&self, other: &String) -> bool {
        **self == **other
    }
}

impl PartialEq<Name> for String {
    fn eq(&self, other: &Name) -> bool {
        **self == **other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// The names that are held somewhere, each once.
#[derive(Debug, Default)]
pub struct Names {
    held: HashSet<Name>,
    /// So many may gather until those that nobody else holds any more are let go.
    most: usize,
}

/// Fewer names than this are not looked through.
const LEAST: usize = 1024;

impl Names {
    /// The same name, sharing its text with those that were asked for before.
    pub fn shared(&mut self, name: &str) -> Name {
        if let Some(held) = self.held.get(name) {
            return held.clone();
        }
        if self.held.len() >= self.most {
            self.held.retain(|held| Arc::strong_count(&held.0) > 1);
            self.most = (2 * self.held.len()).max(LEAST);
        }
        let name = Name::from(name);
        self.held.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_once_and_let_go_with_its_last_holder() {
        let mut names = Names::default();
        let (first, second) = (names.shared("demo"), names.shared("demo"));
        assert!(Arc::ptr_eq(&first.0, &second.0));
        for index in 0..2 * LEAST {
            names.shared(&index.to_string());
        }
        assert!(names.held.len() <= LEAST, "nobody holds them");
        assert!(Arc::ptr_eq(&first.0, &names.shared("demo").0), "this one is held");
    }
}
