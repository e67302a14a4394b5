//! The broker binary: found or fetched, started as a child, ended with us.
//!
//! Everything here is synchronous; an async caller wraps it in `spawn_blocking`. Linux only, because the
//! child is tied to us by the kernel's parent death signal and orphans are looked up in `/proc`.

mod error;
mod fetch;
mod find;
mod lock;
mod orphan;
mod process;
mod ready;
mod server;
mod spawn;
mod version;

pub use error::StartError;
pub use find::{FindError, Found, Search, Source, find};
pub use lock::{DataLock, LockError};
pub use orphan::{Orphan, end_orphan};
pub use server::{Server, ServerOptions, Stopped};
pub use version::{PINNED, Version};

#[cfg(test)]
mod tests;
