//! Each rule of `app.toml`, with texts that keep it and texts that break it.

use std::{collections::BTreeMap, time::Duration};

use crate::manifest::{
    Dedup, Limits, Manifest, Runtime, TriggerLane,
    units::{format_duration, parse_duration, parse_size},
};

const COMMAND: &str =
    "name = \"a\"\nversion = \"1\"\nruntime = \"command\"\n[services.run]\ncommand = [\"true\"]\n";
const SESSION: &str =
    "name = \"a\"\nversion = \"1\"\nruntime = \"session\"\n[session]\ncommand = [\"true\"]\n";
const NOOP: &str = "name = \"a\"\nversion = \"1\"\nruntime = \"noop\"\n";

fn good(text: &str) -> Manifest {
    Manifest::parse(text).unwrap_or_else(|error| panic!("{error}\nin:\n{text}"))
}

/// Asserts that the text is refused with a message that holds each of the given parts.
fn bad(text: &str, parts: &[&str]) {
    let message = match Manifest::parse(text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string(),
    };
    assert!(message.starts_with("app.toml: "), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}\nfor:\n{text}");
    }
}

fn head(name: &str, version: &str, runtime: &str) -> String {
    format!("name = {name}\nversion = {version}\nruntime = {runtime}\n[services.run]\ncommand = [\"true\"]\n")
}

#[test]
fn the_example_of_the_design_is_read_in_full() {
    let manifest = good(
        r#"
name = "transport"
version = "1.0"
runtime = "command"

[services.solve]
command = ["python3", "solve.py"]
timeout = "10m"
env = { SOLVER = "highs" }

[services.get_filenames]
command = ["sh", "-c", "cat"]

[workflows.drmswitch]
steps = ["get_filenames", "solve", "get_filenames"]
required = ["content_id", "folder"]

[limits]
memory = "512m"
open_files = 256
processes = 64
file_size = "2g"
"#,
    );
    assert_eq!(manifest.runtime, Runtime::Command);
    let solve = &manifest.services["solve"];
    assert_eq!(solve.command, ["python3", "solve.py"]);
    assert_eq!(solve.timeout, Some(Duration::from_secs(600)));
    assert_eq!(solve.env, BTreeMap::from([("SOLVER".into(), "highs".into())]));
    assert_eq!(manifest.workflows["drmswitch"].steps, ["get_filenames", "solve", "get_filenames"]);
    assert_eq!(manifest.workflows["drmswitch"].required, ["content_id", "folder"]);
    let limits = Limits {
        memory: Some(512 << 20),
        open_files: Some(256),
        processes: Some(64),
        file_size: Some(2 << 30),
    };
    assert_eq!(manifest.limits, limits);
    assert!(manifest.session.is_none());
    assert!(manifest.accepts_service("solve") && !manifest.accepts_service("other"));
}

#[test]
fn a_session_is_read_for_each_runtime_that_has_one() {
    for runtime in ["session", "stream", "webui"] {
        let text = format!(
            "name = \"a\"\nversion = \"1\"\nruntime = \"{runtime}\"\n[session]\ncommand = [\"s\", \"{{port}}\"]\n\
             ready = \"/api/v2/tasks\"\nidle = \"5m\"\nmax_tasks = 100\nmax_age = \"12h\"\n"
        );
        let manifest = good(&text);
        assert!(manifest.accepts_service("any"));
        let session = manifest.session.unwrap();
        assert_eq!(session.ready.as_deref(), Some("/api/v2/tasks"));
        assert_eq!(session.idle, Some(Duration::from_secs(300)));
        assert_eq!(session.max_tasks, Some(100));
        assert_eq!(session.max_age, Some(Duration::from_secs(12 * 3600)));
        bad(&head("\"a\"", "\"1\"", &format!("{runtime:?}")), &["[services]", runtime]);
        bad(&format!("name = \"a\"\nversion = \"1\"\nruntime = {runtime:?}\n"), &["[session] is missing"]);
        let workflow = format!("{text}[workflows.w]\nsteps = [\"x\"]\n");
        bad(&workflow, &["[workflows]", runtime]);
    }
}

