//! docs/nats.md: its Python runs as it stands there, with the public client, and its Rust is that of `client`,
//! which runs too.

mod client;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use domain::Scope;
use tests::Kit;
use tests::accounts::grant;
use tests::apps::App;
use tests::door::Program;
use tests::wait::PATIENCE;
use wire::Function;
use wire::door::words;

/// The example app that the page uses, the user that it names, and a program of that user.
async fn stage() -> (Kit, Program) {
    let mut kit = Kit::start().await;
    let folder = root().join("examples/hello");
    let bundle = bundle::pack_directory(&folder, &bundle::Bounds::default()).unwrap();
    kit.http.post("/tasklane/v1/apps?latest=true", bundle.bytes).await.expect(200);
    grant(&kit.http, "hello", "ann", "read,execute").await;
    let app = &pieces("toml", 1)[0];
    App { manifest: app, files: &[] }.publish(&kit.http).await.expect(200);
    let program = Program::hearing(&mut kit, "demo", "ann", "feeder", &[Scope::Tasks], &["hello"]).await;
    (kit, program)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The pieces of the page in one language.
fn pieces(language: &str, least: usize) -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/nats.md")).unwrap();
    let begin = format!("```{language}\n");
    let pieces = page.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
    let pieces: Vec<String> = pieces.collect();
    assert!(pieces.len() >= least, "the page has too few pieces in {language}");
    pieces
}

#[tokio::test]
async fn the_python_of_the_page_runs() {
    let (kit, program) = stage().await;
    let indented: String = pieces("python", 5)
        .concat()
        .lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") })
        .collect();
    let script = format!("import asyncio\n\n\nasync def main():\n{indented}\n\nasyncio.run(main())\n");
    let out = python(&kit, program.seed, script, 0).await;
    for line in [
        "completed Hello, Ada!",
        "Hello, Charles!",
        "interrupted: yes",
        "this service always fails",
        "404: app hello 1.0 has no service gret; its services are fail, greet, sleep",
        "tasklane.v1.create ['tenant', 'app', 'version', 'service'",
        "SUBMISSIONS 1",
        "SOURCE_demo=2Eorders 1",
        "400 the request is not the JSON object that tasklane.v1.create takes",
        "1 so far",
    ] {
        assert!(out.contains(line), "'{line}' is missing in\n{out}");
    }
    kit.stop().await;
}

/// What a script prints that is given a program's seed, and a number.
async fn python(kit: &Kit, seed: String, script: String, argument: usize) -> String {
    let url = kit.stack.settings.nats_url.clone();
    let run = tokio::task::spawn_blocking(move || {
        let mut python = Command::new(environment().join("bin/python"));
        python.args(["-c", &script, &argument.to_string()]).env("NATS_URL", url).env("NATS_SEED", seed);
        python.output().expect("python runs")
    });
    let output = tokio::time::timeout(PATIENCE * 3, run).await.expect("the script ends").unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

#[tokio::test]
async fn the_schemas_of_the_micro_services_are_what_the_functions_do() {
    let (kit, program) = stage().await;
    let script = std::fs::read_to_string(root().join("tests/nats/schemas.py")).unwrap();
    let endpoints: usize = Function::ALL.into_iter().map(|function| words(function).len()).sum();
    let out = python(&kit, program.seed, script, endpoints).await;
    assert_eq!(out, format!("{endpoints} endpoints\n"));
    kit.stop().await;
}

#[tokio::test]
async fn the_rust_of_the_page_is_what_is_compiled_and_runs() {
    let trimmed = |text: &str| -> String { text.lines().map(|line| format!("{}\n", line.trim())).collect() };
    let compiled = trimmed(include_str!("nats_page/client.rs"));
    for piece in pieces("rust", 5) {
        assert!(compiled.contains(&trimmed(&piece)), "not in client.rs:\n{piece}");
    }
    let (kit, program) = stage().await;
    client::run(kit.stack.settings.nats_url.clone(), program.seed).await.unwrap();
    kit.stop().await;
}

/// A virtual environment below target/ with exactly what requirements.txt names, made where it is missing.
fn environment() -> PathBuf {
    let wanted_file = root().join("tests/nats/requirements.txt");
    let wanted = std::fs::read_to_string(&wanted_file).unwrap();
    let folder = root().join("target/nats-py");
    let stamp = folder.join("requirements.txt");
    // The tests of this module share it.
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock().unwrap();
    if std::fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return folder;
    }
    let run = |command: &mut Command| {
        let output = command.output().expect("python3 with venv and pip is there");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    run(Command::new(folder.join("bin/pip")).args(["install", "--quiet", "--requirement"]).arg(&wanted_file));
    std::fs::write(&stamp, wanted).unwrap();
    folder
}
