//! APIs whose requests are signed: the caller shows a public id and proves that it has the secret of that id,
//! which is never sent.

use http::Response;
use wire::Error;

use crate::{Request, Route};

/// What such an API adds to a dialect. Pure: the secret and the time come from outside.
pub trait Signing: Sync {
    /// The public id of the secret that signed, from the head of the request. What else the head has to say is
    /// checked here too, before anybody looks the secret up or reads the body.
    fn signer(&self, request: &Request<'_>) -> Result<String, Error>;

    /// There is no secret of that id.
    fn unknown(&self) -> Error;

    /// Whether the request, now with its body as it was sent, is signed with this secret.
    fn verify(&self, request: &Request<'_>, secret: &str) -> Result<bool, Error>;

    /// The answer to a request that is signed with none of the signer's secrets.
    fn refused(&self, request: &Request<'_>) -> Response<Vec<u8>>;

    /// The body as `decode` reads it: decrypted, where this route takes it encrypted.
    fn open(&self, route: &Route, request: &Request<'_>, secret: &str) -> Result<Vec<u8>, Error>;
}
