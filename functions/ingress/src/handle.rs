//! One request: route, key, body, plan, outcome, answer. Everything that goes wrong is said in the shape of
//! the API that the request was for.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use dialects::{
    ALL, BodyKind, Dialect, Found, Outcome, Plan, Route, Router, SessionOrder, normal_path, task_engine,
};
use domain::Caller;
use futures_util::FutureExt;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use service::keys::Pepper;
use service::master_key::MasterKey;
use service::{Context, clock};
use tokio::time::Instant;
use wire::calls::logs::LogOf;
use wire::names::PAGES;
use wire::{Code, Error};

use crate::forward::Forward;
use crate::identity::Identity;
use crate::input::{self, Body};
use crate::output::{Content, Output};
use crate::page::Pages;
use crate::signers::{Signature, Signers};
use crate::socket::{InRequest, Line};
use crate::upload::Upload;

/// What is read and dropped of a body on a route that takes none.
const IGNORED_BYTES_MAX: u64 = 64 * 1024;

/// What every request goes through.
pub struct Door {
    router: Router,
    pub(crate) identity: Identity,
    signers: Signers,
    pub(crate) forward: Forward,
    pub(crate) pages: Pages,
}

/// A request whose route was found.
struct Routed<'r> {
    dialect: &'static dyn Dialect,
    route: &'static Route,
    parameters: &'r [(&'static str, String)],
    parts: &'r Parts,
    path: &'r str,
}

impl Door {
    /// Begins to follow the keys, and reads the routes of all dialects.
    pub fn new(context: &Context, pepper: Pepper, master_key: MasterKey) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            router: Router::new(ALL)?,
            identity: Identity::follow(&context.broker, pepper, context.settings.open_reads),
            signers: Signers::follow(&context.broker, master_key),
            forward: Forward::new(context),
            pages: Pages::default(),
        }))
    }

    /// Waits for work that goes on where its client has gone.
    pub async fn finish(&self) {
        self.forward.jobs.close();
        self.forward.jobs.wait().await;
    }

    /// The answer to a request.
    pub async fn answer(
        &self,
        request: Request<Incoming>,
        line: &Arc<Line>,
        in_request: InRequest,
        framed_twice: bool,
    ) -> Response<Output> {
        let began = Instant::now();
        if request.uri().path().starts_with(PAGES) && !framed_twice {
            return self.page(request, line, in_request).await;
        }
        let (parts, body) = request.into_parts();
        let upload = Upload::new(body, line);
        let path = normal_path(parts.uri.path());
        let mut caller = None;
        // `GET host` names an authority and no path; what it means is not guessed.
        let has_no_path = parts.uri.scheme().is_none() && parts.uri.authority().is_some();
        let answer = match self.router.find(&parts.method, &path) {
            _ if has_no_path => {
                let error = Error::new(Code::BadRequest, "the request has no path; it begins with '/'");
                whole(dialects::tasklane::V1.error(&error))
            }
            Found::Route { dialect, route, parameters } => {
                let routed = Routed { dialect, route, parameters: &parameters, parts: &parts, path: &path };
                let work = async {
                    if framed_twice {
                        return Err(twice_framed());
                    }
                    self.routed(&routed, upload, &mut caller, line).await
                };
                // A panic is our fault and not the client's: it gets an answer, and its neighbours go on.
                let outcome = AssertUnwindSafe(work).catch_unwind().await;
                let outcome = outcome.unwrap_or_else(|_| Err(Error::internal("a request panicked")));
                outcome.unwrap_or_else(|error| refusal(&routed, &error))
            }
            elsewhere @ (Found::BadPath { .. } | Found::MethodNotAllowed { .. } | Found::Nothing { .. }) => {
                let refused = elsewhere.refusal(&parts.method, &path);
                whole(refused.unwrap_or_else(|| dialects::tasklane::V1.error(&Error::internal("no route"))))
            }
        };
        let (mut head, content) = answer.into_parts();
        if line.is_unread() {
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let (status, tenant) = (head.status.as_u16(), caller.as_ref().map(|caller| caller.tenant.as_str()));
        let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if head.status.is_server_error() {
            tracing::warn!(method = %parts.method, path, status, ms, tenant, "answered with a server error");
        } else {
            tracing::debug!(method = %parts.method, path, status, ms, tenant, "answered");
        }
        Response::from_parts(head, Output::new(content, in_request))
    }

    /// A session that was started, with what opens its page.
    fn with_ticket(&self, outcome: Outcome, credential: Option<&str>) -> Outcome {
        if let Outcome::Session(session) = outcome {
            let ticket = self.identity.ticket(credential, session.id).unwrap_or_default();
            Outcome::Started { session, ticket }
        } else {
            outcome
        }
    }

    /// The key comes first: nobody without one can make us read a body.
    async fn routed(
        &self,
        routed: &Routed<'_>,
        mut upload: Upload,
        caller: &mut Option<Caller>,
        line: &Line,
    ) -> Result<Response<Content>, Error> {
        let Routed { dialect, route, parts, .. } = *routed;
        let mut request = routed.request();
        let mut signers = None;
        match dialect.signing() {
            Some(signing) => signers = Some((signing, self.signers.candidates(signing, &request).await?)),
            None => *caller = self.identity.caller(route.access, dialect.credential(&request)).await?,
        }
        let mut small = Bytes::new();
        match route.body {
            BodyKind::None => upload.discard(IGNORED_BYTES_MAX).await?,
            BodyKind::Small(most) => small = upload.collect(most).await?,
            BodyKind::Streamed(most) => upload.refuse_over(most)?,
        }
        request.body = &small;
        let opened;
        if let Some((signing, candidates)) = signers {
            match candidates.check(signing, route, &request)? {
                Signature::Valid(signer, body) => (*caller, opened) = (Some(signer), body),
                Signature::Invalid(answer) => return Ok(whole(answer)),
            }
            request.body = &opened;
        }
        let caller = caller.as_ref();
        let plan = dialect.decode(route, &request, caller)?;
        let content_type = input::content_type(&parts.headers)?;
        let body = match route.body {
            BodyKind::Streamed(most) => Body::Arriving(upload, most),
            BodyKind::None | BodyKind::Small(_) => Body::Held(Bytes::copy_from_slice(request.body)),
        };
        let log = log_of(&plan);
        let asked = asked(&plan, &request, line.peer());
        let is_start = matches!(plan, Plan::Session(SessionOrder::Start { .. }));
        let mut outcome = self.forward.carry_out(plan, caller, content_type, body, asked).await?;
        if is_start {
            outcome = self.with_ticket(outcome, dialect.credential(&request));
        }
        request.now = clock::now();
        let content = match (&outcome, log, caller) {
            (Outcome::Body(payload), ..) => Some(self.forward.content(payload).await?),
            (Outcome::LogText(first), Some(of), Some(caller)) => {
                Some(self.forward.log_text(caller, of, first.clone()).await?)
            }
            (Outcome::LogTail(first), Some(of), Some(caller)) => {
                Some(self.forward.log_tail(caller, of, first.clone())?)
            }
            _ => None,
        };
        let answer = dialect.encode(route, &request, caller, outcome);
        Ok(match content.filter(|_| answer.status() != StatusCode::NO_CONTENT) {
            Some(content) => answer.map(|_| content),
            None => whole(answer),
        })
    }
}

