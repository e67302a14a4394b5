//! Bodies as this API encrypts them: AES-128 in CBC mode with one fixed first block, in base64. The fixed block
//! shows which bodies begin alike and nothing proves the text unchanged, so the only safe part of it is the
//! signature around it. We keep it because clients send nothing else.

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use data_encoding::BASE64;
use wire::Error;

use crate::bad;

/// The first block that every client uses.
const FIRST_BLOCK: [u8; 16] =
    [0x2f, 0x33, 0x39, 0x41, 0x4b, 0x57, 0x65, 0x75, 0x87, 0x9b, 0xb1, 0xc9, 0xe3, 0x00, 0x1e, 0x3e];

/// A text as it is sent; `None` if the secret is none of this API.
pub fn encrypt(secret: &str, text: &str) -> Option<String> {
    let key = BASE64.decode(secret.as_bytes()).ok()?;
    let cipher = cbc::Encryptor::<Aes128>::new_from_slices(&key, &FIRST_BLOCK).ok()?;
    Some(BASE64.encode(&cipher.encrypt_padded_vec_mut::<Pkcs7>(text.as_bytes())))
}

/// The bytes that were encrypted.
pub(super) fn decrypt(secret: &str, sent: &[u8]) -> Result<Vec<u8>, Error> {
    let key = BASE64.decode(secret.as_bytes()).map_err(Error::internal)?;
    let bytes =
        BASE64.decode(sent.trim_ascii()).map_err(|_| bad("the body is not base64 of an encrypted text"))?;
    let cipher = cbc::Decryptor::<Aes128>::new_from_slices(&key, &FIRST_BLOCK).map_err(Error::internal)?;
    let undone = || bad("the body can't be decrypted with the secret of this customer");
    cipher.decrypt_padded_vec_mut::<Pkcs7>(&bytes).map_err(|_| undone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_reference_hold_both_ways() {
        let task = r#"{"type":"kafka","name":"t1","params":{"sml.task.heap.min":"1024m","sml.task.heap.max":"2048m"}}"#;
        let table = [
            (
                "EYpWjGPaoMoFUb/jfW95PQ==",
                "Message to encrypt",
                "5XzpRW1z+toD/PW+yQ1sQssUt7hxBeqIIMyhXY4iqU0=",
            ),
            (
                "VLmAm+WkpnA5zp2wXiSYkw==",
                task,
                "rWCGZuo1kD8ZN4Qvy0h2QenuGYQ7fPyK3UKEOo9nmMkoaIa6l3xe4sqOKZE1zSUt0v1oZdcT448lXazxLl4OzDdiJpdr0P0L\
                 E8VGUmh/uDDxu14qNvL3YCZY+rtKbEKH",
            ),
        ];
        for (secret, text, sent) in table {
            assert_eq!(encrypt(secret, text).as_deref(), Some(sent));
            assert_eq!(decrypt(secret, sent.as_bytes()).as_deref(), Ok(text.as_bytes()));
            assert_eq!(decrypt(secret, format!("{sent}\n").as_bytes()).as_deref(), Ok(text.as_bytes()));
        }
    }

    #[test]
    fn what_was_not_encrypted_with_the_secret_is_refused() {
        let (secret, other) = ("VLmAm+WkpnA5zp2wXiSYkw==", "EYpWjGPaoMoFUb/jfW95PQ==");
        let sent = encrypt(secret, "Message to encrypt").unwrap();
        // Of a text's last byte under another key one value in 256 would pass as padding; this one does not.
        assert!(decrypt(other, sent.as_bytes()).is_err());
        for bad in ["", "{\"name\":\"t1\"}", "AAAA", &sent[..sent.len() - 4], &sent[4..], "ü"] {
            assert_eq!(decrypt(secret, bad.as_bytes()).unwrap_err().code, wire::Code::BadRequest, "{bad}");
        }
        assert_eq!(encrypt("short", "text"), None);
    }
}
