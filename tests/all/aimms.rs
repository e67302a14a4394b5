//! The AIMMS dialects against the whole service: one task through both versions, and bodies as they were sent.

use http::Method;
use serde_json::json;
use tests::Kit;
use tests::apps::{noop_app, shell_app};

#[tokio::test]
async fn a_task_is_the_same_one_through_both_versions() {
    let kit = Kit::start().await;
    shell_app(&kit.http, "both", &[("good", "cat"), ("bad", "echo no way >&2; exit 3")]).await;
    let created = kit.http.post("/pro-api/v1/tasks/both/1.0/good", "in").await.expect(200).json();
    let id = created["id"].as_str().unwrap();
    assert_eq!(created, json!({ "id": id }), "v1 answers the id alone");
    assert_eq!(kit.http.until_ended(id).await["appName"], "both");
    let one = kit.http.get(&format!("/pro-api/v1/tasks/{id}")).await.expect(200).json();
    assert_eq!((&one["status"], &one["returncode"]), (&json!("finished"), &json!(0)), "{one}");
    let response = kit.http.get(&format!("/pro-api/v1/tasks/{id}/response")).await.expect(200);
    assert_eq!(response.text(), "in");

    let failed = kit.http.create("both", "bad", "").await;
    kit.http.until_ended(&failed).await;
    let one = kit.http.get(&format!("/pro-api/v1/tasks/{failed}")).await.expect(200).json();
    assert_eq!((&one["status"], &one["errormessage"]), (&json!("finished"), &json!("no way")), "{one}");

    let list = kit.http.get("/pro-api/v1/tasks?projectName=both&projectVersion=1.0").await.expect(200).json();
    assert_eq!(list["total_size"], 2, "{list}");
    assert_eq!(list["statuses"][0]["id"], failed.as_str(), "newest first");
    kit.http.delete(&format!("/pro-api/v1/tasks/{id}")).await.expect(200);
    kit.http.get(&format!("/pro-api/v2/tasks/{id}")).await.expect(404);
    kit.stop().await;
}

#[tokio::test]
async fn a_multipart_body_reaches_the_service_as_it_was_sent() {
    let kit = Kit::start().await;
    noop_app(&kit.http, "raw").await;
    let media_type = "multipart/form-data; boundary=b";
    let body =
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\na,b\r\n--b--\r\n";
    let headers = [("content-type", media_type)];
    let sent = kit.http.send(Method::POST, "/pro-api/v2/tasks/raw/run", &headers, body).await.unwrap();
    let id = sent.expect(200).json()["id"].as_str().unwrap().to_owned();
    kit.http.until_ended(&id).await;
    let response = kit.http.response(&id).await.expect(200);
    assert_eq!(response.text(), body);
    assert_eq!(response.headers["content-type"], media_type);
    kit.stop().await;
}
