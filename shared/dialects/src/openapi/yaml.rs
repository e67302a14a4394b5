//! JSON values as YAML in block style, for people. Texts are written as JSON texts, which YAML reads as they
//! are; so no text can be taken for a number, a date or a word such as `no`.

use serde_json::Value;

/// The value as a YAML document.
pub(super) fn write(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

/// Writes what follows a `name:` or a `-`, up to the end of its last line.
fn block(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (at, (name, value)) in fields.iter().enumerate() {
                begin(depth, at, text);
                text.push_str(&key(name));
                text.push(':');
                nested(value, depth, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                begin(depth, at, text);
                text.push('-');
                nested(item, depth, text);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            text.push_str(&value.to_string());
            text.push('\n');
        }
        // What is empty has no lines of its own, so it is written as JSON writes it.
        Value::Object(_) | Value::Array(_) => {
            text.push_str(&value.to_string());
            text.push('\n');
        }
    }
}

/// The document begins at the start of its line; every other block begins on a line of its own.
fn begin(depth: usize, at: usize, text: &mut String) {
    if at == 0 && depth > 0 {
        text.push('\n');
    }
    text.push_str(&"  ".repeat(depth));
}

fn nested(value: &Value, depth: usize, text: &mut String) {
    let is_block = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if !is_block {
        text.push(' ');
    }
    block(value, depth + 1, text);
}

/// A name that begins with a letter or `/` and has nothing special in it stays as it is.
fn key(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-.".contains(&byte))
        && !["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word));
    if is_plain { name.to_owned() } else { Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_nest_and_texts_stay_texts() {
        let value = json!({
            "a": { "200": { "b": [1, { "c": null, "d": [] }, []] }, "no": "yes" },
            "e": "two\nlines: \"x\"", "/f/{g}": {},
        });
        let expected = concat!(
            "a:\n  \"200\":\n    b:\n      - 1\n      -\n        c: null\n        d: []\n      - []\n",
            "  \"no\": \"yes\"\n",
            "e: \"two\\nlines: \\\"x\\\"\"\n",
            "\"/f/{g}\": {}\n",
        );
        assert_eq!(write(&value), expected);
    }
}
