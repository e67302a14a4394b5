//! The one walk over a bundle's members, used by everything that reads a bundle.
//! It reads tar headers raw: the tar crate's own handling of long names would take them into memory whole.

use std::io::{self, BufReader, Read};

use flate2::bufread::GzDecoder;
use tar::{Archive, Entry, PaxExtensions};

use crate::{
    Bounds, BundleError,
    members::{Member, Members, Totals},
    meter::{Meter, State},
};

/// The largest extension header, in bytes; real ones hold one path and a few numbers.
const EXTENSION_BYTES: u64 = 64 * 1024;

/// What tar adds to each entry at most (header, padding, a long path), in bytes, for the bound on the whole stream.
const OVERHEAD_BYTES_PER_ENTRY: u64 = 4096;

/// What may follow the last entry as padding, in bytes.
const PADDING_BYTES: u64 = 1 << 20;

type Packed<R> = BufReader<Meter<R>>;
type Stream<R> = Meter<GzDecoder<Packed<R>>>;

/// Why a visitor stopped. Reading and writing both fail with `io::Error`, and only one of them is the bundle's fault.
pub(crate) enum Fault {
    /// The content could not be read from the bundle.
    Reading(io::Error),
    /// Anything else.
    Other(BundleError),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Reading(error)
    }
}

impl From<BundleError> for Fault {
    fn from(error: BundleError) -> Self {
        Self::Other(error)
    }
}

/// What is done with each member; what is left unread of its content is skipped.
pub(crate) type Visit<'a> = dyn FnMut(&Member, &mut dyn Read) -> Result<(), Fault> + 'a;

/// Shows every member to `visit` once its header passed all checks, then reads to the very end of the bundle,
/// so that a cut or damaged bundle never counts as whole.
pub(crate) fn walk(reader: impl Read, bounds: &Bounds, visit: &mut Visit<'_>) -> Result<Totals, BundleError> {
    let stream_bytes = (bounds.entries as u64)
        .saturating_mul(OVERHEAD_BYTES_PER_ENTRY)
        .saturating_add(PADDING_BYTES)
        .saturating_add(bounds.total_bytes);
    let packed = BufReader::new(Meter::new(reader, bounds.packed_bytes));
    let mut archive = Archive::new(Meter::new(GzDecoder::new(packed), stream_bytes));
    let outcome = walk_members(&mut archive, bounds, visit);
    let mut stream = archive.into_inner();
    let outcome = outcome.and_then(|totals| {
        read_padding(&mut stream)?;
        Ok(totals)
    });
    outcome.map_err(|fault| match fault {
        Fault::Other(error) => error,
        Fault::Reading(error) => explain(&stream, error),
    })
}

fn walk_members<R: Read>(
    archive: &mut Archive<Stream<R>>,
    bounds: &Bounds,
    visit: &mut Visit<'_>,
) -> Result<Totals, Fault> {
    let mut members = Members::new(bounds);
    let mut long_path: Option<Vec<u8>> = None;
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        match entry.header().entry_type().as_byte() {
            b'L' => {
                let mut path = read_extension(&mut entry)?;
                while path.last() == Some(&0) {
                    path.pop();
                }
                replace_path(&mut long_path, path)?;
            }
            b'x' => {
                if let Some(path) = read_pax_path(&mut entry)? {
                    replace_path(&mut long_path, path)?;
                }
            }
            b'g' => {
                members.count()?;
                if let Some(path) = read_pax_path(&mut entry)? {
                    let why = "a global header gives one path to all that follows";
                    return Err(BundleError::entry(&String::from_utf8_lossy(&path), why).into());
                }
            }
            _ => {
                if let Some(member) = members.admit(entry.header(), long_path.take())? {
                    visit(&member, &mut entry)?;
                }
            }
        }
    }
    if long_path.is_some() {
        return Err(BundleError::damaged("it ends between a long path and its file").into());
    }
    Ok(members.totals())
}

/// A second name for one member would make two readers of the bundle see two different bundles.
fn replace_path(long_path: &mut Option<Vec<u8>>, path: Vec<u8>) -> Result<(), BundleError> {
    match long_path.replace(path) {
        None => Ok(()),
        Some(first) => Err(BundleError::entry(&String::from_utf8_lossy(&first), "it has two long paths")),
    }
}

fn read_extension<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, Fault> {
    let size = entry.size();
    if size > EXTENSION_BYTES {
        return Err(
            BundleError::TooMuch { what: "bytes of an extension header", bound: EXTENSION_BYTES }.into()
        );
    }
    let mut content = Vec::new();
    entry.read_to_end(&mut content)?;
    if content.len() as u64 != size {
        return Err(BundleError::damaged("it ends inside an extension header").into());
    }
    Ok(content)
}

/// The path in a pax header, if any. Times, owners and comments are ignored; what changes the meaning of an entry
/// is refused.
fn read_pax_path<R: Read>(entry: &mut Entry<'_, R>) -> Result<Option<Vec<u8>>, Fault> {
    let content = read_extension(entry)?;
    let mut path = None;
    for record in PaxExtensions::new(&content) {
        let record = record?;
        match record.key_bytes() {
            b"path" => replace_path(&mut path, record.value_bytes().to_vec())?,
            key if key == b"size" || key == b"linkpath" || key.starts_with(b"GNU.sparse.") => {
                let key = String::from_utf8_lossy(key).into_owned();
                let why = "this extended header is not taken; a bundle holds plain files and folders only";
                return Err(BundleError::entry(&key, why).into());
            }
            _ => {}
        }
    }
    Ok(path)
}

/// After the last member come zeros only, then the end of the gzip stream with its checksum, then nothing.
fn read_padding<R: Read>(stream: &mut Stream<R>) -> Result<(), Fault> {
    let mut chunk = [0_u8; 4096];
    loop {
        let count = match stream.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            break;
        }
        if chunk.iter().take(count).any(|byte| *byte != 0) {
            return Err(BundleError::damaged("something follows the end of the archive").into());
        }
    }
    let mut after = Vec::new();
    stream.inner_mut().get_mut().take(1).read_to_end(&mut after)?;
    if !after.is_empty() {
        return Err(BundleError::damaged("something follows the end of the gzip stream").into());
    }
    Ok(())
}

/// Which of the readers below failed decides whose fault it is.
fn explain<R: Read>(stream: &Stream<R>, error: io::Error) -> BundleError {
    let packed = stream.inner().get_ref().get_ref();
    if *packed.state() == State::Exceeded {
        return BundleError::TooMuch { what: "bytes packed", bound: packed.bound() };
    }
    if let State::Failed(kind) = packed.state() {
        return BundleError::Io { doing: "reading the bundle".into(), source: io::Error::new(*kind, error) };
    }
    if *stream.state() == State::Exceeded {
        return BundleError::TooMuch { what: "bytes unpacked, with headers", bound: stream.bound() };
    }
    BundleError::damaged(error.to_string())
}
