//! The pages of sessions: a request below `/webui/<session>/` is checked like any other and then passed on to the
//! session's process, and so is a WebSocket. The process sees neither the key nor the ticket of its visitor.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use dialects::{Access, Dialect, Parameters, tasklane};
use domain::{Caller, Scope, SessionId};
use http::header::{CONNECTION, COOKIE, HOST, LOCATION, SET_COOKIE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use service::machine;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use wire::calls::sessions::{PagePlace, session_not_found};
use wire::names::{PAGES, page_path};
use wire::{Code, Error};

use crate::handle::Door;
use crate::output::{Content, Output};
use crate::relay;
use crate::socket::{InRequest, Line};

/// The cookie that a browser keeps its ticket in, for this page alone.
const COOKIE_NAME: &str = "tasklane_page";
/// How long it is known where a page is without asking: a page loads many things at once.
const KNOWN_FOR: Duration = Duration::from_secs(1);
const KNOWN_MAX: usize = 1024;
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// From a request to the head of its answer.
const ANSWER_TIME: Duration = Duration::from_secs(120);
/// What is between two ends of one connection, and what shows who the visitor is.
const NOT_PASSED: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "apikey",
    "api-key",
    "x-forwarded-prefix",
];

/// Where pages are, as it was a moment ago.
#[derive(Default)]
pub struct Pages(Mutex<HashMap<Visitor, (PagePlace, Instant)>>);

/// Tenant, user, whether it is an Admin, and the session that is looked at.
type Visitor = (String, String, bool, SessionId);

/// A page that is asked for: the session, and the path within it.
struct Asked<'u> {
    id: SessionId,
    rest: &'u str,
    query: Option<&'u str>,
}

impl Door {
    /// The answer to a request below `/webui/`.
    pub(crate) async fn page(
        &self,
        request: Request<Incoming>,
        line: &Arc<Line>,
        in_request: InRequest,
    ) -> Response<Output> {
        let uri = request.uri().clone();
        match self.visit(&uri, request).await {
            Ok(Visit::Answer(answer)) => answer.map(|content| Output::new(content, in_request)),
            Ok(Visit::Upgrade(answer, relay)) => {
                relay.begin(in_request);
                answer.map(|()| Output::upgraded())
            }
            Err(error) => {
                // What the client still sends of its body nobody wants.
                line.set_unread(true);
                let mut answer = tasklane::V1.error(&error);
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                answer.map(|body| Output::new(Content::Whole(Bytes::from(body)), in_request))
            }
        }
    }

    async fn visit(&self, uri: &Uri, request: Request<Incoming>) -> Result<Visit, Error> {
        let asked = asked(uri)?;
        let parameters = Parameters::parse(asked.query.unwrap_or_default()).unwrap_or_default();
        let shown = parameters.get(tasklane::TICKET).ok().flatten();
        if asked.rest.is_empty() {
            // Links within a page are relative to its folder.
            return Ok(redirect(&to(page_path(asked.id), asked.query), None));
        }
        let caller = self.visitor(request.headers(), shown, asked.id).await?;
        if let Some(ticket) = shown {
            // The ticket goes from the address, which others may see, into a cookie.
            let path = format!("{}{}", page_path(asked.id).trim_end_matches('/'), asked.rest);
            return Ok(redirect(&path, Some(&cookie(ticket, asked.id, request.headers()))));
        }
        let place = self.place(&caller, asked.id).await?;
        if place.host != machine::host() {
            let host = place.host;
            return Err(Error::unavailable(format!(
                "the page is on {host}, where another ingress serves it"
            )));
        }
        self.pass(request, &asked, place.port, caller).await
    }

    /// Who looks: by the key, by a ticket in the address, or by the cookie that it became.
    async fn visitor(
        &self,
        headers: &HeaderMap,
        shown: Option<&str>,
        id: SessionId,
    ) -> Result<Caller, Error> {
        let key = headers.get("apikey").and_then(|value| value.to_str().ok());
        match (key, shown.map(str::to_owned).or_else(|| ticket_in(headers))) {
            (None, Some(ticket)) => self.identity.by_ticket(&ticket, id).await,
            (key, _) => {
                let caller = self.identity.caller(Access::Scope(Scope::Session), key).await?;
                caller.ok_or_else(|| Error::internal("a key gave no caller"))
            }
        }
    }

