//! Rules on the crates: lints are inherited, and every crate uses only what its place in the flow allows.

use std::collections::BTreeSet;

use toml::Table;

use super::{folders_in, no_breach, read};

/// Our own crates that a library may use. A function may use all of these but has its own list of the rest.
const LIBRARIES: [(&str, &[&str]); 9] = [
    ("domain", &[]),
    ("wire", &["domain"]),
    ("bundle", &[]),
    ("keeper", &[]),
    ("session-protocol", &["domain"]),
    ("nats-server", &[]),
    ("dialects", &["domain", "wire"]),
    ("broker", &["domain", "wire"]),
    ("service", &["broker", "domain", "wire"]),
];

/// What every function may use.
const FUNCTION: [&str; 4] = ["broker", "domain", "service", "wire"];
/// What single functions may use beside it.
const FUNCTION_ALSO: [(&str, &[&str]); 4] = [
    ("admin", &["bundle"]),
    ("callbacks", &["dialects"]),
    ("ingress", &["dialects"]),
    ("runner", &["bundle", "keeper", "session-protocol"]),
];

/// Crates of the field that only these may use: they stand for an ability that has one place.
const ABILITIES: &[(&str, &[&str])] = &[
    // The command line has it for the floor of `bench`, which is measured with the bare client.
    ("async-nats", &["broker", "cli", "tests"]),
    ("rskafka", &["runner", "tests"]),
    ("nkeys", &["cli"]),
    ("hyper", &["callbacks", "cli", "ingress", "session-protocol", "tests"]),
    ("hyper-util", &["callbacks", "cli", "ingress", "session-protocol", "tests"]),
    ("hyper-rustls", &["callbacks", "cli"]),
    ("matchit", &["dialects"]),
    ("schemars", &["dialects"]),
    ("clap", &["cli"]),
    ("tracing-subscriber", &["service"]),
    ("hmac", &["dialects", "service"]),
    ("subtle", &["dialects", "service"]),
    ("aes", &["dialects"]),
    ("chacha20poly1305", &["service"]),
    ("tar", &["bundle"]),
    ("flate2", &["bundle"]),
    ("libc", &["keeper"]),
    ("seccompiler", &["keeper"]),
];

/// The crates that do no I/O, with everything that they use.
const PURE: [(&str, &[&str]); 3] = [
    ("domain", &["jiff", "serde", "uuid"]),
    ("wire", &["domain", "serde", "serde_json"]),
    (
        "dialects",
        &[
            "aes",
            "cbc",
            "data-encoding",
            "domain",
            "hmac",
            "http",
            "jiff",
            "matchit",
            "md-5",
            "schemars",
            "serde",
            "serde_json",
            "sha2",
            "subtle",
            "wire",
        ],
    ),
];

struct Crate {
    name: String,
    folder: String,
    manifest: Table,
}

impl Crate {
    fn uses(&self) -> BTreeSet<String> {
        let table = self.manifest.get("dependencies").and_then(|table| table.as_table());
        table.map(|table| table.keys().cloned().collect()).unwrap_or_default()
    }
}

fn crates() -> Vec<Crate> {
    let inner = ["shared", "functions"]
        .into_iter()
        .flat_map(|parent| folders_in(parent).into_iter().map(move |name| format!("{parent}/{name}")));
    inner
        .chain(["cli".to_owned(), "tests".to_owned()])
        .map(|folder| {
            let manifest: Table = read(&format!("{folder}/Cargo.toml")).parse().unwrap();
            let name = manifest["package"]["name"].as_str().unwrap().to_owned();
            Crate { name, folder, manifest }
        })
        .collect()
}

fn allowed<'a>(list: &'a [(&str, &'a [&'a str])], name: &str) -> Option<&'a [&'a str]> {
    list.iter().find(|(known, _)| *known == name).map(|(_, uses)| *uses)
}

#[test]
fn every_crate_inherits_lints_and_versions_and_is_named_like_its_folder() {
    let mut breaches = Vec::new();
    for one in crates() {
        let inherits = |table: &Table, key: &str| {
            table.get(key).and_then(|value| value.get("workspace")).and_then(toml::Value::as_bool)
                == Some(true)
        };
        let lints = one.manifest.get("lints").and_then(toml::Value::as_table);
        if lints.and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool) != Some(true) {
            breaches.push(format!("{} does not inherit the lints", one.folder));
        }
        let package = one.manifest["package"].as_table().unwrap();
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !inherits(package, key) {
                breaches.push(format!("{} does not inherit its {key}", one.folder));
            }
        }
        if !one.folder.ends_with(&one.name) {
            breaches.push(format!("{} is called {}", one.folder, one.name));
        }
        for kind in ["dependencies", "dev-dependencies"] {
            let table = one.manifest.get(kind).and_then(toml::Value::as_table).cloned().unwrap_or_default();
            let own = table.keys().filter(|name| !inherits(&table, name));
            breaches.extend(own.map(|name| format!("{}: {name} does not inherit its version", one.folder)));
        }
    }
    no_breach("the workspace says it once", &breaches);
}

#[test]
fn a_crate_uses_only_own_crates_that_come_before_it() {
    let all = crates();
    let own: BTreeSet<String> = all.iter().map(|one| one.name.clone()).collect();
    let mut breaches = Vec::new();
    for one in &all {
        let list: Vec<&str> = match one.folder.split('/').next() {
            Some("shared") => match allowed(&LIBRARIES, &one.name) {
                Some(list) => list.to_vec(),
                None => {
                    breaches.push(format!("{} is not in the list of libraries", one.name));
                    continue;
                }
            },
            Some("functions") => {
                let also = allowed(&FUNCTION_ALSO, &one.name).unwrap_or_default();
                FUNCTION.iter().chain(also).copied().collect()
            }
            // The command line runs the whole stack, and the tests look into everything.
            _ => continue,
        };
        let uses = one.uses();
        let beyond = uses.intersection(&own).filter(|name| !list.contains(&name.as_str()));
        breaches.extend(beyond.map(|name| format!("{} uses {name}", one.name)));
    }
    for one in all.iter().filter(|one| one.name != "tests") {
        let above = ["tests", "cli"].into_iter().filter(|name| one.uses().contains(*name));
        breaches.extend(above.map(|name| format!("{} uses {name}", one.name)));
    }
    no_breach("the flow goes one way", &breaches);
}

#[test]
fn an_ability_has_one_place() {
    let mut breaches = Vec::new();
    for one in crates() {
        let uses = one.uses();
        for (ability, places) in ABILITIES.iter().copied() {
            if uses.contains(ability) && !places.contains(&one.name.as_str()) {
                breaches.push(format!("{} uses {ability}, which is for {}", one.name, places.join(", ")));
            }
        }
        if let Some(list) = allowed(&PURE, &one.name) {
            let beyond = uses.iter().filter(|name| !list.contains(&name.as_str()));
            breaches.extend(beyond.map(|name| format!("{} is pure and uses {name}", one.name)));
        }
    }
    no_breach("a crate of the field is used where its ability belongs", &breaches);
}
