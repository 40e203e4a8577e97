//! One user's rows into one segment, or into several parts of one.
//!
//! Runs on an encoder thread. Rows are read in batches and encoded as they come; a file that stays small is put as a
//! whole by a task of its own, so that the thread is at the next user while this one waits for the disk; a large one
//! streams row group by row group.

use super::pipeline::{Event, Part, Shared, panicked};
use super::records::Failure;
use super::retry;
use super::upload::{self, Place};
use arrow::array::RecordBatch;
use bytes::{Bytes, BytesMut};
use ebbtide_engine::Snapshot;
use ebbtide_runtime::StepError;
use ebbtide_store::cold::{self, segment};
use ebbtide_store::manifest::Watermark;
use ebbtide_store::{Reading, Segment, UserId, hot, manifest, path};
use futures::{FutureExt, TryStreamExt};
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// Rows decoded at a time: large enough to amortise a batch, small beside a row group.
const BATCH_ROWS_MAX: usize = 8192;
/// Bytes decoded at a time.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What a finished file costs in memory beside its bytes: its statistics, its task, its place in a commit.
const FILE_BYTES: usize = 16 << 10;

pub(super) struct Encoder {
    shared: Arc<Shared>,
    /// Schema and writer properties, made once for all files of this flush.
    layout: Arc<segment::Layout>,
}

/// Why a user's turn produced nothing more: the user's own trouble, or everybody's.
enum Trouble {
    User(String),
    All(StepError),
}

/// What came of a user's turn.
pub(super) enum Encoded {
    /// All that there is to do for him is done, or on its way.
    Finished,
    /// His storage has no room: nothing was done.
    Later,
}

impl From<StepError> for Trouble {
    fn from(error: StepError) -> Self {
        Self::All(error)
    }
}

impl From<cold::Error> for Trouble {
    fn from(error: cold::Error) -> Self {
        Self::User(error.with_hint())
    }
}

/// What is known of a part once its rows are encoded, apart from where its bytes went.
struct Known {
    from_seq: u64,
    to_seq: u64,
    rows: u64,
    bytes_hot: u64,
    columns: Vec<ebbtide_store::ColumnStats>,
    watermark_before: Watermark,
    watermark_after: u64,
    failed_before: bool,
}

impl Encoder {
    pub(super) fn new(shared: Arc<Shared>, layout: Arc<segment::Layout>) -> Self {
        Self { shared, layout }
    }

    /// Encodes all that the user has up to the cut; if his storage has no room, only when he is to wait for it. The user's
    /// own trouble ends his turn; an error ends the pipeline.
    pub(super) fn encode(&self, user: &UserId, wait: bool) -> Result<Encoded, StepError> {
        self.shared.progress.set_subject(user.as_str());
        let shared = self.shared.clone();
        match shared.progress.charge(|| self.parts(user, wait)) {
            Ok(encoded) => Ok(encoded),
            Err(Trouble::All(error)) => Err(error),
            Err(Trouble::User(reason)) => {
                self.send(Event::Failed(user.clone(), reason));
                Ok(Encoded::Finished)
            }
        }
    }

