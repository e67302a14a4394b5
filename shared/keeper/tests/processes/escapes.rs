//! Programs that try to reach what is not theirs, each in its own way. Every one writes ESCAPED if it succeeds.
//! Forks, memory, descriptors, floods and deaf processes are in the files beside this one.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use keeper::Fence;
use tempfile::TempDir;

use crate::support::{Bench, end_of, python, run, start};

/// A place outside of the task's: a secret file, a folder to write into, a program.
struct Outside {
    folder: TempDir,
}

impl Outside {
    fn new() -> Self {
        // Not below /tmp, which tasks may write, and where a checkout with its target folder may well lie.
        let folder = TempDir::new_in("/var/tmp").unwrap();
        fs::create_dir(folder.path().join("keys")).unwrap();
        fs::write(folder.path().join("keys/secret"), "SECRET").unwrap();
        fs::copy("/bin/true", folder.path().join("keys/program")).unwrap();
        fs::write(folder.path().join("file"), "untouched").unwrap();
        Self { folder }
    }

    fn fence(&self) -> Fence {
        Fence {
            writable: vec!["/tmp".into()],
            readable: Vec::new(),
            hidden: vec![self.folder.path().join("keys")],
        }
    }
}

/// Python; `out` is the outside folder, `pid` the test's own process.
const ESCAPES: [(&str, &str); 18] = [
    ("reads a key", "open(out + '/keys/secret').read(); yes()"),
    ("reads a key through a link", "os.symlink(out + '/keys/secret', 'l'); open('l').read(); yes()"),
    ("reads a key through /proc", "open('/proc/self/root' + out + '/keys/secret').read(); yes()"),
    (
        "reads a key through the test's own root",
        "open(f'/proc/{pid}/root' + out + '/keys/secret').read(); yes()",
    ),
    (
        "reads a key by a hard link",
        "os.link(out + '/keys/secret', '/tmp/' + name); open('/tmp/' + name).read(); yes()",
    ),
    ("moves the keys away", "os.rename(out + '/keys', '/tmp/' + name); yes()"),
    ("executes what is hidden", "os.execv(out + '/keys/program', ['p']) or yes()"),
    ("writes a file outside", "open(out + '/file', 'w').write('x'); yes()"),
    ("appends to a file outside", "open(out + '/file', 'a').write('x'); yes()"),
    ("truncates a file outside", "os.truncate(out + '/file', 0); yes()"),
    ("makes a file outside", "open(out + '/new', 'w'); yes()"),
    ("makes a folder outside", "os.mkdir(out + '/folder'); yes()"),
    ("removes a file outside", "os.remove(out + '/file'); yes()"),
    ("plants a link outside", "os.symlink('/etc/passwd', out + '/link'); yes()"),
    ("writes the system's configuration", "open('/etc/tasklane-escape', 'w'); yes()"),
    ("writes a setting of the kernel", "open('/proc/sys/kernel/core_pattern', 'a').write(''); yes()"),
    ("signals a foreign process", "os.kill(pid, 0); yes()"),
    ("writes a foreign process's memory", "open(f'/proc/{pid}/mem', 'r+b'); yes()"),
];

#[tokio::test]
async fn no_program_reaches_what_is_not_its_own() {
    assert!(keeper::fences().landlock.is_some(), "it is told that there is a fence");
    let outside = Outside::new();
    for (number, (what, script)) in ESCAPES.into_iter().enumerate() {
        let bench = Bench::new();
        let mut launch = bench.python(&format!(
            "import os\nout, pid, name = {:?}, {}, 'tasklane-escape-{number}-{}'\ndef yes(): print('ESCAPED', flush=True)\n{script}",
            outside.folder.path().display().to_string(),
            std::process::id(),
            std::process::id(),
        ));
        launch.fence = Some(outside.fence());
        let mut kept = start(&launch).await;
        let exit = end_of(&mut kept).await;
        assert_ne!(exit.code, Some(0), "a program that {what} got through");
        assert!(!bench.output().contains("ESCAPED"), "a program that {what} got through");
    }
    assert_eq!(fs::read_to_string(outside.folder.path().join("file")).unwrap(), "untouched");
    assert_eq!(fs::read_dir(outside.folder.path()).unwrap().count(), 2);
    assert!(!Path::new("/etc/tasklane-escape").exists());
}