    async fn place(&self, caller: &Caller, id: SessionId) -> Result<PagePlace, Error> {
        let key = (caller.tenant.clone(), caller.user.clone(), caller.admin, id);
        if let Ok(known) = self.pages.0.lock()
            && let Some((place, at)) = known.get(&key)
            && at.elapsed() < KNOWN_FOR
        {
            return Ok(place.clone());
        }
        let place = self.forward.reach(caller, id).await?;
        if let Ok(mut known) = self.pages.0.lock() {
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(key, (place.clone(), Instant::now()));
        }
        Ok(place)
    }

    async fn pass(
        &self,
        mut request: Request<Incoming>,
        asked: &Asked<'_>,
        port: u16,
        caller: Caller,
    ) -> Result<Visit, Error> {
        let upgrade = request.headers().get(UPGRADE).cloned();
        let client_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut parts, body) = request.into_parts();
        parts.uri = to(asked.rest.to_owned(), asked.query).parse().map_err(|_| bad_path())?;
        clean(&mut parts.headers, asked.id);
        if let Some(upgrade) = &upgrade {
            parts.headers.insert(UPGRADE, upgrade.clone());
            parts.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
        let silent = |why: String| Error {
            message: "the page does not answer; its log may say why".to_owned(),
            ..Error::unavailable(why)
        };
        let stream = timeout(CONNECT_TIME, TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
        let stream = stream.await.map_err(|late| silent(late.to_string()))?;
        let stream = TokioIo::new(stream.map_err(|error| silent(error.to_string()))?);
        let (mut sender, connection) =
            http1::handshake(stream).await.map_err(|error| silent(error.to_string()))?;
        // It ends with the answer, with the visitor, or with the session, or goes on as what it was upgraded to. As
        // long as an answer goes on somebody looks.
        let (forward, visitor, session) = (self.forward.clone(), caller.clone(), asked.id);
        tokio::spawn(async move {
            tokio::select! {
                passed = connection.with_upgrades() => if let Err(error) = passed {
                    tracing::debug!(%error, "a connection to a page broke");
                },
                () = relay::until_gone(&forward, &visitor, session) => {}
            }
        });
        let answer = timeout(ANSWER_TIME, sender.send_request(Request::from_parts(parts, body))).await;
        let answer = answer.map_err(|_| Error { code: Code::Timeout, ..silent("no answer".to_owned()) })?;
        let mut answer = answer.map_err(|error| silent(error.to_string()))?;
        let upgraded = (answer.status() == StatusCode::SWITCHING_PROTOCOLS)
            .then(|| answer.headers().get(UPGRADE).cloned());
        let server_side = hyper::upgrade::on(&mut answer);
        clean_answer(answer.headers_mut());
        match (client_side, upgraded) {
            (Some(client_side), Some(protocol)) => {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
                answer.headers_mut().extend(protocol.map(|protocol| (UPGRADE, protocol)));
                let relay = relay::Relay::new(&self.forward, caller, asked.id, client_side, server_side)?;
                Ok(Visit::Upgrade(answer.map(drop), Box::new(relay)))
            }
            (None, Some(_)) => Err(silent("it switched protocols unasked".to_owned())),
            (_, None) => Ok(Visit::Answer(answer.map(Content::Passed))),
        }
    }
}

enum Visit {
    Answer(Response<Content>),
    Upgrade(Response<()>, Box<relay::Relay>),
}

/// What is no id is no session, so the answer is the same.
fn asked(uri: &Uri) -> Result<Asked<'_>, Error> {
    let below = uri.path().strip_prefix(PAGES).unwrap_or_default();
    let (id, rest) = below.split_at(below.find('/').unwrap_or(below.len()));
    let shown: String = id.chars().filter(|c| !c.is_control()).take(80).collect();
    Ok(Asked { id: id.parse().map_err(|_| session_not_found(shown))?, rest, query: uri.query() })
}