    /// Part by part. Each reads the hot rows anew from where the part before ended, so that no snapshot of the engine
    /// is held for long.
    fn parts(&self, user: &UserId, wait: bool) -> Result<Encoded, Trouble> {
        let shared = &*self.shared;
        let snapshot = shared.engine.snapshot();
        let watermark = manifest::watermark(&*snapshot, shared.table.id, user).map_err(retry("reading a watermark"))?;
        if watermark.seq >= shared.cut.seq {
            self.send(Event::Done);
            return Ok(Encoded::Finished);
        }
        let failed_before =
            Failure::read(&*snapshot, shared.table.id, user).map_err(retry("reading a user's failures"))?.is_some();
        let place = self.place(&snapshot, user)?;
        drop(snapshot);
        shared.resources.health.check(&place.storage).map_err(Trouble::User)?;
        let lanes = &shared.resources.lanes;
        let mut lane = match lanes.try_enter(&place.storage) {
            Some(lane) => Some(lane),
            None if !wait => return Ok(Encoded::Later),
            None => Some(shared.runtime.block_on(lanes.enter(&place.storage))),
        };
        // He may have waited long for his turn.
        shared.resources.health.check(&place.storage).map_err(Trouble::User)?;
        if shared.epoch > 1 {
            self.remove_leftovers(&place, user)?;
        }

        let mut before = watermark;
        // Tells when the part before this one was announced; broken when it failed.
        let mut earlier: Option<oneshot::Receiver<()>> = None;
        let mut number = 0;
        loop {
            number += 1;
            if let Some(announced) = &mut earlier {
                match announced.try_recv() {
                    Ok(()) => earlier = None,
                    Err(oneshot::error::TryRecvError::Empty) => {}
                    // It failed and said so: what comes after it would never be handed over.
                    Err(oneshot::error::TryRecvError::Closed) => return Ok(Encoded::Finished),
                }
            }
            let mut lane = lane.take().unwrap_or_else(|| shared.runtime.block_on(lanes.enter(&place.storage)));
            // Before the rows are read, until their object is named or given up: who erases them waits for it.
            let writing = Arc::new(shared.store.writers().register());
            let (mut encoded, content, more) = match self.part(user, &place, number, &before) {
                Ok(Some(part)) => part,
                Ok(None) => {
                    // The index named a user whose rows are all above the cut, or moved already.
                    self.send(Event::Done);
                    return Ok(Encoded::Finished);
                }
                Err(Trouble::User(reason)) if earlier.is_some() => {
                    self.fail_after(earlier, user, reason);
                    return Ok(Encoded::Finished);
                }
                Err(trouble) => return Err(trouble),
            };
            encoded.failed_before = failed_before;
            // The last part covers whatever has no rows up to the cut.
            encoded.watermark_after = if more { encoded.to_seq } else { shared.cut.seq };
            before = before.at(encoded.watermark_after);
            let (done, later) = oneshot::channel();
            let (content, held) = match content {
                // What has streamed holds its memory already: to wait for more could be to wait for one another.
                Content::Streaming(mut streaming) => {
                    let held = streaming.held.take().expect("taken once, here");
                    (Content::Streaming(streaming), held)
                }
                Content::Whole(whole) => {
                    let held = shared.runtime.block_on(upload::reserve(self.shared.clone(), whole.len() + FILE_BYTES));
                    (Content::Whole(whole), held)
                }
            };
            lane.holds(held.num_permits() << 10);
            let sending =
                Sending { place: place.clone(), user: user.clone(), number, encoded, content, last: !more, writing };
            let sent = sending.send(self.shared.clone(), earlier.replace(later), done);
            let shared = self.shared.clone();
            self.shared.runtime.spawn(async move {
                if AssertUnwindSafe(sent).catch_unwind().await.is_err() {
                    let _ = shared.events.send(Event::Broken(panicked("an upload"))).await;
                }
                drop((held, lane));
            });
            if !more {
                return Ok(Encoded::Finished);
            }
        }
    }

    /// The user fails once, after his earlier parts are announced; if one of those failed, that was it.
    fn fail_after(&self, earlier: Option<oneshot::Receiver<()>>, user: &UserId, reason: String) {
        let (shared, user) = (self.shared.clone(), user.clone());
        self.shared.runtime.spawn(async move {
            let announced = match earlier {
                Some(earlier) => earlier.await.is_ok(),
                None => true,
            };
            if announced {
                let _ = shared.events.send(Event::Failed(user, reason)).await;
            }
        });
    }

    /// Encodes rows from above `before` until the part is full or the user ends: the part, its bytes, and whether the
    /// user has more rows up to the cut. None if there are no rows.
    fn part(
        &self,
        user: &UserId,
        place: &Place,
        number: u32,
        before: &Watermark,
    ) -> Result<Option<(Known, Content, bool)>, Trouble> {
        let mut tried = 0;
        loop {
            let failed = match self.try_part(user, place, number, tried, before) {
                Err(Trouble::User(reason)) => reason,
                done => return done,
            };
            // Only a part that streams can fail here; its rows are read and encoded again.
            tried += 1;
            if tried >= self.shared.resources.options().upload_attempts_max {
                self.shared.resources.health.note(&place.storage, false);
                return Err(Trouble::User(failed));
            }
        }
    }

