//! The broker is as shared/wire says: the printed files are up to date, and a running broker has no drift.

use std::path::Path;

use service::{CancellationToken, Context};
use tests::Kit;
use wire::topology::{self, LOGS, Sizes};
use wire::{Function, permissions, subjects};

#[test]
fn the_printed_files_are_what_the_code_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../broker-config");
    let printed = [("topology.json", topology::print()), ("permissions.conf", permissions::print(&[]))];
    for (file, expected) in printed {
        let found = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(found == expected, "broker-config/{file} is out of date; run `just broker-config`");
    }
}

#[test]
fn everyone_who_reads_or_writes_a_stream_is_a_function_with_a_user() {
    let printed = permissions::print(&[]);
    for function in Function::ALL {
        assert!(printed.contains(&format!("nkey: ${}", permissions::nkey_variable(function))), "{function}");
    }
    for stream in topology::streams(Sizes::default()) {
        // What is in a work queue comes from programs.
        let is_written = stream.work_queue || !stream.written_by.is_empty();
        assert!(is_written && !stream.read_by.is_empty(), "{} is of no use", stream.name);
    }
}

#[tokio::test]
async fn a_provisioned_broker_has_no_drift_and_a_changed_stream_is_named_and_repaired() {
    let kit = Kit::start_with(|options| options.replicas = 1).await;
    let provision = kit.stack.connect(Function::Provision).await.unwrap();
    let sizes = kit.stack.settings.sizes;
    let wanted = topology::streams(sizes);
    assert_eq!(broker::provision::drift(&provision, &wanted).await.unwrap(), []);

    // Somebody gives the broker another idea of two streams.
    let mut changed = wanted.clone();
    for stream in &mut changed {
        if stream.name == LOGS {
            stream.max_age_seconds += 60;
        }
        if stream.name == topology::KEYS {
            stream.max_message_bytes -= 1;
        }
    }
    broker::provision::provision(&provision, &changed).await.unwrap();

    let drifts = broker::provision::drift(&provision, &wanted).await.unwrap();
    let named: Vec<(String, String)> = drifts.into_iter().map(|drift| (drift.stream, drift.what)).collect();
    let keys = subjects::bucket_stream(topology::KEYS);
    assert_eq!(
        named,
        [(keys, "max_message_size differ".to_owned()), (LOGS.to_owned(), "max_age differ".to_owned())]
    );

    let settings = kit.stack.settings.clone();
    let context = Context { broker: provision.clone(), settings, stop: CancellationToken::new() };
    cli::stack::boot::run(Function::Provision, context).await.unwrap();
    assert_eq!(broker::provision::drift(&provision, &wanted).await.unwrap(), []);
    kit.stop().await;
}
