//! The names of the door. A program says `tasklane.v1.create`; its account on the broker turns that into
//! `tasklane.door.<tenant>.<user>.<rights>.create` for the functions. Nobody who is inside the functions' account
//! may publish there, so what stands in the subject is what the broker's configuration says of the program.

use domain::access::is_principal_name;
use domain::{Caller, Task};

use crate::Function;
use crate::door::events::DeadLetter;
use crate::names::token;
use crate::subjects::ROOT;

/// `tasklane.v1.create`: what a program asks.
pub fn public(word: &str) -> String {
    format!("{ROOT}.v1.{word}")
}

/// `tasklane.v1.*`: everything that a program can ask.
pub const PUBLIC_ALL: &str = "tasklane.v1.*";

/// `tasklane.door.*.*.*.create`: what functions hear of it, from any program.
pub fn door(word: &str) -> String {
    format!("{ROOT}.door.*.*.*.{word}")
}

/// `tasklane.door.*.*.*.*`: all that comes from programs.
pub const DOOR_ALL: &str = "tasklane.door.*.*.*.*";

/// `tasklane.door.demo.ann.user.*`: all that comes from the programs of one user.
pub fn door_of(caller: &Caller) -> String {
    format!("{ROOT}.door.{}.{}.{}.*", caller.tenant, caller.user, rights(caller))
}

fn rights(caller: &Caller) -> &'static str {
    if caller.admin { ADMIN } else { USER }
}

const ADMIN: &str = "admin";
const USER: &str = "user";

/// Who asks, from the subject that the broker has written; `None` where it is none of these.
pub fn caller(subject: &str) -> Option<Caller> {
    let mut tokens = subject.strip_prefix(ROOT)?.strip_prefix(".door.")?.split('.');
    let (tenant, user, rights) = (tokens.next()?, tokens.next()?, tokens.next()?);
    let admin = match rights {
        ADMIN => true,
        USER => false,
        _ => return None,
    };
    let known = is_principal_name(tenant) && is_principal_name(user);
    known.then(|| Caller { tenant: tenant.to_owned(), user: user.to_owned(), admin })
}

/// The word of creates that nobody waits for: a stream takes them in place of a function.
pub const SUBMIT: &str = "submit";

/// `tasklane.v1.event.demo.My=20App.efa6…`: what happens to one task, in all of its runs.
pub fn event(task: &Task) -> String {
    format!("{}.{}", events_of_app(&task.tenant, &task.app).trim_end_matches(".*"), task.id)
}

/// `tasklane.v1.event.demo.My=20App.*`: what happens to the tasks of one app.
pub fn events_of_app(tenant: &str, app: &str) -> String {
    format!("{ROOT}.v1.event.{tenant}.{}.*", token(app))
}

/// `tasklane.v1.event.demo.>`: what happens to the tasks of one tenant.
pub fn events_of_tenant(tenant: &str) -> String {
    format!("{ROOT}.v1.event.{tenant}.>")
}

/// `tasklane.v1.event.>`: what happens to all tasks.
pub const EVENT_ALL: &str = "tasklane.v1.event.>";

/// `tasklane.v1.dead.demo.ann`: submissions of one user that can never become tasks; an Admin has those of all
/// users, `tasklane.v1.dead.demo.*`.
pub fn dead(caller: &Caller) -> String {
    let user = if caller.admin { "*" } else { caller.user.as_str() };
    format!("{ROOT}.v1.dead.{}.{user}", caller.tenant)
}

/// `tasklane.v1.dead.demo.ann`: where one is put.
pub fn dead_letter(letter: &DeadLetter) -> String {
    format!("{ROOT}.v1.dead.{}.{}", letter.tenant, letter.user)
}

/// `tasklane.v1.dead.*.*`: all of them.
pub const DEAD_ALL: &str = "tasklane.v1.dead.*.*";

/// `tasklane-create`: the name of a function among the broker's micro services.
pub fn micro_service(function: Function) -> String {
    format!("{ROOT}-{function}")
}

/// What a micro service hears: `$SRV.PING`, the same with its name, and with its name and instance. The verb is
/// the second token.
pub fn micro(function: Function, instance: &str) -> [String; 3] {
    let name = micro_service(function);
    ["$SRV.*".to_owned(), format!("$SRV.*.{name}"), format!("$SRV.*.{name}.{instance}")]
}

/// The verb of a subject of the micro services.
pub fn micro_verb(subject: &str) -> Option<&str> {
    subject.split('.').nth(1)
}

/// `$SRV.>`: questions to all micro services.
pub const MICRO_ALL: &str = "$SRV.>";

/// `_R_.>`: where the broker awaits answers to what came from another account.
pub const ACROSS_ALL: &str = "_R_.>";
/// `_INBOX.>`: where clients await answers by default. The one user inside the functions' account that asks
/// is the demo user of `dev`.
pub const INBOX_ALL: &str = "_INBOX.>";

/// The headers of an error, as the micro services have them.
pub const ERROR: &str = "Nats-Service-Error";
/// The number of an error.
pub const ERROR_CODE: &str = "Nats-Service-Error-Code";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_broker_writes_who_asks_and_it_is_read_back() {
        for admin in [true, false] {
            let ann = Caller { tenant: "acme".into(), user: "ann".into(), admin };
            let subject = door_of(&ann).replace('*', "create");
            assert_eq!(caller(&subject), Some(ann));
            assert_eq!(subject.split('.').count(), door("create").split('.').count());
        }
        for no in ["tasklane.v1.create", "tasklane.door.a.b.root.create", "tasklane.door.a.b", "x", ""] {
            assert_eq!(caller(no), None, "{no}");
        }
        assert_eq!(micro_verb("$SRV.PING.tasklane-create"), Some("PING"));
    }
}
