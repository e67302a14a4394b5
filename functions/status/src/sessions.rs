//! Lists of sessions, from three sources: the records of sessions that outlive a task, the tasks that have a
//! process of their own, and the heartbeats, which know what has no record yet.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::board::RUNNER_LEASE_MS;
use domain::list::Summary;
use domain::session::list::{SessionQuery, SessionRow, SessionSummary};
use domain::{Activity, Caller, RunnerId, SessionId, SessionState, Standing, TaskId, TaskKey, Timestamp};
use wire::calls::sessions::{Session, SessionPage};
use wire::records::SessionRecord;

/// The most bytes of rows in one reply, well below what one message takes.
const PAGE_BYTES_MAX: usize = 600 * 1024;

/// Why a session ended whose record nobody could write any more.
const LOST: &str = "its runner was lost";

/// What is known of the sessions of one tenant beside its tasks.
pub struct Known {
    /// Those with a record or a heartbeat.
    sessions: Vec<SessionSummary>,
    recorded: HashSet<SessionId>,
    /// Live ones without a record: some of them are processes of tasks.
    unrecorded: HashMap<SessionId, SessionSummary>,
    /// Where the processes of live sessions run.
    live: HashMap<SessionId, (RunnerId, String)>,
}

impl Known {
    /// Puts records and heartbeats together.
    pub fn new(
        caller: &Caller,
        records: &[Arc<SessionRecord>],
        live: &[Session],
        runners: &[RunnerId],
        now: Timestamp,
    ) -> Self {
        let own = |tenant: &str, user: &str| tenant == caller.tenant && (caller.admin || user == caller.user);
        let beating: HashMap<SessionId, &Session> =
            live.iter().map(|session| (session.process.session, session)).collect();
        let records = records.iter().filter(|record| own(&record.of.tenant, &record.of.user));
        let sessions: Vec<SessionSummary> =
            records.map(|record| of_record(record, beating.get(&record.id).copied(), runners, now)).collect();
        let recorded: HashSet<SessionId> = sessions.iter().map(|session| session.id).collect();
        let unrecorded = live
            .iter()
            .filter(|session| own(&session.process.of.tenant, &session.process.of.user))
            .filter(|session| !recorded.contains(&session.process.session))
            .map(|session| (session.process.session, of_beat(session)))
            .collect();
        let live = live.iter().map(|s| (s.process.session, (s.runner, s.host.clone()))).collect();
        Self { sessions, recorded, unrecorded, live }
    }
}

/// The page that is asked for, of these sessions and of the tasks of the tenant.
pub fn page<'t>(
    caller: &Caller,
    query: &SessionQuery,
    known: &Known,
    tasks: impl Iterator<Item = &'t Summary>,
) -> SessionPage {
    let mut found = Found { query, rows: Vec::new(), total: 0 };
    let mut unrecorded = known.unrecorded.clone();
    let own = |task: &&Summary| caller.admin || task.user == caller.user;
    for task in tasks.filter(own) {
        let Some(row) = SessionRow::of_task(task) else { continue };
        if !known.recorded.contains(&row.id) {
            unrecorded.remove(&row.id);
            found.add(row, Source::Task(task));
        }
    }
    for session in known.sessions.iter().chain(unrecorded.values()) {
        found.add(session.row(), Source::Known(session));
    }
    found.page(&caller.tenant, known)
}

/// Where all about a row stands.
#[derive(Clone, Copy)]
enum Source<'f> {
    Task(&'f Summary),
    Known(&'f SessionSummary),
}

struct Found<'f> {
    query: &'f SessionQuery,
    rows: Vec<(SessionRow<'f>, Source<'f>)>,
    total: u64,
}

impl<'f> Found<'f> {
    /// Rows that can be on the page or before it.
    fn wanted(&self) -> usize {
        usize::try_from(self.query.offset.saturating_add(self.query.limit)).unwrap_or(usize::MAX)
    }

