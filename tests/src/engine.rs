//! Jobs through the Task Engine's own door, as its clients send them.

use http::Method;
use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::wait::until;

/// A client of the Task Engine's own door.
pub struct Engine<'k> {
    http: &'k Http,
}

impl<'k> Engine<'k> {
    /// With the client's key and the tenant `demo`.
    pub fn new(http: &'k Http) -> Self {
        Self { http }
    }

    /// Sends a request with the headers that authenticate a client.
    pub async fn send(&self, method: Method, path: &str, body: Value) -> Answer {
        let key = self.http.key().unwrap_or_default();
        let headers = [("client", "demo"), ("api-key", key), ("Content-Type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.http.send(method, path, &headers, body).await.unwrap()
    }

    /// Submits a job and gives its id.
    pub async fn submit(&self, job: Value, parameters: Value) -> u64 {
        let body = json!({ "client": "demo", "job": job, "parameters": parameters });
        let answer = self.send(Method::POST, "/job", body).await;
        assert!(answer.status.is_success(), "{answer:?}");
        answer.json()["id"].as_str().unwrap().parse().unwrap()
    }

    /// Submits a job that names its workflow alone.
    pub async fn start(&self, workflow: &str, parameters: Value) -> u64 {
        self.submit(json!({ "workflow": workflow }), parameters).await
    }

    /// What is said to a job that is refused.
    pub async fn refused(&self, workflow: &str, parameters: Value) -> String {
        let body = json!({ "client": "demo", "job": { "workflow": workflow }, "parameters": parameters });
        self.send(Method::POST, "/job", body).await.expect(400).text()
    }

    /// Changes a setting.
    pub async fn set(&self, name: &str, setting: Value) {
        self.send(Method::POST, "/settings", json!({ "name": name, "setting": setting })).await.expect(200);
    }

    /// Changes a job.
    pub async fn change(&self, id: u64, change: Value) {
        self.send(Method::PUT, &format!("/jobs/{id}"), change).await.expect(200);
    }

    /// A job.
    pub async fn job(&self, id: u64) -> Value {
        self.send(Method::GET, &format!("/jobs/{id}"), Value::Null).await.expect(200).json()
    }

    /// Waits until a job is in a state; gives the job.
    pub async fn until(&self, id: u64, state: &str) -> Value {
        until(&format!("job {id} is {state}"), || async {
            let job = self.job(id).await;
            if job["queue_state"] == state { Ok(job) } else { Err(job) }
        })
        .await
    }

    /// What the workers and the controller say of a job.
    pub async fn trace(&self, id: u64) -> Vec<String> {
        let rows = self.send(Method::GET, &format!("/logs/{id}"), Value::Null).await.expect(200).json();
        let said = |row: &Value| row["progname"] == "worker" || row["progname"] == "controller";
        let rows = rows.as_array().unwrap().iter().filter(|row| said(row));
        rows.map(|row| row["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The record of a job as our own API shows it.
    pub async fn task(&self, id: u64) -> (String, Value) {
        let all = self.http.get("/tasklane/v1/tasks?limit=1000").await.expect(200).json();
        let job = self.job(id).await;
        let same = |task: &&Value| {
            let at = |value: &Value| value.as_str().unwrap().replace(' ', "T")[..23].to_owned();
            task["service"] == job["workflow"] && at(&task["created_at"]) == at(&job["created_at"])
        };
        let task = all["tasks"].as_array().unwrap().iter().find(same).expect("the job is a task").clone();
        (task["id"].as_str().unwrap().to_owned(), task)
    }

    /// The result of a job.
    pub async fn result(&self, id: u64) -> String {
        let (task, _) = self.task(id).await;
        self.http.response(&task).await.expect(200).text()
    }
}
