//! A data folder has one owner at a time, also across processes and after a kill.

use super::{in_another_process, other_part};
use crate::{DataLock, LockError};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

#[test]
fn a_second_process_is_refused_and_told_the_first() {
    if let Some(folder) = other_part() {
        let _lock = DataLock::acquire(&folder).unwrap();
        println!("\nlocked");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("not/there/yet");
    let mut owner = in_another_process("tests::lock::a_second_process_is_refused_and_told_the_first", &data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(owner.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap() == "locked"));

    let error = DataLock::acquire(&data).unwrap_err();
    let LockError::Held { pid, .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, Some(owner.id()));
    let message = error.to_string();
    assert!(message.contains(&format!("kill {}", owner.id())) && message.contains("--data"), "{message}");

    owner.kill().unwrap();
    owner.wait().unwrap();
    let lock = DataLock::acquire(&data).unwrap();
    let text = std::fs::read_to_string(data.join("lock")).unwrap();
    assert_eq!(text, format!("{}\n", std::process::id()), "no digit of the earlier owner is left");
    assert!(matches!(DataLock::acquire(&data), Err(LockError::Held { .. })));
    drop(lock);
    DataLock::acquire(&data).unwrap();
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = DataLock::acquire(&file.join("data")).unwrap_err();
    assert!(matches!(error, LockError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("file/data"), "{error}");
}
