//! A real broker as a child: ready, stopped, killed, restarted, and ended when its owner dies.

use super::{LIMIT, eventually, in_another_process, options, other_part};
use crate::{Server, StartError, Stopped};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid, getpgrp, gettid};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// A client's connection, far enough to see that the broker serves it.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(url: &str) -> Client {
        let stream = TcpStream::connect(url.strip_prefix("nats://").unwrap()).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut client = Client { stream: BufReader::new(stream) };
        let greeting = client.line();
        assert!(greeting.starts_with("INFO {") && greeting.contains("\"jetstream\":true"), "{greeting}");
        client
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line
    }

    fn ping(&mut self) {
        self.stream.get_mut().write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n").unwrap();
        assert_eq!(self.line(), "PONG\r\n");
    }
}

fn id(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap())
}

fn group_of(pid: u32) -> Pid {
    getpgid(Some(id(pid))).unwrap()
}

fn signal(pid: u32, signal: Signal) {
    kill(id(pid), signal).unwrap();
}

/// One field of `/proc/PID/status`.
fn status(pid: u32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix(field)).unwrap().trim().to_owned()
}

fn runs(pid: u32) -> bool {
    // A dead process that nobody has reaped yet still has a folder there, but no command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn a_started_broker_serves_and_stops_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(options(folder.path())).unwrap_or_else(|error| panic!("{error}"));
    Client::connect(&server.url()).ping();
    assert!(server.monitor_url().unwrap().starts_with("http://127.0.0.1:"));
    assert!(server.is_running());
    assert_eq!(group_of(server.pid()), getpgrp(), "the broker is in our process group");
    let written: u32 = fs::read_to_string(folder.path().join("nats.pid")).unwrap().trim().parse().unwrap();
    assert_eq!(written, server.pid());

    let pid = server.pid();
    assert_eq!(server.stop(), Stopped::InOrder);
    assert!(!runs(pid));
    assert!(!folder.path().join("nats.pid").exists());
    let log = fs::read_to_string(folder.path().join("nats.log")).unwrap();
    assert!(log.contains("Server Exiting"), "{log}");
}

#[test]
fn a_group_of_its_own_and_a_drop_that_leaves_no_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.own_process_group = true;
    let server = Server::start(options).unwrap();
    let pid = server.pid();
    assert_eq!(group_of(pid).as_raw().unsigned_abs(), pid);
    drop(server);
    assert!(!runs(pid));
}

#[test]
fn killed_and_restarted_it_is_on_the_same_port() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(options(folder.path())).unwrap();
    let (url, first) = (server.url(), server.pid());
    let _connected = Client::connect(&url);
    server.kill();
    assert!(!server.is_running() && !runs(first));
    assert!(TcpStream::connect(url.strip_prefix("nats://").unwrap()).is_err());

    server.restart().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(server.url(), url);
    assert_ne!(server.pid(), first);
    Client::connect(&url).ping();

    // A restart of a running broker ends it first.
    let second = server.pid();
    server.restart().unwrap();
    assert!(!runs(second));
    assert_eq!(server.url(), url);
    server.kill();
    assert_eq!(server.stop(), Stopped::AlreadyGone);
}

#[test]
fn a_failed_start_shows_the_end_of_this_starts_log() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    fs::write(&options.log, "a line of an earlier start\n").unwrap();
    fs::write(&options.config, "listen: 127.0.0.1:-1\nno_such_setting: 7\n").unwrap();
    let error = Server::start(options.clone()).unwrap_err();
    let StartError::Exited { status, tail, .. } = &error else { panic!("{error}") };
    assert!(!status.success());
    assert!(tail.contains("no_such_setting") && !tail.contains("earlier start"), "{tail}");
    assert!(error.to_string().contains("nats.log"), "{error}");

    let mut elsewhere = options.clone();
    elsewhere.config = folder.path().join("no/such/folder/nats.conf");
    assert!(matches!(Server::start(elsewhere), Err(StartError::Prepare { .. })));
    let mut no_binary = options;
    no_binary.binary = folder.path().join("nothing");
    assert!(Server::start(no_binary).unwrap_err().to_string().contains("can't run"));
}

#[test]
fn a_start_that_takes_too_long_ends_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.ready_timeout = Duration::ZERO;
    let error = Server::start(options).unwrap_err();
    assert!(matches!(error, StartError::NotReady { .. }), "{error}");
    let config = folder.path().join("nats.conf").display().to_string();
    let left = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(&config).then_some(())
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn the_broker_outlives_the_thread_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    let starter = std::thread::spawn(move || {
        let server = Server::start(options).unwrap();
        // A stopped broker takes no signal, so one that the end of this thread sends stays visible.
        signal(server.pid(), Signal::SIGSTOP);
        eventually("the broker is stopped", || status(server.pid(), "State:").starts_with('T'));
        (server, gettid())
    });
    let (server, thread) = starter.join().unwrap();
    let gone = format!("/proc/self/task/{thread}");
    eventually("the kernel forgot the thread", || !Path::new(&gone).exists());
    assert_eq!(status(server.pid(), "ShdPnd:"), "0000000000000000", "a signal waits for the broker");
    signal(server.pid(), Signal::SIGCONT);
    Client::connect(&server.url()).ping();
    assert_eq!(server.stop(), Stopped::InOrder);
}

#[test]
fn the_broker_ends_when_its_owner_is_killed() {
    if let Some(folder) = other_part() {
        let server = Server::start(options(&folder)).unwrap();
        println!("\nbroker {}", server.pid());
        // Here the owner is killed; if its parent dies instead, the input closes and it ends by itself.
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut owner =
        in_another_process("tests::server::the_broker_ends_when_its_owner_is_killed", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
    let said = BufReader::new(owner.stdout.take().unwrap());
    let pid = said
        .lines()
        .find_map(|line| line.unwrap().strip_prefix("broker ").map(|pid| pid.parse::<u32>().unwrap()))
        .unwrap();
    assert!(runs(pid));
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the broker ended after its owner", || !runs(pid));
    let log = fs::read_to_string(folder.path().join("nats.log")).unwrap();
    assert!(log.contains("Server Exiting"), "it closed its store in order:\n{log}");
}

#[test]
fn a_configuration_that_is_read_anew_is_in_force_or_said_to_be_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(options(folder.path())).unwrap();
    let mut client = Client::connect(&server.url());
    client.ping();
    let config = options(folder.path()).config;
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}\nmax_connections: 1\n")).unwrap();
    server.reload().unwrap();
    server.reload().unwrap();
    fs::write(&config, format!("{text}\nmax_connections: many\n")).unwrap();
    let refused = server.reload().unwrap_err();
    assert!(refused.contains("max_connections") || refused.contains("Failed to reload"), "{refused}");
    client.stream.get_mut().write_all(b"PING\r\n").unwrap();
    assert_eq!(client.line(), "PONG\r\n", "the one that was there stays");
}
