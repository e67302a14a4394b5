//! Secrets that have to be known again: whoever checks a signature needs the secret that signed. They are kept
//! sealed under one master key, which lies in a file and never in the broker.

use std::fmt;
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::{BASE64, HEXLOWER};
use wire::Error;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const SECRET_BYTES: usize = 16;
const ID_BYTES: usize = 10;

/// The key that opens every sealed secret.
#[derive(Clone)]
pub struct MasterKey(XChaCha20Poly1305);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(hidden)")
    }
}

impl MasterKey {
    /// Reads the key from its file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let key = HEXLOWER.decode(text.trim().as_bytes()).ok();
        let cipher = key.and_then(|key| XChaCha20Poly1305::new_from_slice(&key).ok());
        cipher
            .map(Self)
            .ok_or_else(|| format!("{}: a master key is {} hex digits", path.display(), 2 * KEY_BYTES))
    }

    /// Text for a new file with a master key.
    pub fn generate() -> Result<String, Error> {
        random(KEY_BYTES).map(|bytes| HEXLOWER.encode(&bytes))
    }

    /// Seals a secret for its owner: sealed for another it can't be opened, so that nobody who may write
    /// records can give one tenant the secret of another.
    pub fn seal(&self, secret: &str, owner: &str) -> Result<String, Error> {
        let mut sealed = random(NONCE_BYTES)?;
        let nonce = XNonce::from_slice(&sealed);
        let text = Payload { msg: secret.as_bytes(), aad: owner.as_bytes() };
        let rest = self.0.encrypt(nonce, text).map_err(|_| Error::internal("a secret can't be sealed"))?;
        sealed.extend(rest);
        Ok(BASE64.encode(&sealed))
    }

    /// Opens what was sealed for this owner under this key.
    pub fn open(&self, sealed: &str, owner: &str) -> Result<String, Error> {
        let opened = BASE64.decode(sealed.as_bytes()).ok().and_then(|bytes| {
            let (nonce, rest) = bytes.split_at_checked(NONCE_BYTES)?;
            let text = Payload { msg: rest, aad: owner.as_bytes() };
            self.0.decrypt(XNonce::from_slice(nonce), text).ok()
        });
        let text = opened.and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| {
            Error::internal(format!("the secret of {owner} is not sealed under this master key"))
        })
    }
}

/// A new signing key as SymetryML has them: a public id, and 16 bytes in base64.
pub fn new_signing_key() -> Result<(String, String), Error> {
    Ok((HEXLOWER.encode(&random(ID_BYTES)?), BASE64.encode(&random(SECRET_BYTES)?)))
}

fn random(bytes: usize) -> Result<Vec<u8>, Error> {
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).map_err(Error::internal)?;
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MasterKey {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), MasterKey::generate().unwrap() + "\n").unwrap();
        MasterKey::read(file.path()).unwrap()
    }

    #[test]
    fn a_secret_opens_for_its_owner_under_its_key_alone() {
        let (key, other) = (key(), key());
        let sealed = key.seal("secret", "demo").unwrap();
        assert_eq!(key.open(&sealed, "demo").as_deref(), Ok("secret"));
        assert_ne!(sealed, key.seal("secret", "demo").unwrap(), "twice sealed shows nothing");
        assert!(key.open(&sealed, "acme").is_err());
        assert!(other.open(&sealed, "demo").is_err());
        for damaged in ["", "AAAA", "ü", &sealed[4..]] {
            assert!(key.open(damaged, "demo").is_err(), "{damaged:?}");
        }
        assert!(!format!("{key:?}").contains("XChaCha"));
    }

    #[test]
    fn a_new_signing_key_is_16_bytes() {
        let (id, secret) = new_signing_key().unwrap();
        assert_eq!(id.len(), 20);
        assert_eq!(BASE64.decode(secret.as_bytes()).unwrap().len(), SECRET_BYTES);
    }
}
