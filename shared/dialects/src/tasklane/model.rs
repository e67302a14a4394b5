//! A task as our own API shows it: the summary, how long it waited and ran, and what is known of it now.

use domain::Timestamp;
use domain::lane::Waiting;
use domain::list::Summary;
use serde::Serialize;
use wire::calls::callbacks::Delivery;
use wire::calls::status::TaskStatus;

/// One task. `progress`, `message`, `waiting` and `result` are there only where one task was asked for.
#[derive(Serialize)]
pub(super) struct Task<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    /// Seconds.
    queue_time: f64,
    /// Seconds.
    run_time: f64,
    /// 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<&'a Waiting>,
    /// How far its hooks are told.
    #[serde(skip_serializing_if = "<[Delivery]>::is_empty")]
    deliveries: &'a [Delivery],
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Response<'a>>,
}

/// That there is a response, and of what kind; its bytes are fetched elsewhere, and where they lie is our own affair.
#[derive(Serialize)]
struct Response<'a> {
    content_type: Option<&'a str>,
    size: u64,
}

impl<'a> Task<'a> {
    /// A row of a list.
    pub(super) fn new(summary: &'a Summary, now: Timestamp) -> Self {
        Self {
            summary,
            queue_time: summary.queue_seconds(now),
            run_time: summary.run_seconds(now),
            progress: None,
            message: None,
            waiting: None,
            deliveries: &[],
            result: None,
        }
    }

    /// All about one task. What an earlier claim's process said is not said of this one.
    pub(super) fn of(status: &'a TaskStatus, now: Timestamp) -> Self {
        let progress = status.progress.as_ref().filter(|said| said.epoch.0 == status.summary.epoch);
        let result = status.result.as_ref();
        Self {
            progress: progress.and_then(|said| said.progress),
            message: progress.and_then(|said| said.message.as_deref()),
            waiting: status.waiting.as_ref(),
            deliveries: &status.deliveries,
            result: result
                .map(|body| Response { content_type: body.content_type.as_deref(), size: body.size }),
            ..Self::new(&status.summary, now)
        }
    }
}
