//! Why a command did not start, in words for the author of the app.

use std::io::Error;
use std::path::Path;

use crate::protocol::Launch;

/// The folder of the app is not there, which the system would report as a missing command.
pub(super) fn folder_is_missing(launch: &Launch) -> String {
    let folder = launch.working_directory.display();
    format!("{} cannot be started: its working folder {folder} does not exist", name(launch))
}

/// Turns the system's answer to starting the command into a hint what to change.
pub(super) fn explain(launch: &Launch, error: &Error) -> String {
    let name = name(launch);
    match error.raw_os_error() {
        Some(libc::ENOENT) => not_found(launch, &name),
        Some(libc::EACCES) => {
            format!("{name} cannot be started: the file may not be executed (chmod +x it before publishing)")
        }
        Some(libc::ENOMEM) => format!("{name} cannot be started: its memory limit is too small"),
        Some(libc::E2BIG) => {
            format!("{name} cannot be started: arguments and environment are too long together")
        }
        Some(_) | None => format!("{name} cannot be started: {error}"),
    }
}

/// A file that exists and still is "not found" has an interpreter that does not.
fn not_found(launch: &Launch, name: &str) -> String {
    let program = launch.command.first().map_or("", String::as_str);
    let in_folder = launch.working_directory.join(program);
    if program.contains('/') {
        if in_folder.is_file() {
            return foreign(name, &in_folder);
        }
        return format!("{name} cannot be started: there is no file {}", in_folder.display());
    }
    let search_path = launch.env.get("PATH").map_or("/bin:/usr/bin", String::as_str);
    if let Some(file) =
        std::env::split_paths(search_path).map(|dir| dir.join(program)).find(|file| file.is_file())
    {
        return foreign(name, &file);
    }
    let hint = if in_folder.is_file() {
        format!("; a file of the app itself is started as \"./{program}\"")
    } else {
        String::new()
    };
    format!("{name} cannot be started: there is no such program on the PATH {search_path}{hint}")
}

fn foreign(name: &str, file: &Path) -> String {
    format!(
        "{name} cannot be started: {} exists, but the interpreter in its first line (#!), or the system that \
         it was built for, does not exist here",
        file.display()
    )
}

fn name(launch: &Launch) -> String {
    format!("the command \"{}\"", launch.command.first().map_or("", String::as_str))
}
