//! Who signed: from a public id and a signature to a tenant and a user. The secrets lie sealed in their bucket
//! and are opened for the moment of a check.

use broker::{Broker, Bucket, View};
use dialects::{Request, Route, Signing};
use domain::Caller;
use domain::access::is_principal_name;
use http::Response;
use service::clock;
use service::master_key::MasterKey;
use tokio::time::Instant;
use wire::Error;
use wire::records::Signer;
use wire::topology::SIGNERS;

use crate::identity::Unknown;

/// The signing keys, for checking signatures.
pub struct Signers {
    signers: View<Signer>,
    master_key: MasterKey,
    unknown: Unknown,
}

/// Who may have signed a request: each live key of the signer.
pub struct Candidates(Vec<Candidate>);

struct Candidate {
    secret: String,
    caller: Caller,
}

/// What came of a check.
pub enum Signature {
    /// It holds: who signed, and the body as it is to be read.
    Valid(Caller, Vec<u8>),
    /// It does not; this is the answer.
    Invalid(Response<Vec<u8>>),
}

impl Signers {
    /// Begins to follow the signing keys.
    pub fn follow(broker: &Broker, master_key: MasterKey) -> Self {
        let signers = View::follow(Bucket::new(broker, SIGNERS));
        Self { signers, master_key, unknown: Unknown::default() }
    }

    /// Who may have signed. The body is not needed for it, so nobody without a key can make us read one.
    pub async fn candidates(
        &self,
        signing: &dyn Signing,
        request: &Request<'_>,
    ) -> Result<Candidates, Error> {
        let id = signing.signer(request)?;
        if !is_principal_name(&id) || self.unknown.has(&id, Instant::now()) {
            return Err(signing.unknown());
        }
        let Some(signer) = self.signers.get(&id).await? else {
            self.unknown.add(&id, Instant::now());
            return Err(signing.unknown());
        };
        let now = clock::now();
        let mut candidates = Vec::new();
        for key in signer.keys.iter().filter(|key| key.is_live(now)) {
            let secret = self.master_key.open(&key.sealed, &signer.tenant)?;
            let caller = Caller { tenant: signer.tenant.clone(), user: key.user.clone(), admin: false };
            candidates.push(Candidate { secret, caller });
        }
        if candidates.is_empty() { Err(signing.unknown()) } else { Ok(Candidates(candidates)) }
    }
}

impl Candidates {
    /// Checks the signature of the request, which now has its body as it was sent.
    pub fn check(
        self,
        signing: &dyn Signing,
        route: &Route,
        request: &Request<'_>,
    ) -> Result<Signature, Error> {
        for Candidate { secret, caller } in self.0 {
            if signing.verify(request, &secret)? {
                let body = signing.open(route, request, &secret)?;
                return Ok(Signature::Valid(caller, body));
            }
        }
        Ok(Signature::Invalid(signing.refused(request)))
    }
}
