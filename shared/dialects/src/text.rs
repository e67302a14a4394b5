//! Text that callers sent: how it is shown back to them, and whether it may be a name.

use wire::Error;
use wire::names::{NAME_CHARS_MAX, is_name};

use crate::bad;

/// The most characters of a wrong value that a message repeats.
const SHOWN_CHARS_MAX: usize = 80;

/// A caller's text as a message may repeat it: short, and without control characters, so that it can neither
/// flood nor forge a log line.
pub(crate) fn shown(text: &str) -> String {
    let mut plain = text.chars().filter(|c| !c.is_control());
    let mut shown: String = plain.by_ref().take(SHOWN_CHARS_MAX).collect();
    if plain.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The text as a name of an app, a version, a service or a lane. `part` is what the message calls it.
pub(crate) fn name(part: &str, text: &str) -> Result<String, Error> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    let reason = if text.is_empty() {
        "it is empty".to_owned()
    } else if text.chars().count() > NAME_CHARS_MAX {
        format!("it is longer than {NAME_CHARS_MAX} characters")
    } else if text.chars().any(char::is_control) {
        "it has a control character".to_owned()
    } else if text.contains(['/', '\\']) {
        "it has a '/' or a '\\'".to_owned()
    } else if text.trim() != text {
        "it begins or ends with a space".to_owned()
    } else {
        "'.' and '..' are no names".to_owned()
    };
    Err(bad(format!("{part} '{}' is not a name: {reason}", shown(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_text_is_short_and_has_no_control_characters() {
        assert_eq!(shown("a\r\nb\0"), "ab");
        assert_eq!(shown(&"x".repeat(80)), "x".repeat(80));
        assert_eq!(shown(&"x".repeat(81)).chars().count(), 81);
    }

    #[test]
    fn every_refused_name_is_told_why() {
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        let table = [
            ("", "empty"),
            (long.as_str(), "longer"),
            ("a\nb", "control"),
            ("a/b", "'/'"),
            ("a\\b", "'/'"),
            (" a", "space"),
            ("..", "'..'"),
        ];
        for (text, reason) in table {
            let message = name("appName", text).unwrap_err().message;
            assert!(message.contains("appName") && message.contains(reason), "{text:?}: {message}");
        }
        assert_eq!(name("appName", "My App-1.0 ü"), Ok("My App-1.0 ü".to_owned()));
    }
}
