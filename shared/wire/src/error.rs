//! What a call may answer instead of its reply: a closed code, and a message for the caller.

use std::fmt;

use domain::task::input::Refusal;
use serde::{Deserialize, Serialize};

/// Why a call was refused. Each dialect gives every code its own status and shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A parameter, date, name or body is wrong.
    BadRequest,
    /// There is no valid credential.
    Unauthenticated,
    /// The credential lacks a scope or a right.
    Forbidden,
    /// There is no such thing, or it belongs to another tenant.
    NotFound,
    /// There is no such app or version.
    AppNotFound,
    /// The app has no version tagged as latest.
    LatestNotFound,
    /// There is no such task.
    TaskNotFound,
    /// The state of the task does not allow it.
    WrongState,
    /// It exists already.
    Conflict,
    /// The idempotency key was used for another request.
    KeyReused,
    /// The body is larger than allowed.
    TooLarge,
    /// The lane is full.
    LaneFull,
    /// The broker's storage is full.
    StorageFull,
    /// The broker or a function can't be reached now.
    Unavailable,
    /// No answer came in time.
    Timeout,
    /// A claim has been given to another runner since.
    StaleClaim,
    /// Our own fault.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 17] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::AppNotFound,
        Self::LatestNotFound,
        Self::TaskNotFound,
        Self::WrongState,
        Self::Conflict,
        Self::KeyReused,
        Self::TooLarge,
        Self::LaneFull,
        Self::StorageFull,
        Self::Unavailable,
        Self::Timeout,
        Self::StaleClaim,
        Self::Internal,
    ];

    /// The number of it, as HTTP has them; programs on the broker get the same.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound | Self::AppNotFound | Self::LatestNotFound | Self::TaskNotFound => 404,
            Self::WrongState => 405,
            Self::Conflict | Self::StaleClaim => 409,
            Self::TooLarge => 413,
            Self::KeyReused => 422,
            Self::LaneFull => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::Timeout => 504,
            Self::StorageFull => 507,
        }
    }
}

/// An error as it crosses the wire: `message` is for the caller, `detail` goes to the log alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What kind.
    pub code: Code,
    /// One sentence that tells the caller what to do.
    pub message: String,
    /// What happened inside; never shown to a caller, and never sent.
    #[serde(skip)]
    pub detail: Option<String>,
}

impl Error {
    /// An error with a message for the caller.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), detail: None }
    }

    /// An error of ours: the caller learns that it is, the log learns what.
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self {
            code: Code::Internal,
            message: "an internal error occurred; the log of the service has the details".to_owned(),
            detail: Some(detail.to_string()),
        }
    }

    /// The broker or a function is away.
    pub fn unavailable(detail: impl fmt::Display) -> Self {
        Self {
            code: Code::Unavailable,
            message: "the task service is not available at the moment; try again in a few seconds".to_owned(),
            detail: Some(detail.to_string()),
        }
    }

    /// There is no such task for this caller.
    pub fn task_not_found(id: impl fmt::Display) -> Self {
        Self::new(Code::TaskNotFound, format!("task {id} does not exist"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{:?}: {} ({detail})", self.code, self.message),
            None => write!(f, "{:?}: {}", self.code, self.message),
        }
    }
}

impl std::error::Error for Error {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let (code, message) = match refusal {
            Refusal::NotFound => (Code::TaskNotFound, "the task does not exist"),
            Refusal::KeyTaken => {
                (Code::KeyReused, "this Idempotency-Key was used for another request; use a new key")
            }
            Refusal::StaleEpoch => (Code::StaleClaim, "the task has been given to another runner"),
            Refusal::NotQueued => (Code::WrongState, "the task does not wait any more"),
            Refusal::NotStarted => {
                (Code::WrongState, "the task is queued, so there is nothing to interrupt; delete it instead")
            }
            Refusal::NotPaused => (Code::WrongState, "the task is not paused, so it can't be let go on"),
            Refusal::NotDue => (Code::WrongState, "the time of the task has not come"),
            Refusal::NotAStream => (Code::WrongState, "only a stream task can be started and stopped"),
            Refusal::StillActive => {
                (Code::WrongState, "the task is running; interrupt it first, then delete it")
            }
            Refusal::Ended => (Code::WrongState, "the task has ended"),
        };
        Self::new(code, message)
    }
}
