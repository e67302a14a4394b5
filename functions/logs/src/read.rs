//! Reads pages out of the stream: by the number of their first line, or by what their lines are.

use domain::TaskKey;
use wire::calls::logs::{LogsReply, LogsRequest};
use wire::runner::{LogBatch, LogLine};
use wire::topology::LOGS;
use wire::{Error, subjects};

use crate::Logs;
use crate::place::{self, Place};

/// Batches that are read first for a page, which most often are enough; then twice as many, up to the most.
const BATCHES_FIRST: usize = 4;
const BATCHES_AT_ONCE: usize = 64;
/// The most bytes of lines in one reply, well below what one message takes.
const PAGE_BYTES_MAX: usize = 600 * 1024;

impl Logs {
    /// One page.
    pub(crate) async fn page(
        &self,
        key: &TaskKey,
        request: &LogsRequest,
        ended: bool,
    ) -> Result<LogsReply, Error> {
        if !request.filter.is_empty() {
            return self.search(key, request, ended).await;
        }
        let mut reply = self.by_number(key, request, ended).await?;
        if request.count {
            reply.total = Some(self.count(key).await?);
        }
        Ok(reply)
    }

    async fn by_number(&self, key: &TaskKey, request: &LogsRequest, ended: bool) -> Result<LogsReply, Error> {
        let mut place = self.start(key, request.offset);
        let mut reply = empty(request.offset);
        let (mut bytes, mut count) = (0, BATCHES_FIRST);
        loop {
            let batches = self.batches(key, place, count).await?;
            let last = batches.len() < count;
            for (sequence, batch) in batches {
                let (next, first) = place.after(sequence, &batch);
                for ((index, number), line) in (0..).zip(first..).zip(batch.lines) {
                    if number < reply.next {
                        continue;
                    }
                    bytes += line.text.len() + 64;
                    // A gap ends the page, so that the number of each of its lines is known.
                    let is_gap = !reply.lines.is_empty() && number != reply.next;
                    if is_gap || reply.lines.len() as u64 >= request.limit || bytes > PAGE_BYTES_MAX {
                        return Ok(self.finish(key, reply, place));
                    }
                    if reply.lines.is_empty() {
                        reply.first = number;
                    }
                    reply.lines.push(line.placed(sequence, index));
                    reply.next = number + 1;
                }
                place = next;
            }
            if last {
                reply.next = reply.next.max(place.lines());
                reply.end = ended;
                return Ok(self.finish(key, reply, place));
            }
            count = (count * 2).min(BATCHES_AT_ONCE);
        }
    }

    /// How many lines there are: from the last place that somebody came to, to the end.
    async fn count(&self, key: &TaskKey) -> Result<u64, Error> {
        let mut place = self.start(key, u64::MAX);
        loop {
            let batches = self.batches(key, place, BATCHES_AT_ONCE).await?;
            let last = batches.len() < BATCHES_AT_ONCE;
            for (sequence, batch) in batches {
                place = place.after(sequence, &batch).0;
            }
            if last {
                self.finish(key, empty(0), place);
                return Ok(place.lines());
            }
        }
    }

    /// A page of the lines that pass a filter, which are counted from the first one on. Nothing tells where they
    /// are, so the whole log is read.
    async fn search(&self, key: &TaskKey, request: &LogsRequest, ended: bool) -> Result<LogsReply, Error> {
        let mut place = place::BEGIN;
        let mut reply = empty(request.offset);
        let (mut bytes, mut found, mut is_full) = (0, 0, false);
        loop {
            let batches = self.batches(key, place, BATCHES_AT_ONCE).await?;
            let last = batches.len() < BATCHES_AT_ONCE;
            for (sequence, batch) in batches {
                place = place.after(sequence, &batch).0;
                for line in batch.lines.into_iter().filter(|line| request.filter.keeps(line)) {
                    found += 1;
                    if found <= request.offset || is_full {
                        continue;
                    }
                    bytes += line.text.len() + 64;
                    if reply.lines.len() as u64 >= request.limit || bytes > PAGE_BYTES_MAX {
                        is_full = true;
                        continue;
                    }
                    reply.lines.push(line);
                    reply.next = found;
                }
            }
            if last {
                reply.end = ended && !is_full;
                reply.total = request.count.then_some(found);
                return Ok(self.finish(key, reply, place));
            }
        }
    }

    /// One page of notes; each is a message of its own, and the first ones that are kept are the first ones told.
    pub(crate) async fn notes(&self, key: &TaskKey, request: &LogsRequest) -> Result<LogsReply, Error> {
        let subject = subjects::notes(key);
        let mut reply = empty(0);
        let (mut bytes, mut sequence) = (0, 1);
        loop {
            let found: Vec<(u64, LogLine)> =
                self.broker.stored(LOGS, &subject, sequence, BATCHES_AT_ONCE).await?;
            let last = found.len() < BATCHES_AT_ONCE;
            for (at, line) in found {
                sequence = at + 1;
                if reply.next >= request.offset {
                    bytes += line.text.len() + 64;
                    if reply.lines.len() as u64 >= request.limit || bytes > PAGE_BYTES_MAX {
                        return Ok(reply);
                    }
                    reply.lines.push(line.placed(at, 0));
                }
                reply.next += 1;
            }
            if last {
                reply.end = true;
                return Ok(reply);
            }
        }
    }

    async fn batches(
        &self,
        key: &TaskKey,
        place: Place,
        count: usize,
    ) -> Result<Vec<(u64, LogBatch)>, Error> {
        self.broker.stored(LOGS, &subjects::logs(key), place.sequence, count).await
    }
}

fn empty(next: u64) -> LogsReply {
    LogsReply { lines: Vec::new(), first: next, next, dropped: 0, end: false, total: None, made_room: None }
}
