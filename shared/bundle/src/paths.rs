//! Which paths a bundle may hold: plain relative names in UTF-8, nothing that could lead out of the app folder.

use crate::{Bounds, BundleError};

/// The longest single name that common file systems take, in bytes.
const NAME_BYTES: usize = 255;

/// The checked path without a leading `./`, or None for the app folder itself, which `tar` writes as `./`.
/// Only a folder may end with a slash.
pub(crate) fn check(raw: &[u8], folder: bool, bounds: &Bounds) -> Result<Option<String>, BundleError> {
    let Ok(text) = std::str::from_utf8(raw) else {
        return Err(BundleError::entry(&String::from_utf8_lossy(raw), "its path is not UTF-8; rename it"));
    };
    if folder && (text == "." || text == "./") {
        return Ok(None);
    }
    let path = text.strip_prefix("./").unwrap_or(text);
    let path = if folder { path.strip_suffix('/').unwrap_or(path) } else { path };
    match fault(path, bounds) {
        Some(why) => Err(BundleError::entry(text, why)),
        None => Ok(Some(path.to_owned())),
    }
}

fn fault(path: &str, bounds: &Bounds) -> Option<String> {
    if path.is_empty() {
        return Some("its path is empty".into());
    }
    if path.starts_with('/') {
        return Some("its path is absolute; paths are relative to the app folder".into());
    }
    if path.len() > bounds.path_bytes {
        return Some(format!("its path has more than {} bytes", bounds.path_bytes));
    }
    // A backslash is a separator to some programs, and a control character can rewrite a terminal: no app needs them.
    if path.contains('\\') || path.chars().any(char::is_control) {
        return Some("its path has a backslash or a control character; rename it".into());
    }
    if path.split('/').count() > bounds.depth {
        return Some(format!("it lies more than {} folders deep", bounds.depth));
    }
    path.split('/').find_map(|name| match name {
        "" | "." => Some("its path has an empty name or \".\" in it".into()),
        ".." => Some("its path has \"..\" in it, which could lead out of the app folder".into()),
        name if name.len() > NAME_BYTES => {
            Some(format!("a name in its path has more than {NAME_BYTES} bytes"))
        }
        _ => None,
    })
}
