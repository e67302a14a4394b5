//! What makes two creates the same: ids from idempotency keys, digests of requests.

use data_encoding::HEXLOWER;
use domain::task::state::Origin;
use domain::{Caller, TaskId};
use sha2::{Digest, Sha256};
use wire::calls::create::{CreateRequest, Target};

/// Feeds parts with their lengths, so that no two lists of parts look alike.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// The id that a caller's key stands for. The user is part of it: keys of two users never meet.
pub fn from_key(caller: &Caller, key: &str, generation: u32) -> TaskId {
    id(hash(&[caller.tenant.as_bytes(), caller.user.as_bytes(), key.as_bytes(), &generation.to_be_bytes()]))
}

/// The id of the stream task of a name; its name is the tenant's, whoever of its users gave it.
pub fn of_stream(tenant: &str, name: &str, generation: u32) -> TaskId {
    id(hash(&[b"stream", tenant.as_bytes(), b"", name.as_bytes(), &generation.to_be_bytes()]))
}

/// The id of the task of a message. Who publishes its app may change, and must not make another task of it.
pub fn of_message(tenant: &str, key: &str, generation: u32) -> TaskId {
    id(hash(&[b"trigger", tenant.as_bytes(), b"", key.as_bytes(), &generation.to_be_bytes()]))
}

fn id(sum: [u8; 32]) -> TaskId {
    let mut bytes = [0u8; 16];
    for (to, from) in bytes.iter_mut().zip(sum) {
        *to = from;
    }
    TaskId(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// What must be equal for a create to count as a repetition.
pub fn digest(request: &CreateRequest) -> String {
    if request.origin == Origin::Trigger {
        // What the app made of a message then may be something else today; the message is the same.
        return HEXLOWER.encode(&hash(&[b"trigger", request.input_digest.as_bytes()]));
    }
    let version = request.version.as_deref().unwrap_or("");
    let content_type = request.input.content_type.as_deref().unwrap_or("");
    let timing = request.timing.as_ref();
    // The time itself is left out: `scheduleIn` counts from now, which is another now when it is repeated.
    let gate = timing.and_then(|timing| timing.gate.as_deref()).unwrap_or("");
    let every = timing.and_then(|timing| timing.every.as_ref()).map_or("", |every| &every.text);
    let hooks: Vec<&str> = request.hooks.iter().map(|hook| hook.url.as_str()).collect();
    let hooks = hooks.join("\n");
    let target: &[u8] = match request.target {
        Target::Service => b"",
        Target::Workflow => b"workflow",
        // Two that describe one name alike are two all the same, and the second is refused; the same request
        // sent again has the same id.
        Target::Stream => request.id.0.as_bytes(),
    };
    let parts = [
        request.app.as_bytes(),
        version.as_bytes(),
        request.service.as_bytes(),
        &[request.priority.unwrap_or(0)],
        content_type.as_bytes(),
        request.input_digest.as_bytes(),
        gate.as_bytes(),
        every.as_bytes(),
        hooks.as_bytes(),
        target,
    ];
    // A request for a service has the digest that it had before there were workflows.
    let count = if target.is_empty() { parts.len() - 1 } else { parts.len() };
    HEXLOWER.encode(&hash(parts.get(..count).unwrap_or(&parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_is_one_id_and_different_owners_never_share() {
        let caller =
            |tenant: &str, user: &str| Caller { tenant: tenant.into(), user: user.into(), admin: false };
        let id = from_key(&caller("a", "b"), "k", 0);
        assert_eq!(id, from_key(&caller("a", "b"), "k", 0));
        for other in [
            from_key(&caller("a", "b"), "k", 1),
            from_key(&caller("a", "bk"), "", 0),
            from_key(&caller("ab", ""), "k", 0),
            from_key(&caller("a", "c"), "k", 0),
        ] {
            assert_ne!(id, other);
        }
    }
}
