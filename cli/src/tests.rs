//! The grammar as a whole, and real requests against real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use bytes::Bytes;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use http::Method;
use serde_json::json;

use crate::arguments::{Arguments, Command};
use crate::client::{Ask, Body, Bounded, Client};
use crate::commands::{self, Context};
use crate::console::Console;
use crate::error::{CliError, Refusal};

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(line.split(' '))
}

#[test]
fn the_grammar_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn the_contract_lines_are_accepted() {
    let id = "efa680a0-748e-43d0-9099-cf40937b13f4";
    let lines = [
        "tasklane demo --exit".to_owned(),
        "tasklane dev --http 127.0.0.1:0 --data d --nats nats://127.0.0.1:4222 --durability interval --json".to_owned(),
        "tasklane serve create status".to_owned(),
        "tasklane bench --quick".to_owned(),
        "tasklane keep --anything".to_owned(),
        "tasklane app publish dir --latest".to_owned(),
        "tasklane app list --json".to_owned(),
        "tasklane tenant create t".to_owned(),
        "tasklane tenant list".to_owned(),
        "tasklane key create --tenant T --user U --scope Tasks --scope Admin --expires 2027-01-31 --json".to_owned(),
        "tasklane key create --kind symetry --tenant T --user U".to_owned(),
        "tasklane key list --tenant T".to_owned(),
        "tasklane key list".to_owned(),
        "tasklane key revoke k".to_owned(),
        "tasklane grant --app A --user U --rights read,execute".to_owned(),
        "tasklane task submit A S".to_owned(),
        "tasklane task submit A S --app-version 1 --input {} --content-type a/b --idempotency-key k --wait --output f"
            .to_owned(),
        "tasklane task submit A S --input-file -".to_owned(),
        "tasklane task list --all --state queued,Running --state failed --app A --limit 5".to_owned(),
        format!("tasklane task get {id}"),
        format!("tasklane task watch {id} --json"),
        format!("tasklane task logs {id} -f"),
        format!("tasklane task response {id} --output f"),
        format!("tasklane task interrupt {id}"),
        format!("tasklane task delete {id}"),
        "tasklane lane set tasks.demo --max-running 0 --priority-slots 1 --priority-threshold 2 --max-queued 3".to_owned(),
        "tasklane lane list".to_owned(),
        "tasklane session list".to_owned(),
        "tasklane session list --all --limit 5".to_owned(),
        "tasklane session start --app A --version 1.0 --json".to_owned(),
        format!("tasklane session get {id}"),
        format!("tasklane session logs {id} -f --contains x"),
        format!("tasklane session terminate {id}"),
        "tasklane --url http://127.0.0.1:1 --api-key k doctor --json".to_owned(),
    ];
    for line in lines {
        assert!(parse(&line).is_ok(), "{line}: {}", parse(&line).unwrap_err());
    }
}