#[test]
fn a_noop_app_may_name_services_and_nothing_that_needs_a_process() {
    assert!(good(NOOP).accepts_service("anything"));
    let named = good(&format!("{NOOP}[services.echo]\n[workflows.twice]\nsteps = [\"echo\", \"echo\"]\n"));
    assert!(named.accepts_service("echo") && !named.accepts_service("anything"));
    for (text, field) in [
        ("[services.echo]\ncommand = [\"cat\"]\n", "services.echo.command"),
        ("[services.echo]\ntimeout = \"1s\"\n", "services.echo.timeout"),
        ("[services.echo]\nenv = { A = \"b\" }\n", "services.echo.env"),
        ("[limits]\nopen_files = 9\n", "[limits]"),
        ("[session]\ncommand = [\"cat\"]\n", "[session]"),
    ] {
        bad(&format!("{NOOP}{text}"), &[field, "noop"]);
    }
}

#[test]
fn names_and_versions() {
    let longest = "ü".repeat(128);
    for name in ["a", "Überladung 2", ".hidden", "a.b", "...", "日本語", "a:b*?", &longest] {
        let text = format!("{name:?}");
        assert_eq!(good(&head(&text, &text, "\"command\"")).name, name);
    }
    let too_long = format!("{longest}x");
    for name in ["", ".", "..", "a/b", "a\\b", "a\nb", "a\u{7f}", "a\u{85}b", " a", "a ", "a\t", &too_long] {
        // JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
        let text = serde_json::to_string(name).unwrap().replace('\u{7f}', "\\u007f");
        bad(&head(&text, "\"1\"", "\"command\""), &["name is", "1 to 128"]);
        bad(&head("\"a\"", &text, "\"command\""), &["version is", "1 to 128"]);
        let service = format!("{COMMAND}[services.{text}]\ncommand = [\"true\"]\n");
        bad(&service, &["services.", "1 to 128"]);
        bad(&format!("{COMMAND}[workflows.{text}]\nsteps = [\"run\"]\n"), &["workflows.", "1 to 128"]);
    }
    bad(&head("\"a\"", "\"latest\"", "\"command\""), &["version is \"latest\"", "tag"]);
    good(&head("\"latest\"", "\"latest-1\"", "\"command\""));
}

#[test]
fn unknown_keys_missing_keys_and_wrong_types_are_named_with_their_line() {
    let (command, session) = (COMMAND, SESSION);
    for (text, parts) in [
        (format!("colour = 1\n{command}"), ["unknown field", "`colour`", "line 1"]),
        (format!("{command}timeuot = \"1s\"\n"), ["unknown field", "`timeuot`", "line 6"]),
        (
            format!("{command}[workflows.w]\nsteps = [\"run\"]\nstep = 1\n"),
            ["unknown field", "`step`", "line 8"],
        ),
        (format!("{session}port = 1\n"), ["unknown field", "`port`", "line 6"]),
        (format!("{command}[limits]\ncpu = 1\n"), ["unknown field", "`cpu`", "line 7"]),
        (format!("{command}[trigger]\n"), ["unknown field", "`trigger`", "line 6"]),
        (
            format!("{command}[triggers.t]\nsubject = \"demo.a\"\nservice = \"run\"\nkey = \"x\"\n"),
            ["unknown field", "`key`", "line 9"],
        ),
        ("version = \"1\"\nruntime = \"noop\"\n".into(), ["missing field", "`name`", ""]),
        ("name = \"1\"\nruntime = \"noop\"\n".into(), ["missing field", "`version`", ""]),
        ("name = \"1\"\nversion = \"noop\"\n".into(), ["missing field", "`runtime`", ""]),
        (head("\"a\"", "1.0", "\"command\""), ["version = 1.0", "expected a string", "line 2"]),
        (head("\"a\"", "\"1\"", "\"comand\""), ["runtime is \"comand\"", "\"command\"", "\"noop\""]),
        (format!("{command}command = []\n"), ["duplicate key", "line 6", ""]),
        ("name = ".into(), ["line 1", "", ""]),
    ] {
        bad(&text, &parts);
    }
}

