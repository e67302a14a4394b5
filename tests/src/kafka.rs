//! A real Apache Kafka of one process, in a folder of its own, from the jars that tests/kafka/jars.sh has fetched.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

use rskafka::chrono::DateTime;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::wait::until;

/// The folder with the jars.
const JARS: &str = "KAFKA_JARS";
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// A cluster of one server.
pub struct Kafka {
    server: Option<Child>,
    port: u16,
    jars: PathBuf,
    folder: TempDir,
}

impl Kafka {
    /// Starts one; `None` where there are no jars, which is said.
    pub async fn start() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "which broker a test has is no setting of the product")]
        let Some(jars) = std::env::var_os(JARS) else {
            eprintln!("skipped: {JARS} names no jars of Kafka; `just kafka` fetches them");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let free = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let [port, other] = free.map(|listener| listener.local_addr().unwrap().port());
        let properties = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{other}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{other}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             log.dirs={}\noffsets.topic.replication.factor=1\nauto.create.topics.enable=false\n",
            folder.path().join("data").display()
        );
        std::fs::write(folder.path().join("properties"), properties).unwrap();
        let mut kafka = Self { server: None, port, jars: jars.into(), folder };
        let formatted =
            kafka.java("kafka.tools.StorageTool", &["format", "-t", CLUSTER, "-c"]).status().await;
        assert!(formatted.unwrap().success(), "its storage is made");
        kafka.up().await;
        Some(kafka)
    }

    /// Starts the server on what it has stored, and waits until it answers.
    pub async fn up(&mut self) {
        self.server = Some(self.java("kafka.Kafka", &[]).spawn().unwrap());
        let servers = self.servers();
        until("Kafka answers", || async {
            let asked =
                async { ClientBuilder::new(vec![servers.clone()]).build().await?.list_topics().await };
            match tokio::time::timeout(std::time::Duration::from_secs(2), asked).await {
                Ok(Ok(_)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Begins anew, and names this host to its clients instead of its own.
    pub async fn advertise(&mut self, host: &str) {
        self.kill().await;
        let path = self.folder.path().join("properties");
        let properties = std::fs::read_to_string(&path).unwrap();
        let own = "advertised.listeners=PLAINTEXT://127.0.0.1";
        assert!(properties.contains(own));
        std::fs::write(&path, properties.replace(own, &format!("advertised.listeners=PLAINTEXT://{host}")))
            .unwrap();
        self.up().await;
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.server.take().unwrap().kill().await.unwrap();
    }

    /// For `bootstrap.servers`.
    pub fn servers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Makes a topic.
    pub async fn make(&self, topic: &str, partitions: i32) {
        let client = self.client().await;
        client.controller_client().unwrap().create_topic(topic, partitions, 1, 5_000).await.unwrap();
    }

    /// The numbers of a topic's partitions; none where there is no such topic.
    pub async fn partitions(&self, topic: &str) -> usize {
        let topics = self.client().await.list_topics().await.unwrap();
        topics.iter().find(|there| there.name == topic).map_or(0, |there| there.partitions.len())
    }

    /// Writes records with their keys into a partition.
    pub async fn publish(
        &self,
        topic: &str,
        partition: i32,
        records: impl IntoIterator<Item = (String, String)>,
    ) {
        self.publish_in(Compression::NoCompression, topic, partition, records).await;
    }

    /// The same in a compression.
    pub async fn publish_in(
        &self,
        compression: Compression,
        topic: &str,
        partition: i32,
        records: impl IntoIterator<Item = (String, String)>,
    ) {
        let record = |(key, value): (String, String)| Record {
            key: Some(key.into_bytes()),
            value: Some(value.into_bytes()),
            headers: BTreeMap::new(),
            timestamp: DateTime::default(),
        };
        let records = records.into_iter().map(record).collect();
        self.partition(topic, partition).await.produce(records, compression).await.unwrap();
    }

    /// All that a partition holds: keys and values.
    pub async fn records(&self, topic: &str, partition: i32) -> Vec<(String, String)> {
        let (from, mut all, mut next) = (self.partition(topic, partition).await, Vec::new(), 0);
        loop {
            let (records, end) = from.fetch_records(next, 1..1_000_000, 100).await.unwrap();
            for record in records {
                next = record.offset + 1;
                let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap_or_default()).unwrap();
                all.push((text(record.record.key), text(record.record.value)));
            }
            if next >= end {
                return all;
            }
        }
    }

    async fn partition(&self, topic: &str, partition: i32) -> PartitionClient {
        let client = self.client().await;
        client.partition_client(topic, partition, UnknownTopicHandling::Retry).await.unwrap()
    }

    async fn client(&self) -> Client {
        ClientBuilder::new(vec![self.servers()]).build().await.unwrap()
    }

    fn java(&self, class: &str, arguments: &[&str]) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xmx256m", "-cp"]).arg(self.jars.join("*")).arg(class).args(arguments);
        java.arg(self.folder.path().join("properties"));
        java.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        java
    }
}
