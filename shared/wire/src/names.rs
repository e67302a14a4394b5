//! Free names (apps, versions, lanes) as tokens of keys and subjects, so that no name can be misrouted; and
//! where pages are.

use domain::SessionId;

/// One token for any text: letters, digits, `-` and `_` stay, every other byte becomes `=` and two hex
/// digits. The result never holds `.`, `*`, `>`, space or control characters, and is never empty.
///
/// `My App` -> `My=20App`
pub fn token(text: &str) -> String {
    if text.is_empty() {
        return "=".to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("={byte:02X}"));
        }
    }
    out
}

/// The text that a token stands for; `None` if it is no token of ours.
pub fn text(token: &str) -> Option<String> {
    if token == "=" {
        return Some(String::new());
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'=' {
            let (high, low) =
                (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Where the page of a session is on the listener of `ingress`: `/webui/6f9f…/`.
pub fn page_path(session: SessionId) -> String {
    format!("{PAGES}{session}/")
}

/// Below this are the pages of sessions.
pub const PAGES: &str = "/webui/";

/// The most characters an app, version or service name may have.
pub const NAME_CHARS_MAX: usize = 128;

/// Whether a text may name an app, a version or a service.
pub fn is_name(text: &str) -> bool {
    let chars = text.chars().count();
    (1..=NAME_CHARS_MAX).contains(&chars)
        && text.trim() == text
        && !matches!(text, "." | "..")
        && !text.chars().any(|c| c.is_control() || c == '/' || c == '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_one_safe_token_and_no_two_texts_share_one() {
        let texts = ["", "=", "a.b", "a b", "*", ">", "a\r\nb", "%41", "A", "a", "ü", "a=2Eb", "=2E", "."];
        let tokens: Vec<String> = texts.iter().map(|text| token(text)).collect();
        for token in &tokens {
            assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b)), "{token}");
            assert!(!token.is_empty());
        }
        for (token, text) in tokens.iter().zip(texts) {
            assert_eq!(super::text(token).as_deref(), Some(text));
        }
        let unique: std::collections::HashSet<_> = tokens.iter().collect();
        assert_eq!(unique.len(), texts.len(), "{tokens:?}");
    }
}
