//! Functions of one process that hand each other their calls: as `dev` runs them, while replicas come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use tests::Kit;
use tests::apps::noop_app;
use wire::Function;

const CLIENTS: usize = 3;

/// Creates tasks one after the other; each create has to be answered well at the first try.
async fn create_until(over: Arc<AtomicBool>, http: tests::http::Http) -> Vec<String> {
    let mut ids = Vec::new();
    while !over.load(Ordering::Relaxed) {
        ids.push(http.create("noop", "run", format!("{}", ids.len())).await);
    }
    ids
}

#[tokio::test]
async fn replicas_come_and_go_and_no_call_between_them_is_lost() {
    let mut kit = Kit::start_with(|options| options.near = true).await;
    noop_app(&kit.http, "noop").await;
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(create_until(Arc::clone(&over), kit.http.clone()))).collect();
    for function in
        [Function::Create, Function::Status, Function::Report, Function::Schedule, Function::Runner]
    {
        let place = kit.stack.replicas.iter().position(|replica| replica.function == function).unwrap();
        kit.stack.replicas.remove(place).stop().await;
        let fresh = kit.stack.replica(function, None).await.unwrap();
        kit.stack.replicas.push(fresh);
        let id = kit.http.create("noop", "run", function.name()).await;
        let task = kit.http.until_ended(&id).await;
        assert_eq!(task["state"], "completed", "{task}");
        assert_eq!(kit.http.response(&id).await.expect(200).text(), function.name());
    }
    over.store(true, Ordering::Relaxed);
    let mut count = 0;
    for client in clients {
        for (number, id) in client.await.unwrap().into_iter().enumerate() {
            assert_eq!(kit.http.until_ended(&id).await["state"], "completed");
            assert_eq!(kit.http.response(&id).await.expect(200).json(), json!(number));
            count += 1;
        }
    }
    assert!(count >= CLIENTS, "{count}");
    kit.stop().await;
}
