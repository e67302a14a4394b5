//! Small apps for tests, published like any app.

use bytes::Bytes;
use serde_json::Value;

use crate::http::{Answer, Http};

/// An app in words: its manifest and its files.
pub struct App<'a> {
    /// app.toml.
    pub manifest: &'a str,
    /// Further files by path.
    pub files: &'a [(&'a str, &'a str)],
}

impl App<'_> {
    /// The bundle of the app.
    pub fn pack(&self) -> Bytes {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("app.toml"), self.manifest).unwrap();
        for (path, text) in self.files {
            std::fs::write(folder.path().join(path), text).unwrap();
        }
        bundle::pack_directory(folder.path(), &bundle::Bounds::default()).unwrap().bytes.into()
    }

    /// Publishes it as the latest version.
    pub async fn publish(&self, http: &Http) -> Answer {
        http.post("/tasklane/v1/apps?latest=true", self.pack()).await
    }
}

/// An app of shell services: each is a name and a script. The app is published as the latest version 1.0.
pub async fn shell_app(http: &Http, name: &str, services: &[(&str, &str)]) -> Value {
    let mut manifest = format!("name = \"{name}\"\nversion = \"1.0\"\nruntime = \"command\"\n");
    let files: Vec<(String, &str)> =
        services.iter().map(|(service, script)| (format!("{service}.sh"), *script)).collect();
    for (service, _) in services {
        manifest.push_str(&format!("[services.{service}]\ncommand = [\"sh\", \"{service}.sh\"]\n"));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, script)| (path.as_str(), *script)).collect();
    App { manifest: &manifest, files: &files }.publish(http).await.expect(200).json()
}

/// An app without processes, for tests of the queue: service `run`, whose result is its input.
pub async fn noop_app(http: &Http, name: &str) -> Value {
    let manifest = format!("name = \"{name}\"\nversion = \"1.0\"\nruntime = \"noop\"\n[services.run]\n");
    App { manifest: &manifest, files: &[] }.publish(http).await.expect(200).json()
}
