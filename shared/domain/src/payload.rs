//! Bodies of requests and results: small ones lie in the record, large ones in the object store.

use serde::{Deserialize, Serialize};

/// Up to this many bytes a body lies inside the record. Every claim and report rewrites the record,
/// so the bound keeps that cheap; docs/benchmarks.md has the measurement behind the number.
pub const INLINE_BYTES_MAX: usize = 8 * 1024;

/// The most a body may have, each way (reference/aimms.md §1.7).
pub const BODY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A body and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Payload {
    /// The media type as it came, untouched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    /// Length in bytes.
    pub size: u64,
    /// Where the bytes are.
    #[serde(flatten)]
    pub place: Place,
}

/// Where the bytes of a body are. Text stays text so that a record can be read by eye.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// UTF-8, inside the record.
    Text(String),
    /// Any other bytes, inside the record, in base64.
    Base64(String),
    /// Name of an object in the `bodies` store.
    Object(String),
    /// There are none.
    #[default]
    Empty,
}

impl Payload {
    /// The name of the stored object, where the bytes are not inside the record.
    pub fn object(&self) -> Option<&str> {
        match &self.place {
            Place::Object(name) => Some(name),
            Place::Text(_) | Place::Base64(_) | Place::Empty => None,
        }
    }
}
