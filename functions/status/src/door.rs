//! What programs ask `status`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use domain::list::{PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Query, Summary};
use domain::{Caller, TaskId, TaskKey};
use service::body::inlined;
use service::door::Endpoint;
use service::{clock, door};
use wire::calls::status::TaskStatus;
use wire::door::{replies, requests};
use wire::{Code, Error};

use crate::{Status, WAIT_MAX};

/// Everything that programs can ask here.
pub(crate) fn endpoints(function: &Arc<Status>) -> Vec<Endpoint> {
    let (status, list, response) = (Arc::clone(function), Arc::clone(function), Arc::clone(function));
    vec![
        Endpoint::new(move |caller, ask| {
            let status = Arc::clone(&status);
            async move { status.one_for(caller, ask).await }
        }),
        Endpoint::new(move |caller, ask| {
            let list = Arc::clone(&list);
            async move { list.list_for(caller, ask).await }
        }),
        Endpoint::new(move |caller, ask| {
            let response = Arc::clone(&response);
            async move { response.response_for(caller, ask).await }
        }),
    ]
}

impl Status {
    async fn one_for(&self, caller: Caller, ask: requests::Status) -> Result<replies::Task, Error> {
        let wait = door::wait(ask.wait, WAIT_MAX.as_secs())?;
        let status = self.named(&caller, ask.id, ask.run, wait).await?;
        Ok(replies::Task::of(status, clock::now()))
    }

    async fn named(
        &self,
        caller: &Caller,
        id: TaskId,
        run: Option<u32>,
        wait: Duration,
    ) -> Result<TaskStatus, Error> {
        let key = TaskKey { tenant: (&caller.tenant).into(), id, run: run.unwrap_or(0) };
        self.get(caller, key, run.is_none(), wait).await
    }

    async fn list_for(&self, caller: Caller, ask: requests::List) -> Result<replies::Page, Error> {
        let limit = door::limit(ask.limit, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX)?;
        let query = Query {
            app: ask.app,
            version: ask.version,
            before: ask.before,
            after: ask.after,
            states: ask.states,
            list_all: ask.all,
            sort: Vec::new(),
            offset: ask.offset,
            limit,
        };
        let page = self.list(&caller, query).await?;
        let now = clock::now();
        let next = ask.offset.saturating_add(page.tasks.len() as u64);
        let tasks = page.tasks.into_iter().map(|row: Summary| replies::Task::new(row, now)).collect();
        Ok(replies::Page { tasks, total: page.total, next: (next < page.total).then_some(next) })
    }

    async fn response_for(&self, caller: Caller, ask: requests::Response) -> Result<replies::Part, Error> {
        let status = self.named(&caller, ask.id, ask.run, Duration::ZERO).await?;
        let body = status.result.ok_or_else(|| {
            let state = format!("{:?}", status.summary.state).to_lowercase();
            let message = format!("the response of task {} is not available: it is {state}", ask.id);
            Error::new(Code::NotFound, message)
        })?;
        let (bytes, cursor) = match body.object() {
            None if ask.cursor.is_some() => return Err(no_such_part()),
            None => (inlined(&body)?, None),
            Some(name) => {
                let Cursor { sequence, given } =
                    ask.cursor.as_deref().map_or(Ok(Cursor::default()), str::parse)?;
                let (bytes, sequence) = self.bodies.part(name, sequence).await?;
                if bytes.is_empty() {
                    return Err(no_such_part());
                }
                let given = given + bytes.len() as u64;
                (bytes, (given < body.size).then(|| Cursor { sequence, given }.to_string()))
            }
        };
        Ok(replies::Part {
            content_type: body.content_type,
            size: body.size,
            base64: BASE64.encode(&bytes),
            cursor,
        })
    }
}

/// Where a part ends: in the store, and in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Cursor {
    sequence: u64,
    given: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sequence, self.given)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (sequence, given) = text.split_once('.').ok_or_else(no_such_part)?;
        let number = |text: &str| text.parse::<u32>().map(u64::from).map_err(|_| no_such_part());
        Ok(Self { sequence: sequence.parse().map_err(|_| no_such_part())?, given: number(given)? })
    }
}

fn no_such_part() -> Error {
    Error::new(
        Code::BadRequest,
        "there is no part at this cursor; take that of the part before, or none to begin",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is() {
        let cursor = Cursor { sequence: u64::MAX, given: 268_435_456 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for bad in ["", "1", ".", "a.1", "1.a", "-1.0", "1.99999999999", "1.2.3"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
