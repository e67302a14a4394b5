//! `program create`: a program's account for the broker's configuration, with a key that is shown once. Nobody
//! is asked for it: what the broker is told is what holds, and whoever may write its configuration decides.

use std::fs;
use std::io::Write;
use std::path::Path;

use domain::access::is_principal_name;
use domain::{Caller, Scope};
use nkeys::KeyPair;
use serde_json::json;
use tempfile::NamedTempFile;
use wire::door::config::Program;

use super::StackError;
use crate::arguments::stack::ProgramCreate;
use crate::console::Console;
use crate::error::CliError;
use crate::table::fields;

/// Appends a program to the file, and shows its seed.
///
/// # Errors
/// Names that can't be used, a name that is taken, or a file that can't be written.
pub fn create(arguments: &ProgramCreate, console: Console) -> Result<(), CliError> {
    let (program, seed) = declare(arguments)?;
    let document = json!({
        "name": program.name,
        "tenant": program.caller.tenant,
        "user": program.caller.user,
        "scopes": arguments.scopes,
        "apps": program.apps,
        "nkey": program.nkey,
        "seed": seed,
    });
    console
        .note("The seed is shown this once. The broker knows it after it has read its configuration anew.");
    console.result(&document, || {
        fields(vec![("program", program.account()), ("nkey", program.nkey.clone()), ("seed", seed.clone())])
    })
}

/// Writes the account of a new program into the file; gives it and its seed.
///
/// # Errors
/// As for [`create`].
pub fn declare(arguments: &ProgramCreate) -> Result<(Program, String), CliError> {
    for (what, name) in [("tenant", &arguments.tenant), ("user", &arguments.user), ("name", &arguments.name)]
    {
        if !is_principal_name(name) {
            let message = format!("--{what} '{name}' is not usable: 1 to 64 letters, digits, '-' or '_'");
            return Err(CliError::Usage(message));
        }
    }
    if !arguments.scopes.contains(&Scope::Tasks) {
        return Err(CliError::Usage(
            "a program needs --scope Tasks; the door is for nothing else".to_owned(),
        ));
    }
    let pair = KeyPair::new_user();
    let program = Program {
        name: arguments.name.clone(),
        caller: Caller {
            tenant: arguments.tenant.clone(),
            user: arguments.user.clone(),
            admin: arguments.scopes.contains(&Scope::Admin),
        },
        nkey: pair.public_key(),
        apps: arguments.apps.clone(),
    };
    let seed = pair.seed().map_err(StackError::text)?;
    append(&arguments.file, &program)?;
    Ok((program, seed))
}

/// Whole or not at all: a broker that reads half a file refuses all of it.
fn append(path: &Path, program: &Program) -> Result<(), CliError> {
    let failed =
        |doing: &str, source| CliError::File { doing: format!("{doing} {}", path.display()), source };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed("reading", error)),
    };
    let account = program.account();
    if text.lines().any(|line| line.trim_start().starts_with(&format!("\"{account}\""))) {
        let message = format!("{} has a program {account} already; choose another name", path.display());
        return Err(CliError::Usage(message));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let written = NamedTempFile::new_in(folder).and_then(|mut file| {
        file.write_all(format!("{}\n\n{}", text.trim_end(), program.print()).trim_start().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map(|_| ()).map_err(|error| error.error)
    });
    written.map_err(|error| failed("writing", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(folder: &Path, name: &str, scopes: &[Scope]) -> ProgramCreate {
        ProgramCreate {
            tenant: "acme".to_owned(),
            user: "ann".to_owned(),
            name: name.to_owned(),
            scopes: scopes.to_vec(),
            apps: vec!["My App".to_owned()],
            file: folder.join("programs.conf"),
        }
    }

    #[test]
    fn a_program_is_added_once_and_the_seed_is_in_no_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("programs.conf"), "# kept\n").unwrap();
        let (one, seed) = declare(&order(folder.path(), "one", &[Scope::Tasks])).unwrap();
        declare(&order(folder.path(), "two", &[Scope::Tasks, Scope::Admin])).unwrap();
        let text = fs::read_to_string(folder.path().join("programs.conf")).unwrap();
        assert!(text.starts_with("# kept\n") && text.contains(&one.nkey) && !text.contains(&seed), "{text}");
        assert!(text.contains(".event.acme.My=20App.*\"") && text.contains(".event.acme.>\""), "{text}");
        assert!(text.contains(".acme.ann.user.*\"") && text.contains(".acme.ann.admin.*\""), "{text}");
        for (name, scopes) in [("one", &[Scope::Tasks]), ("three", &[Scope::Jobs]), ("a.b", &[Scope::Tasks])]
        {
            let refused = declare(&order(folder.path(), name, scopes));
            assert!(matches!(refused, Err(CliError::Usage(_))), "{name}");
        }
        assert_eq!(fs::read_to_string(folder.path().join("programs.conf")).unwrap(), text);
    }
}