#[test]
fn wrong_lines_are_refused_with_status_2() {
    let lines = [
        "tasklane",
        "tasklane task get not-an-id",
        "tasklane task submit A",
        "tasklane task submit A S --input x --input-file y",
        "tasklane task submit A S --output f",
        "tasklane task submit A S --content-type a/b",
        "tasklane task list --state done",
        "tasklane task list --limit 0",
        "tasklane key create --tenant T --user U",
        "tasklane key create --tenant T --user U --scope Everything",
        "tasklane grant --app A --user U --rights all",
        "tasklane lane set tasks.demo",
        "tasklane lane set tasks.demo --max-running -1",
        "tasklane serve",
        "tasklane serve nothing",
        "tasklane dev --durability none",
        "tasklane doctor --url 127.0.0.1:8080",
    ];
    for line in lines {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn help_never_shows_a_key() {
    let error = Arguments::try_parse_from(["tasklane", "--api-key", "tl_secret", "--help"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DisplayHelp);
    let help = error.to_string();
    assert!(help.contains("[env: TASKLANE_API_KEY]"), "{help}");
    assert!(!help.contains("tl_secret") && !help.contains("keep"), "{help}");
}

/// Runs a client command as the program does, but for its exit.
fn run(line: &str) -> Result<(), CliError> {
    let Arguments { shared, command } = parse(line).unwrap();
    crate::run(shared, command).map(|_| ())
}

/// An address on which nothing listens. The listener is closed again, and a port is not given out twice at once.
fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_closed_port_is_status_69_and_says_what_to_do() {
    let address = closed_port();
    for command in
        ["task list", "lane list", "tenant create t", "task watch efa680a0-748e-43d0-9099-cf40937b13f4"]
    {
        let error = run(&format!("tasklane --url http://{address} {command}")).unwrap_err();
        assert_eq!(error.exit_code(), 69, "{command}: {error}");
        let text = error.to_string();
        for part in [&address.to_string(), "Connection refused", "tasklane dev", "TASKLANE_URL"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    // The doctor was asked what is wrong, so it answers.
    let error = run(&format!("tasklane --url http://{address} doctor")).unwrap_err();
    assert_eq!(error.exit_code(), 1, "{error}");
}

/// Answers one request after the other with the given texts, on real sockets, and gives back what was asked.
fn serve(answers: Vec<String>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread =
        std::thread::spawn(move || answers.iter().map(|answer| answer_one(&listener, answer)).collect());
    (address, thread)
}

fn answer_one(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut asked = Vec::new();
    let mut piece = [0_u8; 4096];
    while !is_whole(&asked) {
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "the request broke off: {}", String::from_utf8_lossy(&asked));
        asked.extend_from_slice(&piece[..count]);
    }
    stream.write_all(answer.as_bytes()).unwrap();
    String::from_utf8(asked).unwrap()
}

fn is_whole(asked: &[u8]) -> bool {
    let text = String::from_utf8_lossy(asked);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let is_chunked = head.contains("transfer-encoding: chunked");
    if is_chunked {
        body.ends_with("0\r\n\r\n")
    } else {
        body.len() >= length.map_or(0, |n| n.parse().unwrap())
    }
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{body}"
    )
}

#[test]
fn refusals_are_status_1_with_the_words_of_the_service() {
    let object = json!({ "errorCode": 404, "errorId": "APP_NOT_FOUND", "message": "app a does not exist" });
    let (address, asked) = serve(vec![http("404 Not Found", &object.to_string())]);
    let error = run(&format!("tasklane --url http://{address}/ --api-key tl_x task submit a s --input 5"))
        .unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert_eq!(error.to_string(), "app a does not exist");
    assert_eq!(error.to_json(), object);
    let asked = asked.join().unwrap().remove(0);
    assert!(asked.starts_with("POST /pro-api/v2/tasks/a/s HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\napikey: tl_x\r\n") && asked.ends_with("\r\n\r\n5"), "{asked}");
}

#[test]
fn an_error_of_something_else_is_shown_as_it_is() {
    let (address, asked) = serve(vec![http("502 Bad Gateway", "<h1>\x1b[2Jproxy</h1>")]);
    let error = run(&format!("tasklane --url http://{address} lane list")).unwrap_err();
    asked.join().unwrap();
    let CliError::Refused(Refusal { status: 502, message, .. }) = error else {
        panic!("{error:?}");
    };
    assert!(message.contains("502 Bad Gateway: <h1>\\u{1b}[2Jproxy</h1>"), "{message}");
}

#[test]
fn a_missing_key_is_named() {
    let object =
        json!({ "errorCode": 401, "errorId": "UNAUTHENTICATED", "message": "there is no valid key" });
    let (address, asked) = serve(vec![http("401 Unauthorized", &object.to_string())]);
    let error = run(&format!("tasklane --url http://{address} --api-key  app list")).unwrap_err();
    assert!(error.to_string().contains("TASKLANE_API_KEY"), "{error}");
    assert!(!asked.join().unwrap().remove(0).contains("apikey"));
}

#[test]
fn a_watched_task_that_fails_is_status_1() {
    let id = "efa680a0-748e-43d0-9099-cf40937b13f4";
    let answer = |state: &str| http("200 OK", &json!({ "id": id, "state": state }).to_string());
    let (address, asked) =
        serve(vec![answer("queued"), http("503 Service Unavailable", ""), answer("failed")]);
    let error = run(&format!("tasklane --url http://{address} --json task watch {id}")).unwrap_err();
    assert!(matches!(error, CliError::TaskFailed), "{error:?}");
    let asked = asked.join().unwrap();
    assert!(asked[0].starts_with(&format!("GET /tasklane/v1/tasks/{id} ")), "{}", asked[0]);
    assert!(asked[2].starts_with(&format!("GET /tasklane/v1/tasks/{id}?wait=1 ")), "{}", asked[2]);
}

#[test]
fn files_are_streamed_with_their_length() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    let content = "0123456789".repeat(30_000);
    std::fs::write(&file, &content).unwrap();
    let created = json!({ "id": "efa680a0-748e-43d0-9099-cf40937b13f4", "state": "queued" });
    let (address, asked) = serve(vec![http("200 OK", &created.to_string())]);
    run(&format!("tasklane --url http://{address} task submit a s --input-file {}", file.display())).unwrap();
    let asked = asked.join().unwrap().remove(0);
    assert!(asked.contains("\r\ncontent-length: 300000\r\n"), "{}", &asked[..400]);
    assert!(asked.ends_with(&content));
    let error =
        run(&format!("tasklane --url http://{address} task submit a s --input-file /nowhere/x")).unwrap_err();
    assert!(matches!(error, CliError::File { .. }) && error.exit_code() == 1, "{error:?}");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_pipe_has_no_length_and_goes_in_pieces() {
    let (address, asked) = serve(vec![http("200 OK", "{}")]);
    let client = Client::new(format!("http://{address}").parse().unwrap(), None).unwrap();
    let reader = Box::pin(std::io::Cursor::new(b"from a pipe".to_vec()));
    let body = Body::Stream { reader, length: None, name: "a pipe".into() };
    block_on(client.document(Ask::new(Method::POST, "/x").body("a/b", body).unwrap())).unwrap();
    let asked = asked.join().unwrap().remove(0);
    assert!(asked.contains("transfer-encoding: chunked") && asked.contains("from a pipe"), "{asked}");
}

#[test]
fn input_that_breaks_off_is_an_error_of_the_input() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client =
        Client::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap(), None).unwrap();
    let reader = Box::pin(std::io::Cursor::new(b"short".to_vec()));
    let body = Body::Stream { reader, length: Some(10), name: "the file".into() };
    let error =
        block_on(client.document(Ask::new(Method::POST, "/x").body("a/b", body).unwrap())).unwrap_err();
    assert!(matches!(error, CliError::File { .. }), "{error:?}");
    assert!(error.to_string().contains("5 bytes are missing"), "{error}");
}

#[test]
fn answers_are_read_up_to_their_bound() {
    let (address, asked) = serve(vec![http("200 OK", "123456"), http("200 OK", "12345")]);
    let client = Client::new(format!("http://{address}").parse().unwrap(), None).unwrap();
    let read = || async {
        let mut answer = client.send(Ask::new(Method::GET, "/x")).await.unwrap();
        answer.read(5).await.unwrap()
    };
    assert!(matches!(block_on(read()), Bounded::TooLong));
    assert!(matches!(block_on(read()), Bounded::Whole(bytes) if bytes == b"12345"));
    asked.join().unwrap();
}

#[test]
fn a_response_goes_to_the_file_that_was_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("output");
    let (address, asked) = serve(vec![http("200 OK", "the response")]);
    let id = "efa680a0-748e-43d0-9099-cf40937b13f4";
    run(&format!("tasklane --url http://{address} task response {id} --output {}", file.display())).unwrap();
    asked.join().unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "the response");
}

