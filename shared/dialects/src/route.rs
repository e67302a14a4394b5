//! Routes, and requests as a dialect sees them.

use domain::{Scope, SessionId, TaskId, Timestamp};
use http::{HeaderMap, Method};
use wire::Error;
use wire::calls::sessions::session_not_found;

use crate::text;

/// One route of a dialect.
#[derive(Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path with `{name}` for each parameter, beginning with the mount.
    pub path: &'static str,
    /// Its operation id.
    pub operation: &'static str,
    /// Which key the caller needs.
    pub access: Access,
    /// What body it takes.
    pub body: BodyKind,
}

/// Which key a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// None at all.
    Open,
    /// Any valid one.
    AnyKey,
    /// A valid one with this scope.
    Scope(Scope),
    /// None, unless a setting asks for it; one that is shown must be valid and have this scope.
    Optional(Scope),
}

/// What body a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// None; one that comes is ignored up to a small bound.
    None,
    /// Up to so many bytes, handed to `decode`.
    Small(usize),
    /// Up to so many bytes, streamed to where the plan says and never held.
    Streamed(u64),
}

/// A request as a dialect sees it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// The method.
    pub method: &'r Method,
    /// The path as it was sent, which is what clients sign.
    pub raw_path: &'r str,
    /// The normal path: no doubled and no trailing slashes, still percent-encoded.
    pub path: &'r str,
    /// The values of the route's parameters, decoded, in the order of the path.
    pub parameters: &'r [(&'static str, String)],
    /// The raw query.
    pub query: &'r str,
    /// The headers.
    pub headers: &'r HeaderMap,
    /// The body of a `Small` route, otherwise empty.
    pub body: &'r [u8],
    /// When it came; while encoding, when it is answered.
    pub now: Timestamp,
}

impl Request<'_> {
    /// The value of a path parameter.
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// A path parameter that must be a session id. What is no id is no session, so the answer is the same.
    pub fn session_id(&self, name: &str) -> Result<SessionId, Error> {
        let text = self.parameter(name);
        text.parse().map_err(|_| session_not_found(text::shown(text)))
    }

    /// A path parameter that must be a task id. What is no id is no task, so the answer is the same.
    pub fn task_id(&self, name: &str) -> Result<TaskId, Error> {
        let text = self.parameter(name);
        text.parse().map_err(|_| Error::task_not_found(text::shown(text)))
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
