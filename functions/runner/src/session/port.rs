//! Ports for sessions: a free one, and whether it is really our process that listens there. Another process of
//! this machine that took the port first could otherwise answer in the session's name.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

/// In `/proc/net/tcp`: a socket that listens.
const LISTENING: &str = "0A";

/// A port of the loopback interface that nobody uses at this moment.
pub fn free() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Whether somebody else than the processes below `keeper_pid` listens on the port. Where that can't be seen
/// the answer is no: a process may hide its descriptors.
pub fn is_anothers(port: u16, keeper_pid: u32) -> bool {
    let sockets = listening(port);
    let mut all_seen = true;
    for pid in keeper::live_descendants(keeper_pid) {
        match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(descriptors) => {
                let mut targets = descriptors.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
                if targets.any(|target| sockets.contains(&target)) {
                    return false;
                }
            }
            Err(_) => all_seen = false,
        }
    }
    all_seen && !sockets.is_empty()
}

/// The sockets that listen on a port, as descriptors name them.
fn listening(port: u16) -> Vec<PathBuf> {
    let ending = format!(":{port:04X}");
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.filter_map(|row| {
        let mut fields = row.split_ascii_whitespace().skip(1);
        let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
        let inode = fields.nth(5)?;
        let is_meant = local.ends_with(&ending) && state == LISTENING;
        is_meant.then(|| PathBuf::from(format!("socket:[{inode}]")))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_this_process_is_its_parents_and_no_strangers() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listening(port).len(), 1);
        // A parent's descendants are we; our own descendants are nobody, and so the port is another's.
        assert!(!is_anothers(port, std::os::unix::process::parent_id()));
        assert!(is_anothers(port, std::process::id()));
        drop(listener);
        assert!(listening(port).is_empty());
    }
}