    fn try_part(
        &self,
        user: &UserId,
        place: &Place,
        number: u32,
        tried: u32,
        before: &Watermark,
    ) -> Result<Option<(Known, Content, bool)>, Trouble> {
        let shared = &self.shared;
        let options = shared.resources.options();
        let snapshot = shared.engine.snapshot();
        let table = shared.table.clone();
        let mut scan =
            hot::scan(snapshot, table, user, before.seq, shared.cut.seq, None).map_err(retry("scanning hot rows"))?;
        let Some(mut read) = next(&mut scan, options.row_group_rows_max)? else { return Ok(None) };

        let mut writer = segment::Writer::new(&self.layout);
        let mut content = Content::Whole(BytesMut::new());
        let (totals, more) = loop {
            shared.check()?;
            let (batch, totals) = read;
            writer.push(&batch)?;
            if let Some(bytes) = writer.take() {
                content.extend(shared, place, number, tried, bytes, options.row_group_bytes_max)?;
            }
            let full = totals.rows >= options.segment_rows_max || writer.bytes() >= options.segment_bytes_max;
            match next(&mut scan, options.row_group_rows_max)? {
                Some(_) if full => break (totals, true),
                Some(following) => read = following,
                None => break (totals, false),
            }
        };
        let owner = (!user.is_shared()).then(|| user.as_str());
        let finished = writer.finish(owner, &shared.job_id)?;
        content.extend(shared, place, number, tried, finished.rest, options.row_group_bytes_max)?;
        debug_assert_eq!(finished.rows, totals.rows, "every row that was read is in the file");
        debug_assert_eq!(finished.to_seq, totals.last_seq, "and the last one is its last");
        let encoded = Known {
            from_seq: finished.from_seq,
            to_seq: finished.to_seq,
            rows: finished.rows,
            bytes_hot: totals.bytes,
            columns: finished.columns,
            watermark_before: before.clone(),
            watermark_after: totals.last_seq,
            failed_before: false,
        };
        Ok(Some((encoded, content, more)))
    }

    /// Where the user's files go, as the catalog has it when his turn comes.
    fn place(&self, snapshot: &Arc<dyn Snapshot>, user: &UserId) -> Result<Place, Trouble> {
        let store = &self.shared.store;
        let place = store.resolve_prefix(snapshot, &self.shared.table, user).and_then(|(storage, prefix)| {
            let objects = store.objects(&storage)?;
            // As of the snapshot that says where: if the id means another place by now, the commit is refused.
            let registered = store.catalog().expect_registered(&**snapshot, &storage)?;
            Ok(Place { storage, objects, prefix, registered })
        });
        place.map_err(|error| Trouble::User(error.to_string()))
    }

    /// A claim before this one may have left files that no commit names. They carry this job's timestamp, so they
    /// are nobody else's, and the manifest says which of them count.
    fn remove_leftovers(&self, place: &Place, user: &UserId) -> Result<(), Trouble> {
        let shared = &*self.shared;
        let named: HashSet<String> = manifest::segments(shared.engine.snapshot(), shared.table.id, Some(user))
            .map_err(retry("reading the manifest"))?
            .into_iter()
            .map(|segment| segment.path)
            .collect();
        let remove = async {
            // What another database took over is its own to clear up.
            shared.store.owned_objects(&place.storage).await?;
            let mut listed = place.objects.list(&place.prefix);
            while let Some(object) = listed.try_next().await? {
                // In his own folder: one below it is another user's.
                let Some((folder, name)) = object.path.rsplit_once('/') else { continue };
                let ours = folder == place.prefix
                    && path::FileName::parse(name)
                        .is_some_and(|name| name.stamp_secs == shared.cut.stamp && name.epoch < shared.epoch);
                if ours && !named.contains(&object.path) {
                    place.objects.delete(&object.path).await?;
                    shared.env.reached("flush.writing.leftover_removed");
                }
            }
            Ok::<(), ebbtide_store::Error>(())
        };
        shared.runtime.block_on(remove).map_err(|error| Trouble::User(error.to_string()))?;
        Ok(())
    }

    fn send(&self, event: Event) {
        // Fails only when the pipeline was dropped; then nobody waits for it.
        let _ = self.shared.events.blocking_send(event);
    }
}

