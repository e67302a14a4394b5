//! Reads the manifest out of a bundle without unpacking it, as publishing does.

use std::io::Read;

use crate::{
    Bounds, BundleError, MANIFEST_BYTES, MANIFEST_FILE, Manifest,
    archive::{self, Fault},
    members::MemberKind,
};

/// The checked manifest of a bundle. The whole bundle is read and every header checked on the way, so a bundle that
/// passes here is one that [`crate::unpack()`] takes.
///
/// # Errors
/// Everything that [`crate::unpack()`] refuses, and an `app.toml` that is missing or wrong.
pub fn read_manifest(reader: impl Read, bounds: &Bounds) -> Result<Manifest, BundleError> {
    let mut text = None;
    archive::walk(reader, bounds, &mut |member, content| {
        if member.path == MANIFEST_FILE && matches!(member.kind, MemberKind::File { .. }) {
            text = Some(read_text(content)?);
        }
        Ok(())
    })?;
    parse(&text.ok_or(BundleError::NoManifest)?)
}

fn read_text(content: &mut dyn Read) -> Result<Vec<u8>, Fault> {
    let mut text = Vec::new();
    content.take(MANIFEST_BYTES + 1).read_to_end(&mut text)?;
    Ok(text)
}

/// The manifest in the bytes of an `app.toml`, which may be too many or no text at all.
pub(crate) fn parse(text: &[u8]) -> Result<Manifest, BundleError> {
    if text.len() as u64 > MANIFEST_BYTES {
        return Err(BundleError::TooMuch { what: "bytes of app.toml", bound: MANIFEST_BYTES });
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(BundleError::entry(MANIFEST_FILE, "it is not UTF-8 text"));
    };
    Ok(Manifest::parse(text)?)
}
