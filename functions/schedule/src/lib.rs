//! `schedule`: decides who starts, and repairs what was lost. Every replica follows everything; the one that
//! holds the lease acts. Two that act at once waste work and break nothing: every claim is a compare-and-set.

mod act;
mod driver;
mod ticker;

use std::sync::{Arc, Mutex};

use domain::board::{Board, LaneLoad};
use service::clock::Ticks;
use service::{Context, RunError, serve};
use wire::Error;
use wire::calls::schedule::{LaneStatus, ScheduleReply, ScheduleRequest};

/// The board, shared between the driver that changes it and the calls that ask it.
type SharedBoard = Arc<Mutex<Board>>;

/// Serves until it is stopped; then gives the lease away, so that another replica acts at once.
pub async fn run(context: Context) -> Result<(), RunError> {
    let board = SharedBoard::default();
    let ticks = Ticks::begin();
    let driver = tokio::spawn(driver::drive(context.clone(), Arc::clone(&board), ticks));
    let served = serve(&context, move |request| {
        let board = Arc::clone(&board);
        async move { handle(&board, ticks, &request) }
    })
    .await;
    driver.await.map_err(RunError::from_text)??;
    served
}

fn handle(board: &SharedBoard, ticks: Ticks, request: &ScheduleRequest) -> Result<ScheduleReply, Error> {
    let board = board.lock().map_err(|_| Error::internal("the board is broken"))?;
    Ok(match request {
        ScheduleRequest::Waiting { key } => ScheduleReply::Waiting(board.waiting(key, ticks.millis())),
        ScheduleRequest::Lanes => ScheduleReply::Lanes(lanes(&board)),
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
