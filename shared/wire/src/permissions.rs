//! What each function's broker user may do, as allow-lists: everything else is refused by the broker.
//! broker-config/permissions.conf is this, printed.

use std::fmt::Write as _;

use crate::Function;
use crate::door::config;
use crate::subjects;
use crate::topology::{self, Kind, LOGS, Sizes, Stream};

/// The allow-lists of one user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// Subjects it may publish to.
    pub publish: Vec<String>,
    /// Subjects it may subscribe to.
    pub subscribe: Vec<String>,
}

/// Whom a function calls.
pub fn calls(function: Function) -> &'static [Function] {
    use Function::{
        Admin, Amend, Callbacks, Create, Delete, Interrupt, Logs, Report, Schedule, Sessions, Status, Topics,
    };
    match function {
        Function::Ingress => &[Create, Status, Interrupt, Amend, Delete, Logs, Sessions, Admin],
        Function::Status => &[Schedule],
        // What an app's triggers take is kept from the moment on in which the app is published.
        Function::Admin => &[Schedule, Topics],
        Function::Schedule => &[Delete, Callbacks],
        // Which run of a recurring task is the last one is known to `status` alone.
        Function::Interrupt => &[Status],
        Function::Delete => &[Status, Topics],
        Function::Amend => &[Status, Schedule, Topics],
        // A program may wait for the end of what it creates.
        Function::Create => &[Status, Topics],
        Function::Logs => &[Status, Sessions],
        // Which sessions there were is known from the tasks, too.
        Function::Sessions => &[Status],
        Function::Runner => &[Report, Topics],
        Function::Provision | Function::Topics | Function::Callbacks | Function::Report => &[],
    }
}

/// Which functions answer calls.
pub fn answers(function: Function) -> bool {
    !matches!(function, Function::Provision | Function::Ingress | Function::Runner)
}

/// The allow-lists of a function's user.
pub fn of(function: Function) -> Permissions {
    let mut list = Permissions::default();
    list.subscribe.push(format!("{}.>", subjects::inbox(function)));
    if function == Function::Provision {
        let api =
            ["INFO", "STREAM.CREATE.*", "STREAM.UPDATE.*", "STREAM.INFO.*", "STREAM.NAMES", "STREAM.LIST"];
        list.publish.extend(api.map(|call| format!("$JS.API.{call}")));
        return list;
    }
    for callee in calls(function) {
        list.publish.push(subjects::function(*callee));
    }
    if answers(function) {
        list.subscribe.push(subjects::function(function));
        list.subscribe.push(subjects::ping(function));
        list.publish.push(format!("{}.>", subjects::inbox(Function::Ingress)));
        let callers = Function::ALL.into_iter().filter(|other| calls(*other).contains(&function));
        list.publish.extend(callers.map(|caller| format!("{}.>", subjects::inbox(caller))));
    }
    for stream in topology::streams(Sizes::default()) {
        add_stream(&mut list, function, &stream);
    }
    add_own(&mut list, function);
    config::allow(&mut list, function);
    list.publish.sort();
    list.publish.dedup();
    list.subscribe.sort();
    list
}

/// Rights on one stream, from the topology's word on who reads and writes it.
fn add_stream(list: &mut Permissions, function: Function, stream: &Stream) {
    let name = stream.stream_name();
    if stream.written_by.contains(&function) && stream.kind != Kind::Stream {
        list.publish.extend(stream.subjects.iter().cloned());
    }
    if stream.read_by.contains(&function) && stream.work_queue {
        // The one consumer that all replicas share, its messages, and what is said of them.
        list.publish.extend(subjects::work_queue(&name, function));
    } else if stream.read_by.contains(&function) {
        list.publish.push(subjects::direct_get(&name));
        list.publish.push(subjects::direct_get_last(&name, ">"));
        list.publish.push(subjects::leader_get(&name));
        if stream.kind == Kind::Bucket {
            // Following a bucket: its state, a consumer of one's own, and the answers to its flow control.
            list.publish.push(subjects::stream_info(&name));
            list.publish.push(format!("$JS.API.CONSUMER.CREATE.{name}"));
            list.publish.push(format!("$JS.API.CONSUMER.CREATE.{name}.>"));
            list.publish.push(format!("$JS.API.CONSUMER.INFO.{name}.>"));
            list.publish.push(format!("$JS.API.CONSUMER.DELETE.{name}.>"));
            list.publish.push(format!("$JS.FC.{name}.>"));
        }
    }
}