#[test]
fn commands_and_variables() {
    bad(&head("\"a\"", "\"1\"", "\"command\"").replace("[\"true\"]", "[]"), &["services.run.command is []"]);
    bad(&COMMAND.replace("[\"true\"]", "[\"\"]"), &["services.run.command", "program"]);
    bad(&COMMAND.replace("[\"true\"]", "[\"a\", \"b\\u0000\"]"), &["services.run.command"]);
    bad(&COMMAND.replace("command = [\"true\"]", ""), &["services.run.command is missing"]);
    bad(&COMMAND.replace("[services.run]\ncommand = [\"true\"]", ""), &["[services] is missing"]);
    bad(&SESSION.replace("[\"true\"]", "[]"), &["session.command is []"]);
    bad(
        &COMMAND.replace("[services.run]", "[services.\"my run\"]").replace("[\"true\"]", "[]"),
        &["services.\"my run\".command"],
    );
    good(&format!("{COMMAND}env = {{ A = \"\", b_2 = \"x=y\" }}\n"));
    bad(&format!("{COMMAND}env = {{ \"A=B\" = \"c\" }}\n"), &["services.run.env", "\"A=B\""]);
    bad(&format!("{COMMAND}env = {{ \"\" = \"c\" }}\n"), &["services.run.env"]);
    bad(&format!("{COMMAND}env = {{ A = \"\\u0000\" }}\n"), &["services.run.env.A"]);
    bad(&format!("{COMMAND}env = {{ A = 4 }}\n"), &["expected a string"]);
    bad(&format!("{COMMAND}env = {{ TASKLANE_URL = \"x\" }}\n"), &["services.run.env.TASKLANE_URL"]);
    bad(&format!("{COMMAND}[session]\ncommand = [\"true\"]\n"), &["[session]", "command app"]);
}

#[test]
fn workflow_steps_are_services_of_the_app() {
    let workflow = |lines: &str| format!("{COMMAND}[workflows.w]\n{lines}\n");
    good(&workflow("steps = [\"run\"]"));
    bad(&workflow("steps = [\"run\", \"walk\"]"), &["workflows.w.steps is \"walk\"", "\"run\""]);
    bad(&workflow("steps = []"), &["workflows.w.steps is []", "\"run\""]);
    bad(&workflow("steps = [\"run\"]\nrequired = [\"\"]"), &["workflows.w.required"]);
    bad(&workflow("required = [\"a\"]"), &["missing field `steps`"]);
}

