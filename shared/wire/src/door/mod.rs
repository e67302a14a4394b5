//! The door for programs: what a program with a broker user of its own may ask for, as JSON over NATS. Each
//! function answers for itself, as a NATS micro service; docs/nats.md is this, told to people.
//!
//! Who asks is never part of a request. Each program is an account of its own on the broker, and the broker
//! puts the program's tenant, user and rights into the subject on the way; see `names`.

pub mod config;
pub mod events;
pub mod names;
pub mod replies;
pub mod requests;
mod schema;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, Function};

/// The most bytes of a request, well below what the broker takes, so that one that is too large can be told so.
pub const REQUEST_BYTES_MAX: usize = 768 * 1024;

/// What a program may ask a function for.
pub trait Request: DeserializeOwned + Send + 'static {
    /// The last token of its subject.
    const WORD: &'static str;
    /// What it does, for people who list the services.
    const DESCRIPTION: &'static str;
    /// The reply.
    type Reply: Serialize + Send + 'static;
    /// The tenant that the request names, if it does.
    fn tenant(&self) -> Option<&str>;
    /// The JSON Schema of the request.
    fn request_schema() -> Value;
    /// The JSON Schema of the reply.
    fn reply_schema() -> Value;
}

/// What a function answers through the door, by the last tokens of the subjects.
pub fn words(function: Function) -> &'static [&'static str] {
    match function {
        Function::Create => &["create", "dead_letters"],
        Function::Status => &["status", "list", "response"],
        Function::Interrupt => &["interrupt"],
        Function::Delete => &["delete"],
        Function::Logs => &["logs"],
        Function::Provision
        | Function::Ingress
        | Function::Amend
        | Function::Callbacks
        | Function::Schedule
        | Function::Sessions
        | Function::Runner
        | Function::Report
        | Function::Admin
        | Function::Topics => &[],
    }
}

/// An error as programs get it, beside the headers `Nats-Service-Error` and `Nats-Service-Error-Code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused<'a> {
    /// The number that the REST APIs answer with.
    pub status: u16,
    /// The word of the code.
    pub code: crate::Code,
    /// What happened and what to do.
    pub message: &'a str,
}

impl<'a> Refused<'a> {
    /// What is told of an error; its detail is for the log alone.
    pub fn of(error: &'a Error) -> Self {
        Self { status: error.code.status(), code: error.code, message: &error.message }
    }
}
