//! `task response`: a response as text, as a file, or as a field of a JSON document.

use std::io::{self, IsTerminal};
use std::path::Path;

use domain::TaskId;
use http::Method;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::task_path;
use crate::client::{Answer, Ask, Bounded};
use crate::commands::Context;
use crate::error::CliError;
use crate::table::bytes;

/// Up to this many bytes a text is printed unasked, or put into a JSON document.
const SHORT_BYTES: usize = 64 * 1024;

/// How much of a response is wanted on the standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// It if it is a short text; otherwise a word about where to get it.
    Short,
    /// All of it.
    All,
}

/// Runs `task response`.
pub(super) async fn run(context: &Context, id: TaskId, output: Option<&Path>) -> Result<(), CliError> {
    let shown = deliver(context, id, output, Wish::All).await?;
    if !context.console.is_json() {
        return Ok(());
    }
    let mut document = json!({ "id": id });
    if let (Some(document), Value::Object(fields)) = (document.as_object_mut(), shown) {
        document.extend(fields);
    }
    context.console.line(&document.to_string())
}

/// Brings the response where it is wanted, and tells programs about it.
pub(super) async fn deliver(
    context: &Context,
    id: TaskId,
    output: Option<&Path>,
    wish: Wish,
) -> Result<Value, CliError> {
    let parts = format!("{}/response", task_path(id));
    let mut answer = context.client.send(Ask::new(Method::GET, parts)).await?;
    let content_type = answer.content_type().map(str::to_owned);
    if let Some(path) = output {
        let size = to_file(&mut answer, path).await?;
        context.console.note(&format!("{} written to {}", bytes(size), path.display()));
        return Ok(
            json!({ "content_type": content_type, "size": size, "output": path.display().to_string() }),
        );
    }
    if wish == Wish::All && !context.console.is_json() {
        to_standard_output(&mut answer, io::stdout().is_terminal()).await?;
        return Ok(Value::Null);
    }
    let announced = answer.length();
    let (size, text) = match answer.read(SHORT_BYTES).await? {
        Bounded::Whole(bytes) => (Some(bytes.len() as u64), String::from_utf8(bytes).ok()),
        Bounded::TooLong => (announced, None),
    };
    if !context.console.is_json() {
        match &text {
            Some(text) if text.is_empty() => context.console.note("the response is empty"),
            Some(text) => context.console.line(text.trim_end_matches('\n'))?,
            None => {
                let what = describe(content_type.as_deref(), size);
                context
                    .console
                    .note(&format!("the response is {what}; get it: tasklane task response {id} -o FILE"));
            }
        }
    }
    Ok(json!({ "content_type": content_type, "size": size, "text": text }))
}

fn describe(content_type: Option<&str>, size: Option<u64>) -> String {
    let size = size.map_or_else(|| "large".to_owned(), bytes);
    format!("{size} of {}", content_type.unwrap_or("unknown type"))
}

async fn to_file(answer: &mut Answer, path: &Path) -> Result<u64, CliError> {
    let mut file = File::create(path).await.map_err(CliError::file("creating", path))?;
    let mut size = 0;
    loop {
        let piece = answer.piece().await.map_err(|error| {
            if let CliError::Unreachable { url, why } = error {
                return CliError::Unreachable {
                    url,
                    why: format!("{why}, so {} is incomplete", path.display()),
                };
            }
            error
        })?;
        let Some(piece) = piece else {
            break;
        };
        file.write_all(&piece).await.map_err(CliError::file("writing", path))?;
        size += piece.len() as u64;
    }
    // Errors of the last write come to light here alone.
    file.flush().await.map_err(CliError::file("writing", path))?;
    Ok(size)
}

/// Bytes go out as they are, except that a terminal gets text alone: a picture on it helps nobody.
async fn to_standard_output(answer: &mut Answer, is_terminal: bool) -> Result<(), CliError> {
    let what = describe(answer.content_type(), answer.length());
    let mut out = tokio::io::stdout();
    let mut last = None;
    while let Some(piece) = answer.piece().await? {
        if is_terminal && last.is_none() && !looks_like_text(&piece) {
            return Err(CliError::Usage(format!(
                "the response is {what}; write it to a file with --output FILE"
            )));
        }
        write(&mut out, &piece).await?;
        last = piece.last().copied().or(last);
    }
    if is_terminal && last.is_some_and(|last| last != b'\n') {
        write(&mut out, b"\n").await?;
    }
    out.flush().await.map_err(CliError::Output)
}

async fn write(out: &mut (impl AsyncWrite + Unpin), piece: &[u8]) -> Result<(), CliError> {
    out.write_all(piece).await.map_err(CliError::Output)
}

/// Whether the beginning of a response is text. A character may be cut in two by the end of the piece.
fn looks_like_text(piece: &[u8]) -> bool {
    let is_utf8 = match std::str::from_utf8(piece) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && !piece.contains(&0) && !piece.contains(&0x1b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_other_bytes() {
        for text in [&b"plain\n"[..], "grün".as_bytes(), &"grün".as_bytes()[..3], b""] {
            assert!(looks_like_text(text), "{text:?}");
        }
        for other in [&b"\x89PNG\r\n"[..], b"a\0b", b"\x1b[2J", b"\xff\xfe"] {
            assert!(!looks_like_text(other), "{other:?}");
        }
    }

    #[test]
    fn responses_that_are_not_printed_are_described() {
        assert_eq!(describe(Some("image/png"), Some(2048)), "2.0 KiB of image/png");
        assert_eq!(describe(None, None), "large of unknown type");
    }
}
