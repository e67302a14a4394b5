//! API keys: how they are made, read and checked (reference/reliability.md §4.2). The text of a key is
//! `tl1_<public id>_<secret><checksum>`; only an HMAC of the secret is ever stored.

use std::fmt;
use std::path::Path;

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use wire::Error;

/// HMAC-SHA256 in lower hex, as callbacks are signed.
pub fn signature(key: &[u8], message: &[u8]) -> String {
    // Keys of every length are taken, so there is no error to be had.
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(key).map(|mac| mac.chain_update(message));
    mac.map(|mac| HEXLOWER.encode(&mac.finalize().into_bytes())).unwrap_or_default()
}

const PREFIX: &str = "tl1";
const ID_BYTES: usize = 10;
const SECRET_BYTES: usize = 32;
const SECRET_CHARS: usize = 52;
const CHECKSUM_CHARS: usize = 6;

/// The value that turns a stolen bucket into nothing: it never lies in the broker.
#[derive(Clone)]
pub struct Pepper(Vec<u8>);

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(hidden)")
    }
}

/// A new key: its text is shown once, its id and hash are stored.
pub struct NewKey {
    /// The text that the caller sends.
    pub text: String,
    /// The public id.
    pub id: String,
    /// HMAC of the secret, in hex.
    pub hash: String,
}

/// A key as a caller sent it: well formed, not yet checked.
pub struct Presented<'t> {
    /// The public id.
    pub id: &'t str,
    secret: &'t str,
}

fn random(bytes: usize) -> Result<String, Error> {
    let mut buffer = vec![0u8; bytes];
    getrandom::fill(&mut buffer).map_err(Error::internal)?;
    Ok(BASE32_NOPAD.encode(&buffer).to_lowercase())
}

/// Mistyped and cut keys are told apart from wrong ones without asking anyone.
fn checksum(id: &str, secret: &str) -> String {
    let sum = Sha256::digest(format!("{PREFIX}_{id}_{secret}"));
    BASE32_NOPAD.encode(&sum).to_lowercase().chars().take(CHECKSUM_CHARS).collect()
}

impl Pepper {
    /// Reads the pepper from its file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
        if bytes.len() < SECRET_BYTES {
            return Err(format!("{}: a pepper has at least {SECRET_BYTES} bytes", path.display()));
        }
        Ok(Self(bytes))
    }

    /// Text for a new pepper file.
    pub fn generate() -> Result<String, Error> {
        random(SECRET_BYTES)
    }

    fn hash(&self, secret: &str) -> Vec<u8> {
        // An HMAC takes keys of any length, so this can't fail; an empty hash would match nothing.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return Vec::new() };
        mac.update(secret.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// What proves that a text is from whoever has the pepper. The text has a space, which no secret has.
    pub fn seal(&self, text: &str) -> String {
        HEXLOWER.encode(&self.hash(text))
    }

    /// Whether a seal belongs to a text, in a time that does not depend on where they differ.
    pub fn is_seal(&self, text: &str, seal: &str) -> bool {
        self.seal(text).as_bytes().ct_eq(seal.as_bytes()).into()
    }

    /// Makes a key.
    pub fn new_key(&self) -> Result<NewKey, Error> {
        let (id, secret) = (random(ID_BYTES)?, random(SECRET_BYTES)?);
        let text = format!("{PREFIX}_{id}_{secret}{}", checksum(&id, &secret));
        let hash = HEXLOWER.encode(&self.hash(&secret));
        Ok(NewKey { text, id, hash })
    }

    /// Whether the presented secret is the stored one, in a time that does not depend on where they differ.
    /// An unknown key is compared too, so that it takes as long.
    pub fn matches(&self, presented: &Presented<'_>, stored_hash: Option<&str>) -> bool {
        let stored = stored_hash.and_then(|hash| HEXLOWER.decode(hash.as_bytes()).ok());
        let known = stored.is_some();
        let stored = stored.unwrap_or_else(|| vec![0; SECRET_BYTES]);
        let same: bool = self.hash(presented.secret).ct_eq(&stored).into();
        same && known
    }
}

/// Takes the text of a key apart; `None` if it is none of ours.
pub fn present(text: &str) -> Option<Presented<'_>> {
    let rest = text.strip_prefix(PREFIX)?.strip_prefix('_')?;
    let (id, tail) = rest.split_once('_')?;
    if !tail.is_ascii() || tail.len() != SECRET_CHARS + CHECKSUM_CHARS || !id.is_ascii() || id.len() > 32 {
        return None;
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let (secret, sum) = tail.split_at_checked(SECRET_CHARS)?;
    (id.chars().all(plain) && checksum(id, secret) == sum).then_some(Presented { id, secret })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_matches_its_own_hash_and_no_other() {
        let pepper = Pepper(vec![7; 32]);
        let (key, other) = (pepper.new_key().unwrap(), pepper.new_key().unwrap());
        let presented = present(&key.text).unwrap();
        assert_eq!(presented.id, key.id);
        assert!(pepper.matches(&presented, Some(&key.hash)));
        assert!(!pepper.matches(&presented, Some(&other.hash)));
        assert!(!pepper.matches(&presented, None));
        assert!(!Pepper(vec![8; 32]).matches(&presented, Some(&key.hash)));
    }

    #[test]
    fn what_is_cut_or_mistyped_is_no_key() {
        let key = Pepper(vec![7; 32]).new_key().unwrap().text;
        let mut typo = key.clone().into_bytes();
        typo[30] = if typo[30] == b'a' { b'b' } else { b'a' };
        let typo = String::from_utf8(typo).unwrap();
        for bad in
            ["", "tl1", "tl1__", "x", &key[1..], &key[..key.len() - 1], &format!("{key}a"), &typo, "tl1_ü_"]
        {
            assert!(present(bad).is_none(), "{bad}");
        }
    }
}
