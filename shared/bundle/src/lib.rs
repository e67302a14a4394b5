//! App folders: the `app.toml` manifest, and bundles packed and unpacked safely.
//! A bundle is a tar.gz of an app folder; it comes from strangers, so all reading of it is bounded and checked.
//! Everything here blocks on files and gzip: call it from a blocking thread, not from an async task.

mod archive;
mod bounds;
mod error;
pub mod manifest;
mod members;
mod meter;
pub mod pack;
mod paths;
mod read;
#[cfg(test)]
mod tests;
pub mod unpack;

pub use bounds::Bounds;
pub use error::BundleError;
pub use manifest::{Manifest, ManifestError};
pub use pack::{Packed, digest, pack_directory};
pub use read::read_manifest;
pub use unpack::{Unpacked, remove_leftovers, unpack};

/// The manifest's place in the app folder and in the bundle.
pub(crate) const MANIFEST_FILE: &str = "app.toml";

/// The largest `app.toml` that is read, in bytes; a thousand services fit.
pub(crate) const MANIFEST_BYTES: u64 = 256 * 1024;