/// A file's bytes: all of them, or on their way already.
enum Content {
    Whole(BytesMut),
    Streaming(Streaming),
}

struct Streaming {
    path: String,
    upload: Box<dyn cold::Upload>,
    /// The budget's part for what the upload holds.
    held: Option<OwnedSemaphorePermit>,
}

impl Content {
    /// Adds bytes; a file of more than `whole_bytes_max` begins to stream.
    fn extend(
        &mut self,
        shared: &Arc<Shared>,
        place: &Place,
        part: u32,
        tried: u32,
        bytes: Bytes,
        whole_bytes_max: usize,
    ) -> Result<(), Trouble> {
        match self {
            Self::Whole(whole) if whole.len() + bytes.len() <= whole_bytes_max => whole.extend_from_slice(&bytes),
            Self::Whole(whole) => {
                let bytes_held = place.objects.upload_bytes_held_max() + FILE_BYTES;
                let held = Some(shared.runtime.block_on(upload::reserve(shared.clone(), bytes_held)));
                let path = place.path(shared, part, tried);
                let mut upload = place.objects.begin_blocking(&path)?;
                upload.write_blocking(std::mem::take(whole).freeze())?;
                upload.write_blocking(bytes)?;
                *self = Self::Streaming(Streaming { path, upload, held });
            }
            Self::Streaming(streaming) => streaming.upload.write_blocking(bytes)?,
        }
        Ok(())
    }
}

/// A part on its way to its storage.
struct Sending {
    place: Place,
    user: UserId,
    number: u32,
    encoded: Known,
    content: Content,
    last: bool,
    writing: Arc<Reading>,
}

impl Sending {
    /// Makes the part durable and announces it, after the part before it: a user's watermark rises in order.
    async fn send(self, shared: Arc<Shared>, earlier: Option<oneshot::Receiver<()>>, done: oneshot::Sender<()>) {
        let Self { place, user, number, encoded, content, last, writing } = self;
        let stored = match content {
            Content::Whole(bytes) => upload::put(&shared, &place, number, bytes.freeze()).await,
            Content::Streaming(Streaming { path, upload, .. }) => {
                upload.finish().await.map(|stored| (path, stored)).map_err(|error| error.with_hint())
            }
        };
        if let Some(earlier) = earlier
            && earlier.await.is_err()
        {
            // The part before failed and said so; without it this one is never handed over.
            if let Ok((path, _)) = stored {
                upload::remove(&place.objects, &path).await;
            }
            return;
        }
        shared.resources.health.note(&place.storage, stored.is_ok());
        let (path, stored) = match stored {
            Ok(stored) => stored,
            Err(error) => {
                let _ = shared.events.send(Event::Failed(user, error)).await;
                return;
            }
        };
        shared.progress.add_rows(encoded.rows);
        shared.progress.add_bytes(stored.bytes);
        let part = Part {
            segment: Segment {
                table_id: shared.table.id,
                user: user.clone(),
                from_seq: encoded.from_seq,
                to_seq: encoded.to_seq,
                rows: encoded.rows,
                bytes: stored.bytes,
                storage: place.storage,
                path,
                crc32c: stored.crc32c,
                schema_version: shared.table.schema_version,
                columns: encoded.columns,
                job_id: shared.job_id.clone(),
                created_at: shared.env.now(),
            },
            objects: place.objects,
            registered: place.registered,
            watermark_before: encoded.watermark_before,
            watermark_after: encoded.watermark_after,
            bytes_hot: encoded.bytes_hot,
            failed_before: encoded.failed_before,
            writing,
        };
        match shared.events.send(Event::Part(Box::new(part))).await {
            Ok(()) if last => drop(shared.events.send(Event::Done).await),
            Ok(()) => drop(done.send(())),
            Err(mpsc::error::SendError(event)) => event.discard().await,
        }
    }
}

/// The next rows of a scan, with what it has read by then.
fn next(scan: &mut hot::HotScan, rows_max: usize) -> Result<Option<(RecordBatch, hot::ScanTotals)>, StepError> {
    let batch = scan.next_batch(BATCH_ROWS_MAX.min(rows_max), BATCH_BYTES_MAX).map_err(retry("reading hot rows"))?;
    Ok(batch.map(|batch| (batch, scan.totals())))
}
