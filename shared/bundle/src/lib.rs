//! App folders: the app.toml manifest, and bundles packed and unpacked safely.