#[test]
fn a_folder_is_published_as_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let manifest =
        "name = \"My App\"\nversion = \"1.0\"\nruntime = \"command\"\n[services.run]\ncommand = [\"true\"]\n";
    std::fs::write(folder.path().join("app.toml"), manifest).unwrap();
    let packed = bundle::pack_directory(folder.path(), &bundle::Bounds::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let length = packed.bytes.len();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut piece = [0_u8; 4096];
        // The bundle is no text, so its end is found by its length.
        let head_end =
            |asked: &[u8]| asked.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        while head_end(&asked).is_none_or(|end| asked.len() < end + length) {
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "the request broke off");
            asked.extend_from_slice(&piece[..count]);
        }
        stream.write_all(http("200 OK", r#"{"apps":[]}"#).as_bytes()).unwrap();
        asked
    });
    let client = Client::new(format!("http://{address}").parse().unwrap(), Some("tl_x")).unwrap();
    let context = Context { client, console: Console::new(true) };
    let line = format!("tasklane app publish {} --latest", folder.path().display());
    let Arguments { command: command @ Command::App(_), .. } = parse(&line).unwrap() else {
        panic!("{line}");
    };
    block_on(commands::run(&context, command)).unwrap();
    let asked = server.join().unwrap();
    assert!(asked.starts_with(b"POST /tasklane/v1/apps?latest=true HTTP/1.1\r\n"));
    assert!(asked.ends_with(&packed.bytes));
}

#[test]
fn a_folder_without_a_manifest_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        run(&format!("tasklane --url http://{} app publish {}", closed_port(), folder.path().display()));
    assert!(matches!(error, Err(CliError::Bundle(_))), "{error:?}");
}

#[test]
fn keys_that_can_not_be_sent_are_refused_here() {
    let url = || format!("http://{}", closed_port()).parse().unwrap();
    assert!(matches!(Client::new(url(), Some("a\nb")), Err(CliError::Usage(_))));
    assert!(!Client::new(url(), Some("  ")).unwrap().has_key());
    let shown = format!("{:?}", Client::new(url(), Some("tl_secret")).unwrap());
    assert!(!shown.contains("tl_secret"), "{shown}");
    let ask = Ask::new(Method::POST, "/x").body("a/b\r\nx: y", Body::Bytes(Bytes::new()));
    assert!(matches!(ask, Err(CliError::Usage(_))));
}
