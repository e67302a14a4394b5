//! The example apps, carried in the program so that `dev` and `demo` need no checkout, published like any app.

use std::path::Path;

use super::StackError;
use crate::client::Client;
use crate::commands::app::publish_folder;
use crate::error::CliError;

type File = (&'static str, &'static [u8]);

macro_rules! files {
    ($app:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../../examples/", $app, "/", $path)) as &[u8])),*]
    };
}

/// Each app with its files: all of its folder, so that publishing the folder again is the same version.
const EXAMPLES: &[(&str, &[File])] = &[
    (
        "echo-page",
        files!("echo-page": "README.md", "app.toml", "page.html", "server.py", "test_server.py", "websocket.py"),
    ),
    ("hello", files!("hello": "README.md", "app.toml", "greet.sh", "fail.sh", "sleep.sh")),
    (
        "media",
        files!("media": "README.md", "app.toml", "job.py", "pictures.py", "step.py", "tools.py", "videos.py"),
    ),
    (
        "routing",
        files!(
            "routing": "README.md", "app.toml", "check.py", "interrupt.py", "request.py", "search.py", "solve.py", "status.py",
            "test_search.py", "test_solve.py", "tsplib.py", "data/README.md", "data/berlin52.tsp", "data/berlin52.opt.tour", "data/pcb442.tsp", "data/pcb442.opt.tour",
        ),
    ),
    (
        "routing-session",
        files!(
            "routing-session": "README.md", "app.toml", "request.py", "search.py", "server.py", "session.py", "solve.py",
            "test_server.py", "tsplib.py", "data/README.md", "data/berlin52.tsp", "data/berlin52.opt.tour", "data/pcb442.tsp", "data/pcb442.opt.tour",
        ),
    ),
    (
        "scoring",
        files!(
            "scoring": "README.md", "app.toml", "model.json", "model.py", "score.py", "test_scoring.py", "train.py", "data/README.md", "data/iris.csv",
        ),
    ),
];

/// A file of an example, for checking its results.
pub fn file(app: &str, path: &str) -> Option<&'static [u8]> {
    let (_, files) = EXAMPLES.iter().find(|(name, _)| *name == app)?;
    files.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
}

/// Publishes the examples as the tenant's own apps. A version that is there with other files stays as it is:
/// an older Tasklane published it, and tasks may refer to it.
pub async fn publish(client: &Client) -> Result<(), StackError> {
    for (name, files) in EXAMPLES {
        let folder = tempfile::tempdir().map_err(StackError::text)?;
        for (path, bytes) in *files {
            write(&folder.path().join(path), bytes)?;
        }
        match publish_folder(client, folder.path().to_owned(), true).await {
            Ok(_) => {}
            Err(CliError::Refused(refusal)) if refusal.status == 409 => {
                eprintln!("example {name}: {}", refusal.message);
            }
            Err(error) => return Err(StackError::Text(format!("example {name}: {error}"))),
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), StackError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(|e| StackError::file(parent, &e))?;
    std::fs::write(path, bytes).map_err(|e| StackError::file(path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_is_the_folder() {
        let bounds = bundle::Bounds::default();
        for (name, files) in EXAMPLES {
            let carried = tempfile::tempdir().unwrap();
            for (path, bytes) in *files {
                write(&carried.path().join(path), bytes).unwrap();
            }
            let carried = bundle::pack_directory(carried.path(), &bounds).unwrap();
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
            let folder = bundle::pack_directory(&folder, &bounds).unwrap();
            assert!(carried.bytes == folder.bytes, "examples/{name} has a file that is not in the list here");
        }
    }
}
