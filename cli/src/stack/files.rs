//! The data folder of a stack: the broker's configuration and store, keys, pepper. What is there is kept.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nkeys::KeyPair;
use service::keys::Pepper;
use service::master_key::MasterKey;
use wire::Function;
use wire::door::config as door;
use wire::permissions::{self, ExtraUser, Permissions};
use wire::topology::STORAGE_BYTES_DEFAULT;

use super::StackError;

const SERVER_CONF: &str = include_str!("../../../broker-config/server.conf");
const PROGRAMS_CONF: &str = include_str!("../../../broker-config/programs.conf");
/// Of a small disk the streams may take this share, so that the broker refuses before the disk is full.
const DISK_PERCENT_MAX: u64 = 80;

/// The data folder.
#[derive(Debug, Clone)]
pub struct Files {
    folder: PathBuf,
}

/// The broker user for programs of the demo tenant.
#[derive(Debug, Clone)]
pub struct DemoUser {
    /// Its password.
    pub password: String,
}

impl Files {
    /// Makes what is missing in the folder.
    pub fn prepare(folder: &Path) -> Result<Self, StackError> {
        let files = Self { folder: folder.to_owned() };
        for sub in [files.keys(), files.broker(), files.store(), files.work()] {
            fs::create_dir_all(&sub).map_err(|e| StackError::file(&sub, &e))?;
        }
        for function in Function::ALL {
            let seed = || KeyPair::new_user().seed().map_err(StackError::text);
            secret(&files.keys().join(format!("{function}.nk")), seed)?;
        }
        secret(&files.pepper(), || Pepper::generate().map_err(StackError::text))?;
        secret(&files.master_key(), || MasterKey::generate().map_err(StackError::text))?;
        Ok(files)
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One seed per function.
    pub fn keys(&self) -> PathBuf {
        self.folder.join("keys")
    }

    /// The pepper of the API keys.
    pub fn pepper(&self) -> PathBuf {
        self.folder.join("pepper")
    }

    /// The key under which signing keys are sealed.
    pub fn master_key(&self) -> PathBuf {
        self.folder.join("master.key")
    }

    /// Where runners work.
    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    fn broker(&self) -> PathBuf {
        self.folder.join("broker")
    }

    fn store(&self) -> PathBuf {
        self.broker().join("store")
    }

    /// The programs that the broker lets in through the door.
    pub fn programs(&self) -> PathBuf {
        self.broker().join("programs.conf")
    }

    /// The broker's log.
    pub fn broker_log(&self) -> PathBuf {
        self.broker().join("nats.log")
    }

    /// The broker user for the demo tenant's own programs.
    pub fn demo_user(&self) -> Result<DemoUser, StackError> {
        let make = || Pepper::generate().map_err(StackError::text);
        Ok(DemoUser { password: secret(&self.keys().join("demo.password"), make)? })
    }

    /// How much the streams may take together. Chosen once, so that a filling disk never shrinks them.
    pub fn storage_bytes(&self, asked: u64) -> Result<u64, StackError> {
        if asked != STORAGE_BYTES_DEFAULT {
            return Ok(asked);
        }
        let disk = nix::sys::statvfs::statvfs(&self.folder).map_err(StackError::text)?;
        let free = disk.blocks_available().saturating_mul(disk.fragment_size());
        let fitting = STORAGE_BYTES_DEFAULT.min(free / 100 * DISK_PERCENT_MAX);
        let text = secret(&self.broker().join("storage"), || Ok(fitting.to_string()))?;
        text.parse()
            .map_err(|_| StackError::Text(format!("{} is damaged", self.broker().join("storage").display())))
    }

    /// Writes the broker's configuration; gives its path and the environment it needs.
    pub fn broker_config(
        &self,
        listen: &str,
        sync_interval: &str,
        storage_bytes: u64,
        users: &[ExtraUser],
    ) -> Result<(PathBuf, Vec<(String, String)>), StackError> {
        let mut may = Permissions {
            publish: vec!["demo.>".to_owned(), "_INBOX.>".to_owned()],
            subscribe: vec!["demo.>".to_owned(), "_INBOX.>".to_owned()],
        };
        door::allow_demo(&mut may, "demo");
        let password = self.demo_user()?.password;
        let demo = ExtraUser { name: "demo".to_owned(), password, permissions: may };
        let users = [&[demo], users].concat();
        let config = self.broker().join("nats.conf");
        write(&config, SERVER_CONF)?;
        write(&self.broker().join("permissions.conf"), &permissions::print(&users))?;
        secret(&self.programs(), || Ok(PROGRAMS_CONF.to_owned()))?;
        let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let mut environment = vec![
            ("TASKLANE_SERVER_NAME".to_owned(), quoted("tasklane")),
            ("TASKLANE_LISTEN".to_owned(), quoted(listen)),
            ("TASKLANE_STORE".to_owned(), quoted(&self.store().display().to_string())),
            ("TASKLANE_SYNC_INTERVAL".to_owned(), quoted(sync_interval)),
            // A little above the streams' sum: the broker counts its own needs too.
            ("TASKLANE_MAX_FILE_STORE".to_owned(), (storage_bytes + 64 * 1024 * 1024).to_string()),
        ];
        for function in Function::ALL {
            let seed = secret(&self.keys().join(format!("{function}.nk")), || {
                Err(StackError::Text(format!("the key of {function} vanished")))
            })?;
            let public = KeyPair::from_seed(&seed).map_err(StackError::text)?.public_key();
            environment.push((permissions::nkey_variable(function), quoted(&public)));
        }
        Ok((config, environment))
    }
}

/// The text of a file for its owner alone; made where it is missing. Written whole or not at all, so that a
/// kill at any moment leaves no half secret.
fn secret(path: &Path, make: impl FnOnce() -> Result<String, StackError>) -> Result<String, StackError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = make()?;
            let partial = path.with_extension("partial");
            let file =
                fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
            let written = file.and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            });
            written.and_then(|()| fs::rename(&partial, path)).map_err(|e| StackError::file(path, &e))?;
            Ok(text)
        }
        Err(error) => Err(StackError::file(path, &error)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), StackError> {
    fs::write(path, text).map_err(|e| StackError::file(path, &e))
}