impl<'r> Routed<'r> {
    /// The request without its body, which is read later, if at all.
    fn request(&self) -> dialects::Request<'r> {
        dialects::Request {
            method: &self.parts.method,
            raw_path: self.parts.uri.path(),
            path: self.path,
            parameters: self.parameters,
            query: self.parts.uri.query().unwrap_or_default(),
            headers: &self.parts.headers,
            body: &[],
            now: clock::now(),
        }
    }
}

/// Whose log is to be streamed, if one is.
fn log_of(plan: &Plan) -> Option<LogOf> {
    if let Plan::LogText { id, run } = plan {
        Some(LogOf::Task { id: *id, run: *run })
    } else if let Plan::Session(SessionOrder::LogText { kind, id }) = plan {
        Some(LogOf::Session { kind: *kind, id: *id })
    } else if let Plan::LogTail { of, .. } = plan {
        Some(*of)
    } else {
        None
    }
}

/// What the log of a job tells of the request, where it makes or changes one.
fn asked(plan: &Plan, request: &dialects::Request<'_>, peer: Option<IpAddr>) -> Option<String> {
    let Plan::Jobs(order) = plan else { return None };
    task_engine::asked(order, request, peer)
}

fn whole(answer: Response<Vec<u8>>) -> Response<Content> {
    answer.map(|body| Content::Whole(Bytes::from(body)))
}

fn twice_framed() -> Error {
    Error::new(Code::BadRequest, "the request has both a Content-Length and a Transfer-Encoding; send one")
}

/// An error in its API's shape. What is our own affair is told to the log alone.
fn refusal(routed: &Routed<'_>, error: &Error) -> Response<Content> {
    let dialect = routed.dialect;
    let answer = dialect.refuse(routed.route, &routed.request(), error);
    if error.code == Code::Internal {
        tracing::error!(dialect = dialect.name(), %error, "a request failed by our own fault");
    } else if answer.status().is_server_error() {
        tracing::warn!(dialect = dialect.name(), %error, "a request could not be done");
    }
    whole(answer)
}
