//! What the tests of this package start instead of the tasklane executable: a keeper, or a small runner.

use std::process::ExitCode;

use keeper::{KeeperProgram, Launch};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("keep"), None) => keeper::keeper_main(),
        (Some("hold"), Some(launch)) => hold(&launch),
        _ => {
            eprintln!("usage: keeper-test keep | keeper-test hold LAUNCH_FILE");
            ExitCode::from(64)
        }
    }
}

/// Starts the task of the given file, prints the numbers of the task and of its keeper, and ends as it ends.
fn hold(launch_file: &str) -> ExitCode {
    let held = || -> Result<Option<i32>, Box<dyn std::error::Error>> {
        let launch: Launch = serde_json::from_slice(&std::fs::read(launch_file)?)?;
        let program = KeeperProgram { path: std::env::current_exe()?, args: vec!["keep".to_owned()] };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut kept = keeper::start(&program, &launch).await?;
            println!("{} {}", kept.pid(), kept.keeper_pid());
            Ok(kept.wait().await.code)
        })
    };
    match held() {
        Ok(code) => code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
