//! Sessions that serve a page: where one is started, and where it is reached.

use std::collections::HashMap;
use std::time::Duration;

use domain::access::rights_on;
use domain::session::list::SessionSummary;
use domain::task::state::Runtime;
use domain::{Activity, Caller, Right, RunnerId, SessionId, SessionKind, SessionOf};
use service::ids;
use tokio::time::Instant;
use wire::calls::sessions::{PagePlace, START_SECONDS, Session, session_not_found};
use wire::runner::{SessionStart, Told};
use wire::topology::app_key;
use wire::{Code, Error, subjects};

use crate::{LOOK_EVERY, LOOKS_PER_TELLING, Sessions};

impl Sessions {
    /// Starts a session on the runner with the fewest pages, and waits until its page is there.
    pub(crate) async fn start(
        &self,
        caller: &Caller,
        app: &str,
        version: Option<String>,
    ) -> Result<SessionSummary, Error> {
        let start = self.resolve(caller, app, version).await?;
        let (runner, id) = (self.runner_with_room()?, start.session);
        let until = Instant::now() + Duration::from_secs(START_SECONDS);
        for look in 0_u32.. {
            let seen = self.process(&caller.tenant, id)?;
            if seen.as_ref().is_some_and(|session| session.process.started_at.is_some()) {
                break;
            }
            if seen.is_none() && look.is_multiple_of(LOOKS_PER_TELLING) {
                if let Some(ended) = self.ended(caller, id, look).await? {
                    let why = ended.message.unwrap_or_else(|| ended.state.name().to_owned());
                    return Err(Error::new(
                        Code::Conflict,
                        format!("session {id} could not be started: {why}"),
                    ));
                }
                // What a runner is told may be lost; told twice it starts once.
                self.broker.tell(subjects::runner(runner), &Told::StartSession(start.clone())).await;
            }
            if Instant::now() > until {
                let late = Error::unavailable(format!("session {id} was not ready in time"));
                return Err(Error { code: Code::Timeout, ..late });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.one(caller, Some(SessionKind::Webui), id).await
    }

    /// The session, if it has come to its end already. At the first look there can't be one.
    async fn ended(
        &self,
        caller: &Caller,
        id: SessionId,
        look: u32,
    ) -> Result<Option<SessionSummary>, Error> {
        if look == 0 {
            return Ok(None);
        }
        match self.one(caller, Some(SessionKind::Webui), id).await {
            Ok(session) => Ok(Some(session).filter(|session| session.state.has_ended())),
            Err(error) if error.code == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn resolve(
        &self,
        caller: &Caller,
        name: &str,
        version: Option<String>,
    ) -> Result<SessionStart, Error> {
        let no_latest =
            || Error::new(Code::LatestNotFound, format!("App {name} with latest tag doesn't exist"));
        let no_version = |version: &str| {
            Error::new(Code::AppNotFound, format!("App {name} version {version} doesn't exist"))
        };
        let found = self.apps.current(&app_key(&caller.tenant, name)).await?;
        let app = found.ok_or_else(|| version.as_deref().map_or_else(no_latest, no_version))?;
        if !rights_on(caller, &app.grants).has(&[Right::Read, Right::Execute]) {
            let message = format!("user {} needs the rights read and execute on app {name}", caller.user);
            return Err(Error::new(Code::Forbidden, message));
        }
        let version = version.or_else(|| app.latest.clone()).ok_or_else(no_latest)?;
        let published = app.versions.get(&version).ok_or_else(|| no_version(&version))?;
        if published.runtime != Runtime::Webui {
            let message = format!("app {name} {version} serves no page; run its services as tasks");
            return Err(Error::new(Code::BadRequest, message));
        }
        let of = SessionOf {
            tenant: caller.tenant.clone(),
            user: caller.user.clone(),
            app: app.name.clone(),
            version,
        };
        Ok(SessionStart { session: SessionId(ids::random()?), of, bundle: published.bundle.clone() })
    }

    /// A runner serves as many pages as it has places for tasks.
    fn runner_with_room(&self) -> Result<RunnerId, Error> {
        let pages: HashMap<RunnerId, (u32, u32)> = self.with_beats(|beats| {
            let open = beats.filter(|beat| !beat.heartbeat.draining);
            open.map(|beat| {
                let pages = beat.processes.iter().filter(|process| process.kind == SessionKind::Webui);
                let pages = u32::try_from(pages.count()).unwrap_or(u32::MAX);
                (beat.heartbeat.runner, (pages, beat.heartbeat.slots))
            })
            .collect()
        })?;
        if pages.is_empty() {
            return Err(Error::unavailable("no runner is up"));
        }
        let open = pages.into_iter().filter(|(_, (pages, slots))| pages < slots);
        let fewest = open.min_by_key(|(runner, (pages, _))| (*pages, *runner));
        fewest.map(|(runner, _)| runner).ok_or_else(|| {
            let message = "every runner serves as many pages as it may; end one, or try again later";
            Error::new(Code::LaneFull, message)
        })
    }

    /// Where a page is served, for whoever may see the session.
    pub(crate) async fn reach(&self, caller: &Caller, id: SessionId) -> Result<PagePlace, Error> {
        let found = self.process(&caller.tenant, id)?.filter(|session| {
            let process = &session.process;
            process.kind == SessionKind::Webui && (caller.admin || process.of.user == caller.user)
        });
        let Some(session) = found else { return Err(session_not_found(id)) };
        let Some(port) = session.process.port.filter(|_| session.process.activity != Activity::Starting)
        else {
            return Err(Error::unavailable("the page is not there yet"));
        };
        self.broker.tell(subjects::runner(session.runner), &Told::UseSession { session: id }).await;
        Ok(PagePlace { host: session.host, port })
    }

    fn process(&self, tenant: &str, id: SessionId) -> Result<Option<Session>, Error> {
        let live = self.live(tenant)?.sessions;
        Ok(live.into_iter().find(|session| session.process.session == id))
    }
}
