//! Moves the records of one claim: reads a batch, has it answered, hands the answers on, acknowledges. What was not
//! acknowledged comes again, so nothing is lost; what was handed on and not acknowledged comes twice.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker::reader::Lost;
use bytes::Bytes;
use data_encoding::BASE64;
use domain::Payload;
use domain::payload::Place;
use serde_json::Value;
use service::clock;
use tokio::time::Instant;
use wire::runner::Aside;
use wire::{Code, Error, subjects};

use super::Claim;
use super::ends::{self, Answer, Ends, Record, Sink as SinkEnd, Source};
use super::processes::Processes;
use super::window::{Entry, Window};
use crate::logs::Sink;

/// Between two tries to get at the topics.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// So many batches may be under way while a process is waited for. The others go on until then.
const BATCHES_OPEN: usize = 10;

/// The pump of one claim.
pub struct Pump<'c> {
    claim: Claim<'c>,
    processes: Processes,
}

impl<'c> Pump<'c> {
    /// A pump that does not run yet.
    pub fn new(claim: Claim<'c>, log: Arc<Mutex<Sink>>) -> Self {
        let processes = Processes::new(claim.spec.instances, log);
        Self { claim, processes }
    }

    /// Runs until it is dropped, which may happen at any moment.
    pub async fn run(&mut self) {
        let mut pause = RETRY_FIRST;
        loop {
            let Ends { mut source, mut sink } = match ends::attach(&self.claim).await {
                Ok(ends) => ends,
                Err(error) => {
                    self.tell(&error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_LAST);
                    continue;
                }
            };
            pause = RETRY_FIRST;
            let Err(lost) = self.pump(&mut source, &mut sink).await;
            if self.claim.spec.kafka.is_some() {
                self.tell(&Error::new(Code::BadRequest, lost.to_string()));
            }
            tracing::info!(task = %self.claim.task.id, why = %lost, "reading anew");
        }
    }

    /// Ends the processes.
    pub async fn end(mut self) {
        self.processes.end().await;
    }

    fn tell(&self, error: &Error) {
        let Claim { runner, task, reports, .. } = &self.claim;
        match error.code {
            Code::StaleClaim | Code::TaskNotFound => runner.held.drop_claim(&task.key(), task.epoch),
            Code::Unavailable | Code::Timeout | Code::Internal => {
                tracing::warn!(task = %task.id, %error, "the topics can't be reached; trying again");
            }
            Code::BadRequest
            | Code::Unauthenticated
            | Code::Forbidden
            | Code::NotFound
            | Code::AppNotFound
            | Code::LatestNotFound
            | Code::WrongState
            | Code::Conflict
            | Code::KeyReused
            | Code::TooLarge
            | Code::LaneFull
            | Code::StorageFull => reports.trouble(error.message.clone()),
        }
    }

    async fn pump(
        &mut self,
        source: &mut Source,
        sink: &mut SinkEnd,
    ) -> Result<std::convert::Infallible, Lost> {
        let period = Duration::from_millis(self.claim.spec.schedule_ms.into());
        let batch = usize::try_from(self.claim.spec.poll_max).unwrap_or(usize::MAX);
        let (mut window, mut next) = (Window::default(), Instant::now());
        loop {
            self.processes.up(&self.claim).await;
            let up = self.processes.up_now();
            let shares = window.shares(&up, batch);
            if shares.iter().any(|share| !share.is_empty()) {
                self.work_off(shares, &mut window, source, sink).await?;
                continue;
            }
            let has_room = match window.len() {
                0 => true,
                open => up.contains(&true) && open < batch.saturating_mul(BATCHES_OPEN),
            };
            let due = self.processes.due();
            let records = tokio::select! {
                records = read(source, next), if has_room => records?,
                () = until(due) => continue,
                () = self.processes.until_one_ends(&self.claim) => continue,
            };
            next = Instant::now() + period;
            for record in records {
                let mut entry = self.entry(record);
                match line(&entry.record.payload) {
                    Ok(line) => entry.line = line,
                    Err(reason) => self.set_aside(&mut entry, reason.to_owned()).await?,
                }
                window.push(entry);
            }
            acknowledge(&mut window, source).await?;
        }
    }

    /// Has each process answer its share, and hands the answers on in the order of the records.
    async fn work_off(
        &mut self,
        shares: Vec<Vec<usize>>,
        window: &mut Window,
        source: &mut Source,
        sink: &mut SinkEnd,
    ) -> Result<(), Lost> {
        let lines: Vec<Vec<Bytes>> = shares.iter().map(|share| window.lines(share)).collect();
        let exchanges = self.processes.exchange(&self.claim, &lines).await;
        let mut answers: Vec<(usize, Bytes)> = Vec::new();
        for (share, exchange) in shares.iter().zip(&exchanges) {
            answers.extend(share.iter().copied().zip(exchange.answers.iter().cloned()));
        }
        answers.sort_by_key(|(index, _)| *index);
        // An empty line says that there is nothing to hand on for a record.
        let mut out = Vec::with_capacity(answers.len());
        for (index, answer) in answers.iter().filter(|(_, answer)| !answer.is_empty()) {
            let record = window.at(*index).map(|entry| &entry.record);
            let (key, partition) =
                record.map_or((None, None), |record| (record.key.clone(), record.partition));
            out.push(Answer { key, partition, payload: answer.clone() });
        }
        sink.hand_on(&out).await?;
        for (index, _) in &answers {
            if let Some(entry) = window.at(*index) {
                entry.done = true;
            }
        }
        for (process, (share, exchange)) in shares.iter().zip(exchanges).enumerate() {
            let Some(fault) = exchange.fault else { continue };
            window.one_at_a_time(process);
            let suspect = share.get(exchange.answers.len()).and_then(|index| window.at(*index));
            if let Some(entry) = suspect
                && entry.failed(fault.from_outside)
            {
                self.set_aside(entry, fault.why).await?;
            }
        }
        acknowledge(window, source).await
    }