#[test]
fn triggers_name_a_subject_and_what_runs() {
    let trigger = |app: &str, lines: &str| format!("{app}[triggers.t]\n{lines}\n");
    let of = |text: &str| good(text).triggers["t"].clone();
    let plain = of(&trigger(COMMAND, "subject = \"demo.orders\"\nservice = \"run\""));
    assert_eq!((plain.subject.as_str(), plain.service.as_str()), ("demo.orders", "run"));
    assert_eq!((plain.lane, plain.dedup), (TriggerLane::Tasks, Dedup::MessageId));
    let ends = "subject = \"demo.a.b\"\nservice = \"run\"";
    for (text, expected) in [
        ("sequence", Dedup::Sequence),
        ("header:Order-Id", Dedup::Header("Order-Id".into())),
        ("field:order.id", Dedup::Field("order.id".into())),
    ] {
        let manifest = trigger(COMMAND, &format!("{ends}\nlane = \"tasks\"\ndedup = {text:?}"));
        assert_eq!(of(&manifest).dedup, expected);
        let written = serde_json::to_value(good(&manifest)).unwrap();
        assert_eq!(written["triggers"]["t"]["dedup"], text);
    }
    let workflow = format!("{COMMAND}[workflows.w]\nsteps = [\"run\"]\n");
    let jobs = "subject = \"demo.a\"\nlane = \"jobs\"\nservice = ";
    assert_eq!(of(&trigger(&workflow, &format!("{jobs}\"w\""))).lane, TriggerLane::Jobs);
    bad(
        &trigger(&workflow, &format!("{jobs}\"run\"")),
        &["triggers.t.service is \"run\"", "a workflow", "\"w\""],
    );
    bad(&trigger(COMMAND, &format!("{jobs}\"w\"")), &["triggers.t.service", "none is there"]);
    // A session knows its services itself.
    good(&trigger(SESSION, ends));
    for (lines, parts) in [
        ("subject = \"demo.a\"\nservice = \"walk\"", ["triggers.t.service is \"walk\"", "\"run\""]),
        ("service = \"run\"", ["missing field", "`subject`"]),
        ("subject = \"demo.a\"", ["missing field", "`service`"]),
        ("subject = \"demo\"\nservice = \"run\"", ["triggers.t.subject is \"demo\"", "without wildcards"]),
        ("subject = \"demo.*\"\nservice = \"run\"", ["triggers.t.subject", "without wildcards"]),
        ("subject = \"demo.>\"\nservice = \"run\"", ["triggers.t.subject", "without wildcards"]),
        ("subject = \"demo..a\"\nservice = \"run\"", ["triggers.t.subject", "without wildcards"]),
        ("subject = \"demo.a b\"\nservice = \"run\"", ["triggers.t.subject", "without wildcards"]),
    ] {
        bad(&trigger(COMMAND, lines), &parts);
    }
    for (line, part) in [
        ("lane = \"fast\"", "triggers.t.lane is \"fast\""),
        ("dedup = \"id\"", "triggers.t.dedup is \"id\""),
        ("dedup = \"header:\"", "triggers.t.dedup"),
        ("dedup = \"header:a b\"", "triggers.t.dedup"),
        ("dedup = \"field:a..b\"", "triggers.t.dedup"),
        ("dedup = 1", "expected a string"),
    ] {
        bad(&trigger(COMMAND, &format!("{ends}\n{line}")), &[part]);
    }
    bad(&format!("{COMMAND}[triggers.\"a b\"]\n{ends}\n"), &["triggers.\"a b\" name", "1 to 64"]);
    for runtime in ["stream", "webui"] {
        let app = SESSION.replace("session\"", &format!("{runtime}\""));
        bad(&trigger(&app, ends), &["[triggers]", runtime]);
    }
    let many: String = (0..33).map(|i| format!("[triggers.t{i}]\n{ends}\n")).collect();
    bad(&format!("{COMMAND}{many}"), &["[triggers] is 33", "at most 32"]);
}

#[test]
fn durations_sizes_and_counts_in_their_fields() {
    for value in ["\"1ms\"", "\"30d\"", "\"2h\"", "\"1h30m\""] {
        good(&format!("{COMMAND}timeout = {value}\n"));
        good(&format!("{SESSION}idle = {value}\n"));
    }
    for value in ["\"0s\"", "\"30d1ms\"", "\"ten\"", "\"\"", "10", "1.5", "true", "\"-1s\"", "[\"1s\"]"] {
        bad(&format!("{COMMAND}timeout = {value}\n"), &["services.run.timeout is ", value, "\"1h30m\""]);
        bad(&format!("{SESSION}idle = {value}\n"), &["session.idle is ", value, "\"1h30m\""]);
    }
    let memory = |value: &str| format!("{COMMAND}[limits]\nmemory = {value}\n");
    assert_eq!(good(&memory("16777216")).limits.memory, Some(16 << 20));
    assert_eq!(good(&memory("\"16m\"")).limits.memory, Some(16 << 20));
    for value in
        ["\"15m\"", "16777215", "\"64k\"", "-1", "\"1t\"", "\"99999999999g\"", "\"9000000000g\"", "1.5"]
    {
        bad(&memory(value), &["limits.memory is ", value, "\"16m\"", "\"512m\""]);
    }
    assert_eq!(good(&format!("{COMMAND}[limits]\nfile_size = \"64k\"\n")).limits.file_size, Some(65_536));
    bad(&format!("{COMMAND}[limits]\nfile_size = 0\n"), &["limits.file_size is 0", "from 1"]);
    for field in ["open_files", "processes"] {
        for value in ["0", "-1", "4294967296", "\"9\"", "1.5"] {
            bad(&format!("{COMMAND}[limits]\n{field} = {value}\n"), &[&format!("limits.{field} is {value}")]);
        }
    }
    bad(&format!("{SESSION}max_tasks = 0\n"), &["session.max_tasks is 0", "from 1 to 4294967295"]);
    bad(&format!("{SESSION}max_age = \"0s\"\n"), &["session.max_age is \"0s\"", "up to \"30d\""]);
    for ready in ["", "api", "/a b", "/a\\nb"] {
        bad(&format!("{SESSION}ready = \"{ready}\"\n"), &["session.ready is "]);
    }
}

