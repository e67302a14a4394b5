//! The cases of the dialects that hold on any fresh stack, replayed over HTTP. The dialects' own tests run
//! all of them purely; here the same files are checked against what really answers.

use dialects::cases::{self, API_KEY, Case};
use http::Method;
use tests::Kit;

#[tokio::test]
async fn every_live_case_is_answered_as_its_file_says() {
    let kit = Kit::start().await;
    let key = kit.http.key().expect("the kit has a key").to_owned();
    let live: Vec<Case> =
        cases::all().expect("the files can be read").into_iter().filter(|case| case.live).collect();
    assert!(live.len() > 50, "only {} cases are live", live.len());
    let mut wrong = Vec::new();
    for case in &live {
        if let Err(difference) = replay(&kit, case, &key).await {
            wrong.push(format!("{}: {difference}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), live.len(), wrong.join("\n"));
    kit.stop().await;
}

/// Every dialect has cases that are live, so that none can drop out of the replay unnoticed.
#[test]
fn every_dialect_has_live_cases() {
    let all = cases::all().expect("the files can be read");
    for dialect in dialects::ALL {
        let live = all.iter().filter(|case| case.live && case.request.path.contains(dialect.mount()));
        assert!(live.count() > 0, "no case of {} is live", dialect.name());
    }
}

async fn replay(kit: &Kit, case: &Case, key: &str) -> Result<(), String> {
    let Some(expected) = &case.response else { return Err("a live case says no response".to_owned()) };
    let method: Method = case.request.method.parse().map_err(|_| "no such method".to_owned())?;
    let path = match case.request.query.as_str() {
        "" => case.request.path.clone(),
        query => format!("{}?{query}", case.request.path),
    };
    let headers: Vec<(&str, &str)> = case
        .request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), if value == API_KEY { key } else { value.as_str() }))
        .collect();
    let http = kit.http.with_key(None);
    let answer = http.send(method, &path, &headers, case.request.body_bytes()).await?;
    let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
    expected.compare(answer.status.as_u16(), header, &answer.body)
}
