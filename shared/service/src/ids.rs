//! New ids, from the operating system's randomness.

use uuid::{Builder, Uuid};

/// A new random id. Randomness that fails leaves nothing sensible to do but to try again later, so the
/// caller gets an error.
pub fn random() -> Result<Uuid, wire::Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(wire::Error::internal)?;
    Ok(Builder::from_random_bytes(bytes).into_uuid())
}