#[test]
fn a_long_wrong_value_is_cut_in_the_message() {
    let text = format!("{COMMAND}timeout = \"{}\"\n", "é".repeat(10_000));
    let message = Manifest::parse(&text).unwrap_err().to_string();
    assert!(message.len() < 500, "{} bytes", message.len());
}

#[test]
fn durations_as_people_write_them() {
    for (text, milliseconds) in [
        ("500ms", 500),
        ("30s", 30_000),
        ("10m", 600_000),
        ("2h", 7_200_000),
        ("1h30m", 5_400_000),
        ("30d", 2_592_000_000),
        ("1d2h3m4s5ms", 93_784_005),
        ("0s", 0),
        ("007s", 7_000),
    ] {
        assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        let back = format_duration(Duration::from_millis(milliseconds));
        assert_eq!(parse_duration(&back), Some(Duration::from_millis(milliseconds)), "{back}");
    }
    let wrong = [
        "",
        "s",
        "10",
        "10 m",
        " 10m",
        "1m1h",
        "1m1m",
        "1.5h",
        "10min",
        "1H",
        "-1s",
        "+1s",
        "1h30",
        "ms500",
        "١s",
        "18446744073709551616s",
        "18446744073709551615d",
        "18446744073709551615ms1",
    ];
    for text in wrong {
        assert_eq!(parse_duration(text), None, "{text}");
    }
}

#[test]
fn sizes_as_people_write_them() {
    for (text, bytes) in
        [("512m", 512 << 20), ("2g", 2 << 30), ("64k", 65_536), ("1048576", 1 << 20), ("0", 0)]
    {
        assert_eq!(parse_size(text), Some(bytes), "{text}");
    }
    for text in ["", "k", "1.5g", "1 g", "1G", "1mb", "-1", "+1", "0x10", "18446744073709551615k"] {
        assert_eq!(parse_size(text), None, "{text}");
    }
}

#[test]
fn the_json_form_has_the_shape_of_the_file_and_is_checked_when_read_back() {
    let text = format!("{COMMAND}timeout = \"90m\"\n[limits]\nmemory = \"32m\"\n");
    let manifest = good(&text);
    let json = serde_json::to_value(&manifest).unwrap();
    let expected = serde_json::json!({
        "name": "a", "version": "1", "runtime": "command",
        "services": { "run": { "command": ["true"], "timeout": "1h30m" } },
        "limits": { "memory": 33_554_432 },
    });
    assert_eq!(json, expected);
    assert_eq!(serde_json::from_value::<Manifest>(json).unwrap(), manifest);
    for text in [SESSION, NOOP] {
        let manifest = good(text);
        let json = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
    }
    let mut wrong = expected;
    wrong["version"] = "latest".into();
    let message = serde_json::from_value::<Manifest>(wrong).unwrap_err().to_string();
    assert!(message.contains("version is \"latest\""), "{message}");
}

#[test]
fn every_example_on_the_page_for_authors_is_accepted() {
    let page = include_str!("../../../../docs/apps.md");
    let examples: Vec<_> =
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), page.matches("```toml").count());
    let runtimes: Vec<_> = examples.iter().map(|text| good(text).runtime).collect();
    assert!(runtimes.contains(&Runtime::Command) && runtimes.contains(&Runtime::Noop), "{runtimes:?}");
}