    /// Takes a row that passes the filter. Twice as many as are wanted are held at the most, so that a page of a
    /// long list costs a look at each row and no sorting of all.
    fn add(&mut self, row: SessionRow<'f>, source: Source<'f>) {
        if !self.query.keeps(&row) {
            return;
        }
        self.total += 1;
        self.rows.push((row, source));
        let wanted = self.wanted();
        if self.rows.len() >= wanted.saturating_mul(2).max(1024) {
            self.rows.select_nth_unstable_by(wanted, |(a, _), (b, _)| self.query.order(a, b));
            self.rows.truncate(wanted);
        }
    }

    fn page(mut self, tenant: &str, known: &Known) -> SessionPage {
        self.rows.sort_by(|(a, _), (b, _)| self.query.order(a, b));
        let (offset, limit) = (usize::try_from(self.query.offset), usize::try_from(self.query.limit));
        let rows = self.rows.iter().skip(offset.unwrap_or(usize::MAX)).take(limit.unwrap_or(usize::MAX));
        let mut page = SessionPage { sessions: Vec::new(), total: self.total, cut: false };
        let mut bytes = 0;
        for (_, source) in rows {
            let session = match source {
                Source::Known(session) => Some((*session).clone()),
                Source::Task(task) => SessionSummary::of_task(tenant, task),
            };
            let Some(mut session) = session else { continue };
            if let Some((runner, host)) = known.live.get(&session.id) {
                (session.runner, session.host) = (Some(*runner), Some(host.clone()));
            }
            bytes += 1024 + session.of.app.len() + session.of.version.len();
            bytes += session.message.as_ref().map_or(0, String::len);
            if bytes > PAGE_BYTES_MAX {
                page.cut = true;
                break;
            }
            page.sessions.push(session);
        }
        page
    }
}

fn of_record(
    record: &SessionRecord,
    live: Option<&Session>,
    runners: &[RunnerId],
    now: Timestamp,
) -> SessionSummary {
    let summary = SessionSummary {
        id: record.id,
        kind: record.kind,
        state: record.state.into(),
        of: record.of.clone(),
        task: record.process_of.as_ref().map(|key| key.id),
        tasks: record.tasks,
        runner: Some(record.runner),
        host: Some(record.host.clone()),
        created_at: record.created_at,
        started_at: record.started_at,
        ended_at: record.ended_at,
        message: record.message.clone(),
        log: record.process_of.clone().unwrap_or_else(|| own_log(&record.of.tenant, record.id)),
    };
    if record.state != SessionState::Running {
        return summary;
    }
    // A record is written as soon as the process is up; the heartbeat that names it may follow.
    let lease = i64::try_from(RUNNER_LEASE_MS).unwrap_or(i64::MAX);
    let is_new = now < record.started_at.unwrap_or(record.created_at).plus_millis(lease);
    match live {
        Some(live) => SessionSummary { task: live.process.task, tasks: live.process.tasks, ..summary },
        None if is_new && runners.contains(&record.runner) => summary,
        None => SessionSummary { state: Standing::Terminated, message: Some(LOST.to_owned()), ..summary },
    }
}

fn of_beat(session: &Session) -> SessionSummary {
    let process = &session.process;
    SessionSummary {
        id: process.session,
        kind: process.kind,
        state: match process.activity {
            Activity::Starting => Standing::Starting,
            Activity::Busy | Activity::Idle => Standing::Running,
        },
        of: process.of.clone(),
        task: process.task,
        tasks: process.tasks,
        runner: Some(session.runner),
        host: Some(session.host.clone()),
        created_at: process.created_at,
        started_at: process.started_at,
        ended_at: None,
        message: None,
        log: own_log(&process.of.tenant, process.session),
    }
}

fn own_log(tenant: &str, session: SessionId) -> TaskKey {
    TaskKey::new(tenant, TaskId(session.0))
}
