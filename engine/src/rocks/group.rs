//! One group of commits becomes one WriteBatch.

use super::database::{Database, LAST, Last, OWN, Place, read};
use super::overlay::{Overlay, Rows};
use super::request::{Answer, Request};
use crate::{CommitError, Committed, Error, Expected, KeyRange, Sync, Write};
use rocksdb::{ColumnFamily, ReadOptions, WriteBatch};
use std::sync::atomic::{AtomicU64, Ordering};

/// What builds batches: borrowed views of the database, and buffers that are kept.
pub(super) struct Builder<'db> {
    database: &'db Database,
    /// In the order of places.
    families: Vec<&'db ColumnFamily>,
    own: &'db ColumnFamily,
    read_options: ReadOptions,
    floor: &'db AtomicU64,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// A group, ready to be written.
pub(super) struct Group {
    pub(super) batch: WriteBatch,
    /// Whether a commit that happens asked for a sync.
    pub(super) sync: bool,
    /// Where seqs and times stand once it is written.
    pub(super) last: Last,
}

impl<'db> Builder<'db> {
    pub(super) fn new(database: &'db Database, floor: &'db AtomicU64) -> Result<Builder<'db>, Error> {
        let families = database.spaces().iter().map(|space| database.family(*space)).collect::<Result<_, _>>()?;
        let own = database.family(OWN)?;
        Ok(Builder {
            database,
            families,
            own,
            read_options: ReadOptions::default(),
            floor,
            key: Vec::new(),
            value: Vec::new(),
        })
    }

    /// Checks each commit against those before it, and turns those that hold into one batch. Adds one answer per request, to be given when the batch is written.
    pub(super) fn build(&mut self, requests: &[Request], now: i64, last: Last, answers: &mut Vec<Answer>) -> Group {
        let bytes = requests.iter().map(Request::bytes).sum::<usize>();
        let mut overlay = Overlay::new(self.families.len());
        for request in requests {
            ask(request, &mut overlay);
        }
        let committed_at = now.max(last.committed_at);
        let mut group = Group {
            batch: WriteBatch::with_capacity_bytes(bytes + 64),
            sync: false,
            last: Last { last_seq: last.last_seq, committed_at },
        };
        for (index, request) in requests.iter().enumerate() {
            let answer = match self.check(request, &mut overlay, group.last.last_seq) {
                Ok(base_seq) => {
                    group.sync |= request.commit().sync == Sync::Synced;
                    Ok(self.apply(&requests[..index], request, base_seq, &mut overlay, &mut group))
                }
                Err(error) => Err(error),
            };
            answers.push(answer);
        }
        for (place, key, value) in overlay.late() {
            group.batch.put_cf(self.families[place], key, value);
        }
        if group.last.last_seq != last.last_seq {
            group.batch.put_cf(self.own, LAST, group.last.to_bytes());
        }
        group
    }

    /// Whether the commit can happen, and then the seq after which its rows come. Afterwards nothing can fail before the batch is written, so no commit is ever half in it.
    fn check<'a>(&self, request: &'a Request, overlay: &mut Overlay<'a>, last_seq: u64) -> Result<u64, CommitError>
    where
        'db: 'a,
    {
        let (expect_places, write_places) = request.places();
        for ((index, expect), &place) in request.commit().expect.iter().enumerate().zip(expect_places) {
            self.load(overlay, place, &expect.key)?;
            if !overlay.holds(place, &expect.key, &expect.value) {
                return Err(CommitError::Mismatch { index, space: expect.space.name, key: expect.key.clone() });
            }
        }
        let mut rows = 0u64;
        for (write, &place) in request.commit().writes.iter().zip(write_places) {
            match write {
                Write::Add { key, .. } | Write::DeleteIf { key, .. } | Write::PutIfAbsent { key, .. } => {
                    self.load(overlay, place, key)?;
                }
                Write::DeleteRange { range, .. } if range.to.is_empty() => {
                    let greatest = self.greatest(place).map_err(|error| self.unread(place, error))?;
                    overlay.set_greatest(place, greatest);
                }
                Write::Append { values, .. } => rows = rows.saturating_add(values.len() as u64),
                _ => {}
            }
        }
        // Looked at once per commit: a floor that is raised meanwhile must not tear its seqs apart.
        let base_seq = last_seq.max(self.floor.load(Ordering::Acquire));
        match base_seq.checked_add(rows) {
            Some(_) => Ok(base_seq),
            None => Err(CommitError::Invalid { reason: "there are no seqs left to give out".to_owned() }),
        }
    }

    fn load<'a>(&self, overlay: &mut Overlay<'a>, place: Place, key: &'a [u8]) -> Result<(), CommitError>
    where
        'db: 'a,
    {
        let family = self.families[usize::from(place)];
        overlay
            .load(self.database.db(), family, &self.read_options, place, key)
            .map_err(|error| self.unread(place, error))
    }

    fn unread(&self, place: Place, error: rocksdb::Error) -> CommitError {
        CommitError::Unread(read(self.database.spaces()[usize::from(place)])(error))
    }

    /// Puts a request that was checked into the batch, behind the `earlier` ones of its group.
    fn apply<'a>(
        &mut self,
        earlier: &[Request],
        request: &'a Request,
        base_seq: u64,
        overlay: &mut Overlay<'a>,
        group: &mut Group,
    ) -> Committed {
        let committed_at = group.last.committed_at;
        let mut last_seq = base_seq;
        let (_, places) = request.places();
        for (write, &place) in request.commit().writes.iter().zip(places) {
            let family = self.families[usize::from(place)];
            match write {
                Write::Put { key, value, .. } => {
                    group.batch.put_cf(family, key, value);
                    overlay.put(place, key, value);
                }
                Write::PutIfAbsent { key, value, .. } => {
                    if overlay.holds(place, key, &Expected::Absent) {
                        group.batch.put_cf(family, key, value);
                        overlay.put(place, key, value);
                    }
                }
                Write::Delete { key, .. } => {
                    group.batch.delete_cf(family, key);
                    overlay.delete(place, key);
                }
                Write::DeleteIf { key, value, .. } => {
                    if overlay.equals(place, key, value) {
                        group.batch.delete_cf(family, key);
                        overlay.delete(place, key);
                    }
                }
                Write::DeleteRange { range, .. } => {
                    if let Some(to) = end(earlier, request, overlay, place, range) {
                        group.batch.delete_range_cf(family, &range.from, &to);
                        overlay.remove(place, range);
                    }
                }
                Write::Add { key, delta, .. } => {
                    let sum = overlay.counter(place, key).saturating_add(*delta);
                    overlay.put_late(place, key, sum.to_le_bytes());
                }
                Write::Append { values, .. } if values.is_empty() => {}
                Write::Append { prefix, values, .. } => {
                    let rows = Rows { prefix, seq_first: last_seq + 1, values, committed_at };
                    last_seq = self.append(&mut group.batch, family, rows);
                    overlay.append(place, rows);
                }
                Write::StampSeq { key, .. } => {
                    if last_seq > base_seq {
                        overlay.put_late(place, key, last_seq.to_be_bytes());
                    }
                }
            }
        }
        if last_seq == base_seq {
            return Committed { seqs: None, committed_at };
        }
        group.last.last_seq = last_seq;
        Committed { seqs: Some(base_seq + 1..=last_seq), committed_at }
    }

    /// Puts rows into the batch and returns the seq of the last one. The hot path: no allocation per row.
    fn append(&mut self, batch: &mut WriteBatch, family: &ColumnFamily, rows: Rows<'_>) -> u64 {
        let Builder { key, value, .. } = self;
        key.clear();
        key.extend_from_slice(rows.prefix);
        key.extend_from_slice(&[0; 8]);
        value.clear();
        value.extend_from_slice(&rows.committed_at.to_le_bytes());
        let mut seq = rows.seq_first;
        let mut last = seq;
        for row in rows.values {
            key[rows.prefix.len()..].copy_from_slice(&seq.to_be_bytes());
            value.truncate(8);
            value.extend_from_slice(row);
            batch.put_cf(family, &*key, &*value);
            last = seq;
            seq = seq.wrapping_add(1);
        }
        last
    }

    /// The greatest key of a space in the database.
    fn greatest(&self, place: Place) -> Result<Option<Vec<u8>>, rocksdb::Error> {
        let mut rows = self.database.db().raw_iterator_cf(self.families[usize::from(place)]);
        rows.seek_to_last();
        rows.status()?;
        Ok(rows.key().map(<[u8]>::to_vec))
    }
}

