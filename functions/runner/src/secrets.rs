//! Secrets in log lines. Only those of a known form are found: a text that begins as the keys of a service
//! begin, and goes on as they do. A password without a form can't be told from any other word.

/// What takes the place of a secret.
const REDACTED: &str = "[redacted]";

/// One form of secrets.
struct Form {
    /// How they begin.
    prefix: &'static str,
    /// What they go on with.
    goes_on: fn(char) -> bool,
    /// How many characters follow at least; fewer are a word that only begins so.
    least: usize,
    /// The beginning is part of what people may read, such as the name of a header.
    keeps_prefix: bool,
}

const fn form(prefix: &'static str, goes_on: fn(char) -> bool, least: usize) -> Form {
    Form { prefix, goes_on, least, keeps_prefix: false }
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn dashed(c: char) -> bool {
    word(c) || c == '-'
}

fn capital(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit()
}

/// Base64 of both alphabets, and the dots between the parts of a token.
fn token(c: char) -> bool {
    dashed(c) || matches!(c, '.' | '+' | '/' | '=' | '~')
}

/// The forms: our own keys; nkey seeds of NATS; AWS, GitHub, GitLab, Slack, Google and the usual `sk-` keys;
/// JSON web tokens; and the credential of an `Authorization` header.
const FORMS: [Form; 20] = [
    form("tl1_", word, 1),
    form("SUA", capital, 55),
    form("SAA", capital, 55),
    form("SOA", capital, 55),
    form("AKIA", capital, 16),
    form("ASIA", capital, 16),
    form("ghp_", word, 20),
    form("gho_", word, 20),
    form("ghu_", word, 20),
    form("ghs_", word, 20),
    form("ghr_", word, 20),
    form("github_pat_", word, 20),
    form("glpat-", dashed, 20),
    form("xoxb-", dashed, 20),
    form("xoxp-", dashed, 20),
    form("AIza", dashed, 35),
    form("sk-", dashed, 20),
    form("eyJ", token, 40),
    Form { keeps_prefix: true, ..form("Bearer ", token, 16) },
    Form { keeps_prefix: true, ..form("Basic ", token, 16) },
];

/// The text without its secrets.
pub fn redact(mut text: String) -> String {
    for form in &FORMS {
        // Most lines hold no secret, and they are not copied.
        if text.contains(form.prefix) {
            text = without(&text, form);
        }
    }
    if text.contains("://") { without_passwords(&text) } else { text }
}

fn without(text: &str, form: &Form) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(form.prefix) {
        out.push_str(before);
        let end = after.find(|c| !(form.goes_on)(c)).unwrap_or(after.len());
        // A secret does not begin in the middle of a word; our own keys are hidden wherever they stand.
        let is_inside = before.ends_with(|c: char| c.is_ascii_alphanumeric()) && form.least > 1;
        if end >= form.least && !is_inside {
            if form.keeps_prefix {
                out.push_str(form.prefix);
            }
            out.push_str(REDACTED);
            rest = after.get(end..).unwrap_or_default();
        } else {
            out.push_str(form.prefix);
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// A password in a URL: what stands between the `:` and the `@` of `scheme://user:password@host`.
fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before);
        out.push_str("://");
        let end = after.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?' | '#'));
        let authority = after.get(..end.unwrap_or(after.len())).unwrap_or_default();
        let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        rest = match password {
            Some((user, password)) if !password.is_empty() => {
                out.push_str(user);
                out.push(':');
                out.push_str(REDACTED);
                after.get(user.len() + 1 + password.len()..).unwrap_or_default()
            }
            Some(_) | None => after,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        redact(text.to_owned())
    }

    #[test]
    fn secrets_of_every_form_are_hidden() {
        for form in &FORMS {
            let secret = format!("{}{}", form.prefix, "A".repeat(form.least.max(60)));
            let shown = redacted(&format!("key={secret}; next"));
            let kept = if form.keeps_prefix { form.prefix } else { "" };
            assert_eq!(shown, format!("key={kept}[redacted]; next"));
        }
        assert_eq!(redacted("tl1_a tl1_b xtl1_c"), "[redacted] [redacted] x[redacted]");
        assert_eq!(redacted("nats://demo:s3cret@host:4222/x"), "nats://demo:[redacted]@host:4222/x");
        assert_eq!(redacted("a://b:c@d and e://f:g@h"), "a://b:[redacted]@d and e://f:[redacted]@h");
    }

    #[test]
    fn everything_else_stays() {
        for text in [
            "",
            "tl1_",
            "task-1234567890123456789012345 is done",
            "eyJ is short",
            "Bearer of news",
            "AKIA",
            "http://host:8080/a@b",
            "http://host/?a=b:c@d",
            "user@host: 10:20",
            "http://user@host",
            "risk-averse-optimisation-of-portfolios",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
