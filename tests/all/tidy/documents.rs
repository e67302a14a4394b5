//! Documents that must name what is there, and nothing that is not.

use std::collections::BTreeSet;

use super::{files, folders_in, no_breach, read, root};

#[test]
fn the_map_names_every_folder() {
    let map = read("ARCHITECTURE.md");
    let mut breaches = Vec::new();
    for parent in ["functions", "shared"] {
        for name in folders_in(parent) {
            if !map.contains(&format!("`{parent}/{name}`")) {
                breaches.push(format!("`{parent}/{name}` is missing"));
            }
        }
    }
    no_breach("ARCHITECTURE.md names every function and library", &breaches);
}

#[test]
fn the_readme_names_both_commands() {
    let readme = read("README.md");
    for command in ["cargo run --release -- demo", "cargo test"] {
        assert!(readme.contains(command), "README.md does not name `{command}`");
    }
}

/// Every word in a text that looks like a variable of ours, with at least one letter after the prefix.
fn variables(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    words
        .filter(|word| word.len() > "TASKLANE_".len() && word.starts_with("TASKLANE_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_variable_is_documented_and_nothing_else_is() {
    let documented = variables(&read("docs/operations.md"));
    let config = read("shared/service/src/config.rs");
    let (product, _) = config.split_once("#[cfg(test)]").unwrap();
    let known: BTreeSet<String> = service::config::KNOWN.iter().map(|name| (*name).to_owned()).collect();
    let mut breaches: Vec<String> =
        known.difference(&documented).map(|name| format!("{name} is not in docs/operations.md")).collect();
    let read_too = variables(product);
    let configs = ["server.conf", "cluster.conf", "permissions.conf"];
    let elsewhere = variables(&configs.map(|file| read(&format!("broker-config/{file}"))).concat());
    // The stem of the twelve variables with the functions' public keys.
    let explained = documented.iter().filter(|name| !known.contains(*name) && *name != "TASKLANE_NKEY_");
    let unread = explained.filter(|name| !read_too.contains(*name) && !elsewhere.contains(*name));
    breaches.extend(unread.map(|name| format!("{name} is read by nobody")));
    no_breach("docs/operations.md lists the variables that are read", &breaches);
}

#[test]
fn a_link_between_documents_leads_somewhere() {
    let mut breaches = Vec::new();
    for file in files().iter().filter(|file| file.path.ends_with(".md")) {
        let folder = root().join(&file.path).parent().unwrap().to_owned();
        let links = file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let path = link.split('#').next().unwrap_or_default();
            if !folder.join(path).exists() {
                breaches.push(format!("{}: {link}", file.path));
            }
        }
    }
    no_breach("links lead somewhere", &breaches);
}
