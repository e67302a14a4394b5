//! Which route of which dialect a request is for. Built once from the dialects' own route tables.

use http::header::ALLOW;
use http::{HeaderValue, Method, Response, StatusCode};
use wire::{Code, Error};

use crate::path::segment;
use crate::text::shown;
use crate::{Dialect, Route, tasklane};

/// The routes of all dialects.
pub struct Router {
    dialects: Vec<&'static dyn Dialect>,
    methods: Vec<(Method, matchit::Router<Target>)>,
}

#[derive(Clone, Copy)]
struct Target {
    dialect: &'static dyn Dialect,
    route: &'static Route,
}

/// What a request's path and method lead to.
pub enum Found {
    /// A route, with its path parameters in the order of the path.
    Route {
        /// Whose route it is.
        dialect: &'static dyn Dialect,
        /// The route.
        route: &'static Route,
        /// Its parameters, percent-decoded.
        parameters: Vec<(&'static str, String)>,
    },
    /// A route, but one of its parameters can't be decoded.
    BadPath {
        /// Whose route it is.
        dialect: &'static dyn Dialect,
        /// What is wrong.
        error: Error,
    },
    /// The path is there for other methods.
    MethodNotAllowed {
        /// Whose path it is.
        dialect: &'static dyn Dialect,
        /// The methods that it has.
        allow: Vec<Method>,
    },
    /// There is no such path.
    Nothing {
        /// In whose shape that is said: the one with the longest mount above the path, or our own.
        dialect: &'static dyn Dialect,
    },
}

impl Router {
    /// A router over all routes of these dialects. It fails if two routes contradict each other, which is a
    /// mistake in a route table and is found by the tests.
    pub fn new(dialects: &[&'static dyn Dialect]) -> Result<Self, Error> {
        let mut methods: Vec<(Method, matchit::Router<Target>)> = Vec::new();
        for &dialect in dialects {
            for route in dialect.routes() {
                let target = Target { dialect, route };
                let fits = |(method, _): &&mut (Method, _)| *method == route.method;
                let inserted = match methods.iter_mut().find(fits) {
                    Some((_, router)) => router.insert(route.path, target),
                    None => {
                        let mut router = matchit::Router::new();
                        let inserted = router.insert(route.path, target);
                        methods.push((route.method.clone(), router));
                        inserted
                    }
                };
                inserted.map_err(|error| Error::internal(format!("route {}: {error}", route.path)))?;
            }
        }
        Ok(Self { dialects: dialects.to_vec(), methods })
    }

    /// What a method and a normal path (see `normal_path`) lead to.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let hits: Vec<(&Method, Target)> = self
            .methods
            .iter()
            .filter_map(|(known, router)| router.at(path).ok().map(|hit| (known, *hit.value)))
            .collect();
        let exact = hits.iter().find(|(known, _)| *known == method);
        let as_get = |(known, target): &&(&Method, Target)| {
            *method == Method::HEAD && *known == Method::GET && target.dialect.head_is_get()
        };
        if let Some((_, target)) = exact.or_else(|| hits.iter().find(as_get)) {
            let Target { dialect, route } = *target;
            return match parameters(route.path, path) {
                Ok(parameters) => Found::Route { dialect, route, parameters },
                Err(error) => Found::BadPath { dialect, error },
            };
        }
        match hits.first() {
            Some((_, target)) => Found::MethodNotAllowed {
                dialect: target.dialect,
                allow: hits.iter().flat_map(|(known, target)| allowed(known, *target)).collect(),
            },
            None => Found::Nothing { dialect: self.mounted_above(path) },
        }
    }

    fn mounted_above(&self, path: &str) -> &'static dyn Dialect {
        let is_above = |dialect: &&&'static dyn Dialect| {
            // What lies at the root alone does not own every path that nobody knows.
            let rest = path.strip_prefix(dialect.mount()).filter(|_| !dialect.mount().is_empty());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let longest = self.dialects.iter().filter(is_above).max_by_key(|dialect| dialect.mount().len());
        longest.copied().unwrap_or(&tasklane::V1)
    }
}

impl Found {
    /// The answer where no route was found; `None` where one was.
    pub fn refusal(&self, method: &Method, path: &str) -> Option<Response<Vec<u8>>> {
        match self {
            Self::Route { .. } => None,
            Self::BadPath { dialect, error } => Some(dialect.error(error)),
            Self::MethodNotAllowed { dialect, allow } => {
                let methods = allow.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
                let message =
                    format!("{} is not possible here; this path has {methods}", shown(method.as_str()));
                let mut response = dialect.error(&Error::new(Code::WrongState, message));
                // An API may say 400 to a wrong state; a wrong method has its number in HTTP itself.
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                if let Ok(value) = HeaderValue::from_str(&methods) {
                    response.headers_mut().insert(ALLOW, value);
                }
                Some(response)
            }
            Self::Nothing { dialect } => {
                let message = format!("there is nothing at '{}'", shown(path));
                Some(dialect.error(&Error::new(Code::NotFound, message)))
            }
        }
    }
}

/// The methods for which a route is there.
fn allowed(method: &Method, target: Target) -> Vec<Method> {
    let has_head = *method == Method::GET && target.dialect.head_is_get();
    let head = has_head.then_some(Method::HEAD);
    std::iter::once(method.clone()).chain(head).collect()
}

/// The parameters of a path, read beside the pattern that it matched: each is one whole segment.
fn parameters(pattern: &'static str, path: &str) -> Result<Vec<(&'static str, String)>, Error> {
    let mut parameters = Vec::new();
    for (part, text) in pattern.split('/').zip(path.split('/')) {
        if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            parameters.push((name, segment(text)?));
        }
    }
    Ok(parameters)
}
