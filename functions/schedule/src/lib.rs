//! `schedule`: decides who starts, and repairs what was lost. Every replica follows everything; the one that
//! holds the lease acts. Two that act at once waste work and break nothing: every claim is a compare-and-set.

mod act;
mod driver;
mod ticker;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use domain::board::{Board, LaneLoad, Reception};
use service::clock::Ticks;
use service::{Context, RunError, serve};
use wire::Error;
use wire::calls::schedule::{LaneStatus, ScheduleReply, ScheduleRequest};

/// The board, shared between the driver that changes it and the calls that ask it.
type SharedBoard = Arc<Mutex<Board>>;
/// Whether this replica decides at this moment.
type Acting = Arc<AtomicBool>;

/// Serves until it is stopped; then gives the lease away, so that another replica acts at once.
pub async fn run(context: Context) -> Result<(), RunError> {
    let (board, acting) = (SharedBoard::default(), Acting::default());
    let ticks = Ticks::begin();
    let driver = driver::drive(context.clone(), Arc::clone(&board), Arc::clone(&acting), ticks);
    let driver = tokio::spawn(driver);
    let served = serve(&context, move |request| {
        let answer = handle(&board, &acting, ticks, request);
        async move { answer }
    })
    .await;
    driver.await.map_err(RunError::from_text)??;
    served
}

fn handle(
    board: &SharedBoard,
    acting: &Acting,
    ticks: Ticks,
    request: ScheduleRequest,
) -> Result<ScheduleReply, Error> {
    let mut board = board.lock().map_err(|_| Error::internal("the board is broken"))?;
    Ok(match request {
        ScheduleRequest::Waiting { key } => ScheduleReply::Waiting(board.waiting(&key, ticks.millis())),
        ScheduleRequest::Lanes => ScheduleReply::Lanes(lanes(&board)),
        ScheduleRequest::Announce(announced) => ScheduleReply::Announced(if acting.load(Ordering::Acquire) {
            board.announce(announced, ticks.millis())
        } else {
            Reception::Queue
        }),
        ScheduleRequest::Withdraw { key } => {
            board.withdraw(&key);
            ScheduleReply::Withdrawn
        }
    })
}

fn lanes(board: &Board) -> Vec<LaneStatus> {
    let status = |load: LaneLoad| LaneStatus {
        name: load.name,
        limits: load.limits,
        scheduled: load.scheduled,
        queued: load.queued,
        running: load.running,
    };
    board.lanes().into_iter().map(status).collect()
}