fn to(path: String, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

fn bad_path() -> Error {
    Error::new(Code::BadRequest, "the path of the page can't be read")
}

fn redirect(to: &str, cookie: Option<&str>) -> Visit {
    let mut answer = Response::new(Content::Whole(Bytes::new()));
    *answer.status_mut() =
        if cookie.is_some() { StatusCode::SEE_OTHER } else { StatusCode::PERMANENT_REDIRECT };
    let headers = [(LOCATION, Some(to)), (SET_COOKIE, cookie)];
    for (name, value) in headers {
        let value = value.and_then(|value| HeaderValue::from_str(value).ok());
        answer.headers_mut().extend(value.map(|value| (name, value)));
    }
    Visit::Answer(answer)
}

fn cookie(ticket: &str, id: SessionId, headers: &HeaderMap) -> String {
    let secure = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let path = page_path(id);
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={ticket}; Path={path}; HttpOnly; SameSite=Lax{secure}")
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(';')).map(str::trim)
}

fn is_ours(cookie: &str) -> bool {
    cookie.split_once('=').is_some_and(|(name, _)| name.trim() == COOKIE_NAME)
}

fn ticket_in(headers: &HeaderMap) -> Option<String> {
    cookies(headers).find(|cookie| is_ours(cookie))?.split_once('=').map(|(_, ticket)| ticket.to_owned())
}

/// A request as the process gets it.
fn clean(headers: &mut HeaderMap, id: SessionId) {
    let others: Vec<&str> = cookies(headers).filter(|cookie| !is_ours(cookie)).collect();
    let others = HeaderValue::from_str(&others.join("; ")).ok().filter(|value| !value.is_empty());
    headers.remove(COOKIE);
    headers.extend(others.map(|value| (COOKIE, value)));
    NOT_PASSED.iter().for_each(|name| drop(headers.remove(*name)));
    let prefix = HeaderValue::from_str(page_path(id).trim_end_matches('/')).ok();
    headers.extend(prefix.map(|value| (HeaderName::from_static("x-forwarded-prefix"), value)));
    // HTTP/1.1 asks for one; a client that sends none gets the one that the process knows itself by.
    headers.entry(HOST).or_insert(HeaderValue::from_static("localhost"));
}

/// An answer as the visitor gets it. No page sets the cookie of another.
fn clean_answer(headers: &mut HeaderMap) {
    NOT_PASSED.iter().for_each(|name| drop(headers.remove(*name)));
    let set = headers.get_all(SET_COOKIE).iter();
    let kept: Vec<HeaderValue> =
        set.filter(|value| value.to_str().is_ok_and(|text| !is_ours(text))).cloned().collect();
    headers.remove(SET_COOKIE);
    headers.extend(kept.into_iter().map(|value| (SET_COOKIE, value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4b0b6c1e-9a55-4d8e-8f4e-0a7f3a1c2d3e";

    #[test]
    fn a_page_is_the_session_and_the_path_within_it() {
        for (path, rest, query) in [
            (format!("/webui/{ID}"), "", None),
            (format!("/webui/{ID}/"), "/", None),
            (format!("/webui/{ID}/a//b?c=d"), "/a//b", Some("c=d")),
        ] {
            let uri: Uri = path.parse().unwrap();
            let asked = asked(&uri).unwrap();
            assert_eq!((asked.id.to_string().as_str(), asked.rest, asked.query), (ID, rest, query));
        }
        for path in ["/webui/", "/webui/x/", "/webui/../v1"] {
            assert!(asked(&path.parse().unwrap()).is_err(), "{path}");
        }
    }

    #[test]
    fn a_process_sees_nothing_by_which_its_visitor_is_known() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("apikey", "tl1_secret"),
            ("cookie", "theme=dark; tasklane_page=k.1.s"),
            ("connection", "keep-alive"),
            ("x-forwarded-prefix", "/forged"),
            ("accept", "text/html"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        assert_eq!(ticket_in(&headers).as_deref(), Some("k.1.s"));
        clean(&mut headers, ID.parse().unwrap());
        assert!(!format!("{headers:?}").contains("secret"));
        assert_eq!(headers[COOKIE], "theme=dark");
        assert_eq!(headers["x-forwarded-prefix"], format!("/webui/{ID}").as_str());
        assert!(headers.contains_key("accept") && !headers.contains_key("connection"));
    }

    #[test]
    fn no_page_sets_the_cookie_that_opens_pages() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, HeaderValue::from_static("tasklane_page=forged; Path=/"));
        headers.append(SET_COOKIE, HeaderValue::from_static("theme=dark"));
        clean_answer(&mut headers);
        assert_eq!(headers.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["theme=dark"]);
    }
}
