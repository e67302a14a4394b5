//! Rules on the text of source files.

use super::{TextFile, files, no_breach};

const LINES_MAX: usize = 500;

#[test]
fn every_source_file_says_what_it_is_for() {
    let rule = "a .rs file opens with `//!`";
    let silent = files().into_iter().filter(|file| file.is_rust() && !file.text.starts_with("//!"));
    no_breach(rule, &silent.map(|file| file.path).collect::<Vec<_>>());
}

#[test]
fn no_source_file_is_longer_than_a_person_reads() {
    let long = files().into_iter().filter(|file| file.is_rust() && !file.is_test());
    let long =
        long.map(|file| (file.text.lines().count(), file.path)).filter(|(lines, _)| *lines > LINES_MAX);
    let breaches: Vec<String> = long.map(|(lines, path)| format!("{path} has {lines} lines")).collect();
    no_breach("a source file has at most 500 lines", &breaches);
}

/// How names on the wire begin. Each is put together in shared/wire and nowhere else.
const WIRE_NAMES: [&str; 7] = ["tasklane.", "$KV.", "$JS.", "$O.", "_INBOX", "KV_", "OBJ_"];

/// Literals that look like a name of ours and are none, or belong to another, each with its reason.
const NO_WIRE_NAMES: [(&str, &str, &str); 4] = [
    ("cli/src/stack/files.rs", "_INBOX.>", "where NATS clients of the demo user await answers by default"),
    ("cli/src/stack/bench/stack.rs", "_INBOX.>", "the bare client of the floor awaits its answers there"),
    (
        "cli/src/stack/bench/stack.rs",
        "$JS.API.>",
        "the floor makes streams of its own on a broker of its own",
    ),
    ("cli/src/stack/bench/stack.rs", "$JS.ACK.>", "the floor acknowledges by itself"),
];

#[test]
fn no_name_of_the_wire_is_written_outside_of_it() {
    let mut breaches = Vec::new();
    for file in files() {
        if !file.is_rust() || file.is_test() || file.path.starts_with("shared/wire/") {
            continue;
        }
        for (number, line) in (1..).zip(product_lines(&file)) {
            let literals = line.split('"').skip(1).step_by(2);
            for literal in literals.filter(|text| WIRE_NAMES.iter().any(|name| text.starts_with(name))) {
                let known = |(path, text, _): &(&str, &str, &str)| file.path == *path && literal == *text;
                if !NO_WIRE_NAMES.iter().any(known) {
                    breaches.push(format!("{}:{number}: \"{literal}\"", file.path));
                }
            }
        }
    }
    no_breach("subjects, buckets and streams are named in shared/wire alone", &breaches);
}

#[test]
fn only_the_broker_crate_and_the_floor_of_bench_speak_nats() {
    let places = ["shared/broker/", "cli/src/stack/bench/"];
    let product = files().into_iter().filter(|file| file.is_rust() && !file.is_test());
    let others = product.filter(|file| !places.iter().any(|place| file.path.starts_with(place)));
    let breaches: Vec<String> = others
        .filter(|file| product_lines(file).any(|line| line.contains("async_nats")))
        .map(|file| file.path)
        .collect();
    no_breach("everything else uses the crate `broker`", &breaches);
}

/// The lines before the unit tests at the end of a file, without comments.
fn product_lines(file: &TextFile) -> impl Iterator<Item = &str> {
    let product = file.text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    product.map(|line| if line.trim_start().starts_with("//") { "" } else { line })
}

#[test]
fn no_test_is_switched_off_and_nothing_is_left_to_do() {
    // Put together, so that this file does not find itself.
    let unwanted = ["ignore]", "ignore ="].map(|end| format!("#[{end}"));
    let undone = ["todo", "unimplemented"].map(|name| format!("{name}!("));
    let mut breaches = Vec::new();
    for file in files().iter().filter(|file| file.is_rust()) {
        for (number, line) in (1..).zip(file.text.lines()) {
            if unwanted.iter().chain(&undone).any(|word| line.contains(word.as_str())) {
                breaches.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    no_breach("every test runs and every function is written", &breaches);
}

#[test]
fn no_file_knows_the_machine_that_it_was_written_on() {
    // Put together, so that this file does not find itself.
    let homes = ["root", "home", "Users", "work"].map(|folder| format!("/{folder}/"));
    let indexes =
        ["index-url", "extra-index", "find-links", "trusted-host"].map(|option| format!("--{option}"));
    let mut breaches = Vec::new();
    for file in files() {
        for (number, line) in (1..).zip(file.text.lines()) {
            let starts_path = |(at, _): (usize, &str)| {
                let before = line.get(..at).and_then(|before| before.chars().next_back());
                before.is_none_or(|c| !c.is_alphanumeric() && !"./_-}~*".contains(c))
            };
            let has_home = homes.iter().any(|home| line.match_indices(home.as_str()).any(starts_path));
            if has_home || indexes.iter().any(|option| line.contains(option.as_str())) {
                breaches.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    no_breach("no path of one machine and no package index of its own", &breaches);
}

#[test]
fn every_crate_comes_from_the_public_registry() {
    let public = "registry+https://github.com/rust-lang/crates.io-index";
    let lock: toml::Table = super::read("Cargo.lock").parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    assert!(packages.len() > 100, "Cargo.lock was not read");
    let foreign = packages.iter().filter_map(|package| package.get("source")?.as_str());
    let breaches: Vec<String> = foreign.filter(|source| *source != public).map(str::to_owned).collect();
    no_breach("Cargo.lock knows crates.io alone", &breaches);
}