/// Rights on the subjects that are neither calls nor streams.
fn add_own(list: &mut Permissions, function: Function) {
    let (log, notes) = (subjects::LOGS_ALL.to_owned(), subjects::NOTES_ALL.to_owned());
    let (beat, progress) = (subjects::BEAT_ALL.to_owned(), subjects::PROGRESS_ALL.to_owned());
    match function {
        Function::Runner => {
            list.publish.extend([log, beat, progress]);
            list.subscribe.push(subjects::RUNNER_ALL.to_owned());
            // Only `topics` makes what can be read so, and only for topics.
            list.publish.extend([subjects::SINK_ALL, subjects::ASIDE_ALL].map(str::to_owned));
            list.publish.extend([subjects::next_records("*", "*"), "$JS.ACK.*.*.>".to_owned()]);
        }
        // The names of these streams are those of topics, so they can't be listed here.
        Function::Topics => {
            let api = ["STREAM.CREATE.*", "STREAM.INFO.*", "CONSUMER.NAMES.*", "CONSUMER.INFO.*.*"];
            list.publish.extend(api.map(|call| format!("$JS.API.{call}")));
            list.publish.extend(["CREATE", "DELETE"].map(|verb| format!("$JS.API.CONSUMER.{verb}.*.*")));
        }
        Function::Schedule => {
            list.publish.extend([subjects::RUNNER_ALL.to_owned(), subjects::LANE.to_owned(), notes]);
            list.subscribe.push(beat);
        }
        Function::Sessions => {
            list.publish.push(subjects::RUNNER_ALL.to_owned());
            list.subscribe.push(beat);
        }
        Function::Interrupt | Function::Amend | Function::Delete | Function::Create => {
            list.publish.push(subjects::RUNNER_ALL.to_owned());
            if function == Function::Create {
                list.subscribe.push(subjects::LANE.to_owned());
                // What triggers take: `topics` makes the readers, whose streams have the names of subjects.
                list.publish.extend([subjects::next_records("*", "*"), subjects::reader_info("*", "*")]);
                list.publish.push("$JS.ACK.*.*.>".to_owned());
            }
        }
        Function::Status => list.subscribe.push(progress),
        Function::Admin => list.subscribe.push(subjects::LANE.to_owned()),
        Function::Logs => {
            list.subscribe.push(log);
            // It counts what is there, by a consumer of its own, and removes what a tenant has too much of.
            let api =
                ["STREAM.INFO", "STREAM.PURGE", "CONSUMER.CREATE", "CONSUMER.MSG.NEXT", "CONSUMER.DELETE"];
            let own = |call: &str| [format!("$JS.API.{call}.{LOGS}"), format!("$JS.API.{call}.{LOGS}.>")];
            list.publish.extend(api.into_iter().flat_map(own));
        }
        Function::Ingress => list.publish.extend([subjects::PING_ALL.to_owned(), notes]),
        Function::Callbacks => list.publish.push(notes),
        Function::Provision | Function::Report => {}
    }
}

/// A user for people or programs, beside those of the functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraUser {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: String,
    /// What it may do.
    pub permissions: Permissions,
}

/// The variable through which the broker gets a function's public key: `TASKLANE_NKEY_CREATE`.
pub fn nkey_variable(function: Function) -> String {
    format!("TASKLANE_NKEY_{}", function.name().to_uppercase())
}

/// The accounts and users as the broker reads them. Public keys come from its environment.
pub fn print(extra: &[ExtraUser]) -> String {
    let mut text = String::from(
        "# Printed from shared/wire/src/permissions.rs; change it there. One user per function, allow-lists only.\n\
         accounts {\n  include ./programs.conf\n  SYS { users: [] }\n",
    );
    let _ = writeln!(text, "  {} {{\n    jetstream: enabled", config::ACCOUNT);
    text.push_str(&config::print_exports());
    text.push_str("    users: [\n");
    for function in Function::ALL {
        let _ = writeln!(text, "      # {function}");
        let who = format!("nkey: ${}", nkey_variable(function));
        print_user(&mut text, &who, &of(function));
    }
    for user in extra {
        let who = format!("user: \"{}\", password: \"{}\"", user.name, user.password);
        print_user(&mut text, &who, &user.permissions);
    }
    text.push_str("    ]\n  }\n}\nsystem_account: SYS\n");
    text
}

fn print_user(text: &mut String, who: &str, list: &Permissions) {
    let _ = writeln!(text, "      {{ {who}\n        permissions {{");
    for (verb, subjects) in [("publish", &list.publish), ("subscribe", &list.subscribe)] {
        let quoted: Vec<String> =
            subjects.iter().map(|subject| format!("            \"{subject}\"")).collect();
        let _ = writeln!(text, "          {verb}: {{ allow: [\n{}\n          ] }}", quoted.join("\n"));
    }
    text.push_str("        } }\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_service_may_change_streams_or_read_anothers_answers() {
        for function in Function::ALL.into_iter().filter(|function| *function != Function::Provision) {
            let list = of(function);
            for subject in &list.publish {
                for verb in ["STREAM.CREATE", "STREAM.UPDATE", "STREAM.DELETE", "STREAM.PURGE", "MSG.DELETE"]
                {
                    let makes_topics = function == Function::Topics && verb == "STREAM.CREATE";
                    let cuts_logs = function == Function::Logs && subject.contains("STREAM.PURGE.LOGS");
                    assert!(makes_topics || cuts_logs || !subject.contains(verb), "{function}: {subject}");
                }
                assert!(!matches!(subject.as_str(), ">" | "$JS.API.>" | "$KV.>"), "{function}");
                // Only programs that ask through the door wait for answers there.
                let answers_programs = !crate::door::words(function).is_empty();
                assert!(subject != "_INBOX.>" || answers_programs, "{function}");
            }
            for subject in list.subscribe.iter().filter(|subject| subject.starts_with("_INBOX")) {
                assert_eq!(*subject, format!("_INBOX_{function}.>"));
            }
        }
    }

    #[test]
    fn only_the_writers_of_tasks_may_write_tasks() {
        let writers: Vec<_> = Function::ALL
            .into_iter()
            .filter(|function| of(*function).publish.contains(&"$KV.tasks.>".to_owned()))
            .collect();
        use Function::{Amend, Create, Delete, Interrupt, Report, Schedule};
        assert_eq!(writers, [Create, Interrupt, Amend, Delete, Schedule, Report]);
    }
}
