//! The broker's configuration for programs: what the functions' account gives to others, and the account of one
//! program. broker-config/programs.conf holds these accounts; an operator adds to it and lets the broker read
//! its configuration anew.

use std::fmt::Write as _;

use domain::Caller;

use crate::door::names;
use crate::permissions::Permissions;
use crate::topology::{self, Sizes};
use crate::{Function, door, subjects};

/// The functions' account on the broker.
pub const ACCOUNT: &str = "TASKLANE";

/// A program as the broker is to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name, unique within its tenant.
    pub name: String,
    /// On whose behalf it asks.
    pub caller: Caller,
    /// Its public nkey.
    pub nkey: String,
    /// The apps of whose tasks it hears; an Admin hears of all.
    pub apps: Vec<String>,
}

/// What the functions' account gives to the accounts of programs.
pub fn print_exports() -> String {
    format!(
        "    exports: [\n      {{ service: \"{}\" }}\n      {{ service: \"{}\" }}\n      \
         {{ service: \"{}\", response: stream }}\n      {{ stream: \"{}\" }}\n      {{ stream: \"{}\" }}\n    ]\n",
        names::DOOR_ALL,
        subjects::TOPIC_ALL,
        names::MICRO_ALL,
        names::EVENT_ALL,
        names::DEAD_ALL,
    )
}

impl Program {
    /// `acme.feeder`: the name of its account. Neither part has a dot.
    pub fn account(&self) -> String {
        format!("{}.{}", self.caller.tenant, self.name)
    }

    /// What its user may do in its account, where nothing is but what comes from elsewhere.
    pub fn permissions(&self) -> Permissions {
        Permissions {
            publish: vec![names::PUBLIC_ALL.to_owned(), names::MICRO_ALL.to_owned(), self.topics()],
            subscribe: [vec![names::INBOX_ALL.to_owned()], self.hears()].concat(),
        }
    }

    /// `demo.>`: the topics of its tenant, on which it may publish.
    fn topics(&self) -> String {
        format!("{}.>", self.caller.tenant)
    }

    /// What it hears without asking.
    fn hears(&self) -> Vec<String> {
        let tenant = &self.caller.tenant;
        let mut subjects: Vec<String> = if self.caller.admin {
            vec![names::events_of_tenant(tenant)]
        } else {
            self.apps.iter().map(|app| names::events_of_app(tenant, app)).collect()
        };
        subjects.push(names::dead(&self.caller));
        subjects
    }

    /// Its account, as it stands in programs.conf.
    pub fn print(&self) -> String {
        let list = |subjects: &[String]| {
            let quoted: Vec<String> = subjects.iter().map(|subject| format!("\"{subject}\"")).collect();
            quoted.join(", ")
        };
        let Permissions { publish, subscribe } = self.permissions();
        let mut text = format!(
            "\"{}\" {{\n  users: [ {{ nkey: {}, permissions {{\n    publish: {{ allow: [{}] }}\n    \
             subscribe: {{ allow: [{}] }}\n  }} }} ]\n  imports: [\n",
            self.account(),
            self.nkey,
            list(&publish),
            list(&subscribe),
        );
        let mut import = |kind: &str, subject: &str, to: &str| {
            let _ = writeln!(text, "    {{ {kind}: {{ account: {ACCOUNT}, subject: \"{subject}\" }}{to} }}");
        };
        import("service", &names::door_of(&self.caller), &format!(", to: \"{}\"", names::PUBLIC_ALL));
        import("service", names::MICRO_ALL, "");
        let tenant = &self.caller.tenant;
        import("service", &subjects::topics_of(tenant), &format!(", to: \"{}\"", self.topics()));
        for subject in self.hears() {
            import("stream", &subject, "");
        }
        text.push_str("  ]\n}\n");
        text
    }
}

/// Lets a function take what comes through the door, answer, and tell of changes.
pub fn allow(list: &mut Permissions, function: Function) {
    let writes_tasks = topology::streams(Sizes::default())
        .iter()
        .any(|stream| stream.name == topology::TASKS && stream.written_by.contains(&function));
    if writes_tasks {
        list.publish.push(names::EVENT_ALL.to_owned());
    }
    if function == Function::Create {
        list.publish.push(names::DEAD_ALL.to_owned());
    }
    if door::words(function).is_empty() {
        return;
    }
    for word in door::words(function) {
        list.subscribe.push(names::door(word));
        list.subscribe.push(names::public(word));
    }
    list.subscribe.extend(names::micro(function, "*"));
    list.publish.extend([names::ACROSS_ALL, names::INBOX_ALL].map(str::to_owned));
}

/// What the demo user of `dev` may do beside its tenant's own subjects: ask, as the program that it is.
pub fn allow_demo(list: &mut Permissions, tenant: &str) {
    list.publish.extend([names::PUBLIC_ALL, names::MICRO_ALL].map(str::to_owned));
    let admin = Caller { tenant: tenant.to_owned(), user: tenant.to_owned(), admin: true };
    list.subscribe.extend([names::events_of_tenant(tenant), names::dead(&admin)]);
}
