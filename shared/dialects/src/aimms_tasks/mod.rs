//! The AIMMS PRO Tasks REST API (reference/aimms.md §1 and §2). Each version is a file with its own route
//! table; the files beside them hold what the versions share.

mod document;
mod list;
mod model;
mod request;
mod schedule;
mod v1;
mod v2;

pub use v1::V1;
pub use v2::V2;

pub(crate) use model::word as state_word;