/// Copies a program that tells whose rights it has, makes it one that takes those of its owner, and executes it as
/// somebody else.
const SETUID: &str = "
import os, shutil, subprocess, sys, tempfile
folder = tempfile.mkdtemp(dir='/tmp')
os.chmod(folder, 0o755)
shutil.copy('/usr/bin/id', folder + '/id')
os.chmod(folder + '/id', 0o4755)
os.chdir('/')
told = subprocess.run([folder + '/id', '-u'], preexec_fn=lambda: os.setuid(65534), capture_output=True, text=True)
shutil.rmtree(folder)
print(told.stdout.strip())
";

#[tokio::test]
async fn a_program_with_the_rights_of_its_owner_gives_none_of_them() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("only root can make such a program, so it is not tried");
        return;
    }
    let control = std::process::Command::new(python()).args(["-c", SETUID]).output().unwrap();
    let outside = Outside::new();
    let bench = Bench::new();
    let mut launch = bench.python(SETUID);
    launch.fence = Some(outside.fence());
    assert_eq!(run(&launch).await.code, Some(0), "{}", bench.output());
    assert_eq!(bench.output(), "65534\n");
    assert_eq!(
        String::from_utf8_lossy(&control.stdout),
        "0\n",
        "without a keeper it gives them: {control:?}"
    );
}

/// Python; each ends well only if the kernel refused the call as such, before it looked at its arguments.
const CALLS: [(&str, &str); 8] = [
    ("mounts", "libc.mount(b'none', b'/mnt', b'tmpfs', 0, None)"),
    ("unmounts", "libc.umount2(b'/mnt', 0)"),
    ("changes its root", "libc.chroot(b'/')"),
    ("makes a namespace", "libc.unshare(0x10000000)"),
    ("joins a namespace", "libc.setns(-1, 0)"),
    ("renames the machine", "libc.sethostname(b'', -1)"),
    ("sets the clock", "libc.clock_settime(-1, (ctypes.c_long * 2)(1, 1))"),
    ("takes swap away", "libc.swapoff(b'/nowhere')"),
];

#[tokio::test]
async fn no_program_changes_the_machine_by_calls_to_the_kernel() {
    assert!(keeper::fences().seccomp, "it is told that there is a filter");
    let outside = Outside::new();
    for (what, call) in CALLS {
        let bench = Bench::new();
        let mut launch = bench.python(&format!(
            "import ctypes, errno\nlibc = ctypes.CDLL(None, use_errno=True)\nassert {call} == -1\n\
             assert ctypes.get_errno() == errno.EPERM, ctypes.get_errno()\n\
             print(open('/proc/self/status').read())"
        ));
        launch.fence = Some(outside.fence());
        assert_eq!(run(&launch).await.code, Some(0), "a program that {what}: {}", bench.output());
        assert!(bench.output().contains("Seccomp:\t2"), "{what}: {}", bench.output());
    }
}

#[tokio::test]
async fn a_fenced_task_has_what_a_task_needs() {
    let outside = Outside::new();
    let bench = Bench::new();
    fs::write(bench.path("in"), "hello").unwrap();
    let script = format!(
        "set -e; ls / >/dev/null; ls {0} >/dev/null; cat {0}/file >/dev/null; echo scratch > mine; cat mine; \
         t=$(mktemp); echo x > $t; rm $t; echo nothing > /dev/null; head -c 3 /dev/urandom >/dev/null; \
         sleep 60 & kill $!; python3 -c 'print(1)'; cat; echo by-name > /dev/stdout",
        outside.folder.path().display()
    );
    let mut launch = bench.shell(&script);
    launch.fence = Some(outside.fence());
    assert_eq!(run(&launch).await.code, Some(0), "{}", bench.output());
    assert!(bench.output().contains("by-name"), "{}", bench.output());
}

#[tokio::test]
async fn a_fenced_task_speaks_to_no_abstract_socket_of_another() {
    let name = format!("tasklane-escape-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let bench = Bench::new();
    let script =
        format!("import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}'); print('ESCAPED')");
    let mut launch = bench.python(&script);
    launch.fence = Some(Outside::new().fence());
    assert_ne!(run(&launch).await.code, Some(0));
    assert!(!bench.output().contains("ESCAPED"));
}
