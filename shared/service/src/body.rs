//! Bodies as they come to us and as they lie in records: small ones inside the record, large ones in the object
//! store.

use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER};
use domain::Payload;
use domain::payload::Place;
use sha2::{Digest, Sha256};
use wire::Error;

/// A small body as it lies in a record.
pub fn inline(bytes: &[u8], content_type: Option<String>) -> Payload {
    let place = match std::str::from_utf8(bytes) {
        Ok("") => Place::Empty,
        Ok(text) if reads_well(text) => Place::Text(text.to_owned()),
        Ok(_) | Err(_) => Place::Base64(BASE64.encode(bytes)),
    };
    Payload { content_type, size: bytes.len() as u64, place }
}

/// Control characters take six characters each in JSON, so a text of them could outgrow the record.
fn reads_well(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r' | b'\t'))
}

/// The bytes of a body that lies in a record.
pub fn inlined(payload: &Payload) -> Result<Bytes, Error> {
    let bytes = match &payload.place {
        Place::Text(text) => Bytes::from(text.clone()),
        Place::Base64(text) => Bytes::from(BASE64.decode(text.as_bytes()).map_err(Error::internal)?),
        Place::Empty => Bytes::new(),
        Place::Object(name) => return Err(Error::internal(format!("object {name} lies in no record"))),
    };
    if bytes.len() as u64 == payload.size {
        Ok(bytes)
    } else {
        Err(Error::internal(format!("a body of {} bytes has {}", payload.size, bytes.len())))
    }
}

/// SHA-256 in hex, as the object store gives it for large bodies.
pub fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use wire::Code;

    use super::*;

    #[test]
    fn a_body_lies_readably_where_it_can_and_comes_out_as_it_went_in() {
        let text = |text: &str| Place::Text(text.to_owned());
        let base64 = |text: &str| Place::Base64(text.to_owned());
        let table: [(&[u8], Place); 6] = [
            (b"", Place::Empty),
            (b"{\"a\": 1}\r\n\t", text("{\"a\": 1}\r\n\t")),
            ("ü€".as_bytes(), text("ü€")),
            (b"a\0b", base64("YQBi")),
            (b"\x1b[0m", base64("G1swbQ==")),
            (b"\xff\xfe", base64("//4=")),
        ];
        for (bytes, place) in table {
            let payload = inline(bytes, Some("x/y".to_owned()));
            assert_eq!(payload.place, place);
            assert_eq!(payload.size, bytes.len() as u64);
            assert_eq!(payload.content_type.as_deref(), Some("x/y"));
            assert_eq!(inlined(&payload).unwrap(), bytes);
        }
    }

    #[test]
    fn the_worst_inline_body_fits_a_record() {
        let most = domain::payload::INLINE_BYTES_MAX;
        for byte in [b'\x01', b'\\', b'"', b'\n', b'\xff'] {
            let payload = inline(&vec![byte; most], None);
            let written = serde_json::to_vec(&payload).unwrap().len();
            assert!(written <= most * 2 + 100, "{byte}: {written}");
        }
    }

    #[test]
    fn a_record_that_lost_bytes_is_no_body() {
        let payload = Payload { size: 4, ..inline(b"abc", None) };
        assert_eq!(inlined(&payload).unwrap_err().code, Code::Internal);
    }
}
