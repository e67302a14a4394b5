//! A broker left behind by an earlier run is ended, and nobody else is.

use super::{eventually, options};
use crate::{Orphan, ServerOptions, Stopped, end_orphan};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts a broker as `Server` would, but with nothing that ties it to us.
fn leave_behind(options: &ServerOptions) -> Child {
    let config = options.config.canonicalize().unwrap();
    let ports = config.with_extension("ports");
    fs::create_dir_all(&ports).unwrap();
    let mut command = Command::new(&options.binary);
    command.arg("-c").arg(&config).arg("-P").arg(config.with_extension("pid"));
    command.arg("--ports_file_dir").arg(&ports);
    command.envs(options.environment.clone()).stderr(Stdio::null());
    let child = command.spawn().unwrap();
    eventually("the orphan wrote its pid file", || pid_in(&options.config) == Some(child.id()));
    child
}

fn pid_in(config: &Path) -> Option<u32> {
    fs::read_to_string(config.with_extension("pid")).ok()?.trim().parse().ok()
}

#[test]
fn an_orphan_is_ended_and_a_new_broker_takes_its_store() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    assert_eq!(end_orphan(&options.config).unwrap(), Orphan::None, "a first start has no pid file");
    let mut child = leave_behind(&options);
    // The path may be spelled in another way than at the start that left the orphan.
    fs::create_dir(folder.path().join("side")).unwrap();
    let spelled = folder.path().join("side/../nats.conf");
    assert_eq!(end_orphan(&spelled).unwrap(), Orphan::Ended { pid: child.id() });
    assert!(child.try_wait().unwrap().is_some(), "it is gone when the call returns");
    assert_eq!(end_orphan(&options.config).unwrap(), Orphan::None);
    assert_eq!(crate::Server::start(options).unwrap().stop(), Stopped::InOrder);
}

#[test]
fn a_stranger_with_the_same_process_id_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let pid_file = options.config.with_extension("pid");
    // A stranger that is no broker at all: this process.
    fs::write(&pid_file, std::process::id().to_string()).unwrap();
    assert_eq!(end_orphan(&options.config).unwrap(), Orphan::None);
    // A broker, but one on another configuration.
    let other = tempfile::tempdir().unwrap();
    let mut child = leave_behind(&super::options(other.path()));
    fs::write(&pid_file, child.id().to_string()).unwrap();
    assert_eq!(end_orphan(&options.config).unwrap(), Orphan::None);
    assert!(child.try_wait().unwrap().is_none(), "the other broker still runs");
    child.kill().unwrap();
    child.wait().unwrap();
    // Nonsense in the file is no process.
    fs::write(&pid_file, "not a number").unwrap();
    assert_eq!(end_orphan(&options.config).unwrap(), Orphan::None);
}