    /// Records of one key go to one process; those without a key take turns.
    fn entry(&self, record: Record) -> Entry {
        let count = self.processes.count();
        let process = if count < 2 {
            0
        } else {
            let mut hasher = DefaultHasher::new();
            match self.key(&record) {
                // As text is hashed, so that a key stays with the process of its number.
                Some(key) => {
                    hasher.write(&key);
                    hasher.write_u8(0xff);
                }
                None => record.sequence.hash(&mut hasher),
            }
            usize::try_from(hasher.finish() % count as u64).unwrap_or(0)
        };
        Entry::new(record, process)
    }

    fn key(&self, record: &Record) -> Option<Bytes> {
        if record.key.is_some() {
            return record.key.clone();
        }
        let field = self.claim.spec.key_field.as_ref()?;
        let value: Value = serde_json::from_slice(&record.payload).ok()?;
        value.get(field).map(|key| key.to_string().into())
    }

    /// A record that can't be answered is kept with the reason, so that those behind it get their turn.
    async fn set_aside(&self, entry: &mut Entry, reason: String) -> Result<(), Lost> {
        let Claim { runner, task, spec, reports, .. } = &self.claim;
        let sequence = entry.record.sequence;
        let of = entry.record.of(&spec.source);
        let text = format!("record {sequence} of {of} was set aside: {reason}");
        let aside = Aside {
            at: clock::now(),
            source: of,
            sequence,
            tries: entry.tries,
            reason,
            record: payload(&entry.record.payload),
        };
        let stored = runner.broker.append(subjects::aside(&task.key()), &aside).await;
        stored.map_err(|error| Lost(error.to_string()))?;
        self.processes.say(&text);
        reports.trouble(text);
        entry.done = true;
        Ok(())
    }
}

/// Waits for a moment; for ever where there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Waits until the next batch may be read, and for its records.
async fn read(source: &mut Source, not_before: Instant) -> Result<Vec<Record>, Lost> {
    tokio::time::sleep_until(not_before).await;
    source.batch().await
}

/// Acknowledges what is done with.
async fn acknowledge(window: &mut Window, source: &mut Source) -> Result<(), Lost> {
    let finished = window.finished();
    if finished.is_empty() { Ok(()) } else { source.acknowledge(&finished).await }
}

/// A record as one line. JSON may come in several lines, and any line with its end.
fn line(payload: &Bytes) -> Result<Bytes, &'static str> {
    let trimmed = payload.trim_ascii_end();
    if trimmed.is_empty() {
        return Err("it is empty");
    }
    if !trimmed.contains(&b'\n') {
        return Ok(payload.slice_ref(trimmed));
    }
    let value: Value = serde_json::from_slice(trimmed).map_err(|_| "it has several lines and is no JSON")?;
    Ok(Bytes::from(value.to_string()))
}

/// As text, where that takes less room in JSON than the other form.
fn payload(bytes: &Bytes) -> Payload {
    let size = bytes.len() as u64;
    let text = std::str::from_utf8(bytes).ok();
    let short = text.filter(|text| {
        serde_json::to_string(text).is_ok_and(|json| json.len() <= BASE64.encode_len(bytes.len()))
    });
    let place = match short {
        Some(text) => Place::Text(text.to_owned()),
        None => Place::Base64(BASE64.encode(bytes)),
    };
    Payload { content_type: None, size, place }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_however_it_came() {
        let line = |text: &'static str| line(&Bytes::from_static(text.as_bytes()));
        assert_eq!(line("{\"a\": 1}"), Ok("{\"a\": 1}".into()));
        assert_eq!(line("no JSON\r\n"), Ok("no JSON".into()));
        assert_eq!(line("{\n  \"a\": 1\n}\n"), Ok("{\"a\":1}".into()));
        assert!(line("").is_err() && line("\n").is_err() && line("a\nb").is_err());
    }

    #[test]
    fn a_record_is_kept_as_it_was() {
        let text = payload(&Bytes::from_static(b"{\"a\":1}"));
        assert_eq!(text.place, Place::Text("{\"a\":1}".to_owned()));
        assert_eq!(payload(&Bytes::from_static(b"\xff")).place, Place::Base64("/w==".to_owned()));
    }
}
