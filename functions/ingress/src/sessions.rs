//! Orders about sessions, carried out, and logs as streams of text.

use std::sync::Arc;

use bytes::Bytes;
use dialects::{Outcome, SessionOrder, log_events, log_text};
use domain::session::list::{SessionQuery, SessionSummary};
use domain::{Caller, SessionId};
use tokio::sync::mpsc;
use wire::Error;
use wire::calls::logs::{LineFilter, LogOf, LogsReply, LogsRequest};
use wire::calls::sessions::{LiveSessions, PagePlace, SessionPage, SessionsReply, SessionsRequest};

use crate::forward::{Forward, PAGE_CALLS_MAX, place};
use crate::output::Content;

/// Lines that one call for a log asks for: the most that `logs` gives.
const LOG_LINES: u64 = 1000;
/// Pages of a log that are read before their client takes them.
const PAGES_AHEAD: usize = 2;
/// How long a followed log waits for its next line before the client is told that there is none.
const TAIL_WAIT_MS: u64 = 10_000;

impl Forward {
    /// Carries out an order about sessions.
    pub(crate) async fn session(&self, order: SessionOrder, caller: &Caller) -> Result<Outcome, Error> {
        let caller = caller.clone();
        match order {
            SessionOrder::List(query) => self.session_page(&caller, query).await.map(Outcome::SessionPage),
            SessionOrder::Get { kind, id } => {
                self.one_session(&SessionsRequest::Get { caller, kind, id }).await.map(Outcome::Session)
            }
            SessionOrder::Start { app, version } => {
                let request = SessionsRequest::Start { caller, app, version };
                self.one_session(&request).await.map(Outcome::Session)
            }
            SessionOrder::Terminate { kind, id } => {
                self.one_session(&SessionsRequest::Terminate { caller, kind, id }).await.map(Outcome::Session)
            }
            SessionOrder::Logs { kind, id, offset, limit, wait_ms, filter, count } => {
                let of = LogOf::Session { kind, id };
                let request = LogsRequest { caller, of, offset, limit, wait_ms, filter, count };
                self.broker.call(&request).await.map(Outcome::Logs)
            }
            SessionOrder::LogText { kind, id } => self.first_text(&caller, LogOf::Session { kind, id }).await,
        }
    }

    /// What runs now.
    pub(crate) async fn live_sessions(&self, caller: &Caller) -> Result<LiveSessions, Error> {
        let SessionsReply::Live(live) =
            self.broker.call(&SessionsRequest::Live { caller: caller.clone() }).await?
        else {
            return Err(strange());
        };
        Ok(live)
    }

    /// Where a page is served; its idle time begins anew.
    pub(crate) async fn reach(&self, caller: &Caller, id: SessionId) -> Result<PagePlace, Error> {
        let request = SessionsRequest::Reach { caller: caller.clone(), id };
        let SessionsReply::Reached(place) = self.broker.call(&request).await? else { return Err(strange()) };
        Ok(place)
    }

    async fn one_session(&self, request: &SessionsRequest) -> Result<Box<SessionSummary>, Error> {
        let SessionsReply::Session(session) = self.broker.call(request).await? else {
            return Err(strange());
        };
        Ok(session)
    }

    async fn session_page(&self, caller: &Caller, query: SessionQuery) -> Result<SessionPage, Error> {
        let mut whole = SessionPage { sessions: Vec::new(), total: 0, cut: true };
        for _ in 0..PAGE_CALLS_MAX {
            let rows = whole.sessions.len() as u64;
            if !whole.cut || rows >= query.limit {
                break;
            }
            let (offset, limit) = (query.offset.saturating_add(rows), query.limit - rows);
            let query = SessionQuery { offset, limit, ..query.clone() };
            let request = SessionsRequest::List { caller: caller.clone(), query };
            let SessionsReply::Page(part) = self.broker.call(&request).await? else {
                return Err(strange());
            };
            (whole.total, whole.cut) = (part.total, part.cut);
            whole.sessions.extend(part.sessions);
        }
        Ok(whole)
    }

    /// The first page of a log as text: where there is none, or none for the caller, that is told by a status.
    pub(crate) async fn first_text(&self, caller: &Caller, of: LogOf) -> Result<Outcome, Error> {
        self.broker.call(&log_from_the_start(caller, of)).await.map(Outcome::LogText)
    }

    /// A log as events behind its first page, until it ends, its client goes, or we stop.
    pub(crate) fn log_tail(&self, caller: &Caller, of: LogOf, first: LogsReply) -> Result<Content, Error> {
        let Ok(place) = Arc::clone(&self.tails).try_acquire_owned() else {
            return Err(Error::unavailable("too many logs are followed"));
        };
        let (sender, pieces) = mpsc::channel(PAGES_AHEAD);
        let (broker, stop) = (self.broker.clone(), self.stop.clone());
        let mut request = LogsRequest { wait_ms: TAIL_WAIT_MS, ..log_from_the_start(caller, of) };
        tokio::spawn(async move {
            let _place = place;
            let (mut page, mut dropped) = (first, 0);
            loop {
                let mut text = log_events(&page, dropped);
                if text.is_empty() {
                    // It keeps the connection open, and shows whether the client is still there.
                    text.push_str(": nothing new\n\n");
                }
                if sender.send(Ok(Bytes::from(text))).await.is_err() || page.end {
                    return;
                }
                (request.offset, dropped) = (page.next, page.dropped);
                let next = tokio::select! {
                    next = broker.call(&request) => next,
                    () = sender.closed() => return,
                    () = stop.cancelled() => return,
                };
                match next {
                    Ok(next) => page = next,
                    // The client comes again and goes on from what it has seen.
                    Err(error) => {
                        let _ = sender.send(Err(error)).await;
                        return;
                    }
                }
            }
        });
        Ok(Content::Pieces(pieces))
    }

    /// A whole log as text, page by page, behind its first page. It ends as soon as it has caught up, even if
    /// more is written.
    pub(crate) async fn log_text(
        &self,
        caller: &Caller,
        of: LogOf,
        first: LogsReply,
    ) -> Result<Content, Error> {
        let place = place(&self.downloads).await?;
        let (sender, pieces) = mpsc::channel(PAGES_AHEAD);
        let (broker, mut request) = (self.broker.clone(), log_from_the_start(caller, of));
        tokio::spawn(async move {
            let _place = place;
            let mut page = first;
            loop {
                let is_last = page.end || page.lines.is_empty();
                let text = Bytes::from(log_text(&page, is_last));
                if sender.send(Ok(text)).await.is_err() || is_last {
                    return;
                }
                request.offset = page.next;
                match broker.call(&request).await {
                    Ok(next) => page = next,
                    Err(error) => {
                        let _ = sender.send(Err(error)).await;
                        return;
                    }
                }
            }
        });
        Ok(Content::Pieces(pieces))
    }
}

/// Everything of a log.
pub(crate) fn log_from_the_start(caller: &Caller, of: LogOf) -> LogsRequest {
    LogsRequest {
        caller: caller.clone(),
        of,
        offset: 0,
        limit: LOG_LINES,
        wait_ms: 0,
        filter: LineFilter::default(),
        count: false,
    }
}

fn strange() -> Error {
    Error::internal("sessions answered something else than what was asked for")
}
