//! App bundles: fetched and unpacked once per version, checked against their digest, then only read.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use broker::body::{BlockingReader, Bodies};
use bundle::{Bounds, Manifest};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;
use wire::Error;

/// An unpacked app.
pub struct App {
    /// Where it lies.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// Why an app can't be had.
pub enum NoApp {
    /// The broker is away; later it may work.
    Later(Error),
    /// The bundle itself is no good.
    Never(String),
}

type Cell = Arc<OnceCell<Arc<App>>>;

/// The apps of this runner.
pub struct Bundles {
    store: Bodies,
    folder: PathBuf,
    cells: Mutex<HashMap<String, Cell>>,
}

impl Bundles {
    /// Fetches from `store`, unpacks into `folder`.
    pub fn new(store: Bodies, folder: PathBuf) -> Self {
        Self { store, folder, cells: Mutex::default() }
    }

    /// The app of a bundle. Many that ask at once wait for one fetch.
    pub async fn get(&self, digest: &str) -> Result<Arc<App>, NoApp> {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            Arc::clone(cells.entry(digest.to_owned()).or_default())
        };
        cell.get_or_try_init(|| self.fetch(digest)).await.map(Arc::clone)
    }

    async fn fetch(&self, digest: &str) -> Result<Arc<App>, NoApp> {
        let is_digest = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_digest {
            return Err(NoApp::Never("the app's bundle has no valid digest; publish it again".to_owned()));
        }
        let folder = self.folder.join(digest);
        if !folder.join("app.toml").exists() {
            let size = self.store.size(digest).await.map_err(NoApp::Later)?;
            let size =
                size.ok_or_else(|| NoApp::Never("the app's bundle is gone; publish it again".to_owned()))?;
            let reader = BlockingReader::new(self.store.read(digest, size));
            let (target, digest) = (folder.clone(), digest.to_owned());
            let unpacked = tokio::task::spawn_blocking(move || unpack(reader, &target, &digest)).await;
            unpacked.map_err(|e| NoApp::Later(Error::internal(e)))??;
        }
        let text =
            std::fs::read_to_string(folder.join("app.toml")).map_err(|e| NoApp::Never(e.to_string()))?;
        let manifest = Manifest::parse(&text).map_err(|e| NoApp::Never(e.to_string()))?;
        Ok(Arc::new(App { folder, manifest }))
    }
}

/// Counts the bytes into the digest on their way.
struct Hashed<R> {
    reader: R,
    digest: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(into)?;
        self.digest.update(into.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// A bundle that is not what its name says is removed again, before anything was started from it.
fn unpack(reader: BlockingReader, folder: &Path, digest: &str) -> Result<(), NoApp> {
    let mut hashed = Hashed { reader, digest: Sha256::new() };
    let fault = |error: bundle::BundleError| {
        if error.is_ours() { NoApp::Later(Error::internal(error)) } else { NoApp::Never(error.to_string()) }
    };
    bundle::unpack(&mut hashed, folder, &Bounds::default()).map_err(fault)?;
    let rest = std::io::copy(&mut hashed, &mut std::io::sink());
    rest.map_err(|e| NoApp::Later(Error::unavailable(e)))?;
    if HEXLOWER.encode(&hashed.digest.finalize()) == digest {
        return Ok(());
    }
    let removed = std::fs::remove_dir_all(folder);
    tracing::error!(digest, ?removed, "a bundle is not what its digest says");
    Err(NoApp::Never("the app's bundle is damaged; publish it again".to_owned()))
}
