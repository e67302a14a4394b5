//! What can be asked about sessions, whatever they are for.

use domain::session::list::SessionQuery;
use domain::{SessionId, SessionKind};
use serde::{Deserialize, Serialize};
use wire::calls::logs::LineFilter;

/// What can be asked about sessions. A kind of `None` is any.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionOrder {
    /// Many. Outcome: `SessionPage`.
    List(SessionQuery),
    /// One. Outcome: `Session`.
    Get {
        /// What it is for.
        kind: Option<SessionKind>,
        /// Which.
        id: SessionId,
    },
    /// Start one that serves a page. Outcome: `Started`.
    Start {
        /// Of which app.
        app: String,
        /// Of which version; `None` is the one tagged as latest.
        version: Option<String>,
    },
    /// End one with all its processes. Outcome: `Session`.
    Terminate {
        /// What it is for.
        kind: Option<SessionKind>,
        /// Which.
        id: SessionId,
    },
    /// Lines of its log. Outcome: `Logs`.
    Logs {
        /// What it is for.
        kind: Option<SessionKind>,
        /// Which.
        id: SessionId,
        /// Lines to leave out.
        offset: u64,
        /// Lines of the page.
        limit: u64,
        /// Wait for a line so many milliseconds.
        wait_ms: u64,
        /// Which lines.
        #[serde(default, skip_serializing_if = "LineFilter::is_empty")]
        filter: LineFilter,
        /// Tell how many there are.
        count: bool,
    },
    /// Its whole log as text, as far as it goes now. Outcome: `LogText`.
    LogText {
        /// What it is for.
        kind: Option<SessionKind>,
        /// Which.
        id: SessionId,
    },
}