/// Where a removed range ends, for RocksDB, which knows no open end; `None` when there is nothing to remove.
fn end(
    earlier: &[Request],
    request: &Request,
    overlay: &Overlay<'_>,
    place: Place,
    range: &KeyRange,
) -> Option<Vec<u8>> {
    if !range.to.is_empty() {
        return (!range.is_empty()).then(|| range.to.clone());
    }
    // Behind the greatest key that is stored or that the group may have written. Seldom needed, so it looks through all of the group.
    let mut greatest = overlay.greatest(place).map(<[u8]>::to_vec);
    for request in earlier.iter().chain([request]) {
        for (write, _) in request.commit().writes.iter().zip(request.places().1).filter(|(_, at)| **at == place) {
            greatest = greatest.max(match write {
                Write::Put { key, .. }
                | Write::PutIfAbsent { key, .. }
                | Write::Add { key, .. }
                | Write::StampSeq { key, .. } => Some(key.clone()),
                Write::Append { prefix, .. } => Some([prefix.as_slice(), &[u8::MAX; 8]].concat()),
                Write::Delete { .. } | Write::DeleteIf { .. } | Write::DeleteRange { .. } => None,
            });
        }
    }
    let mut to = greatest?;
    to.push(0);
    (range.from < to).then_some(to)
}

/// Tells the overlay which spaces a commit asks for keys of.
fn ask(request: &Request, overlay: &mut Overlay<'_>) {
    let (expect_places, write_places) = request.places();
    for &place in expect_places {
        overlay.ask(place);
    }
    for (write, &place) in request.commit().writes.iter().zip(write_places) {
        if matches!(
            write,
            Write::Add { .. } | Write::StampSeq { .. } | Write::DeleteIf { .. } | Write::PutIfAbsent { .. }
        ) {
            overlay.ask(place);
        }
    }
}
