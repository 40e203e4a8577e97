//! Rows of several days: which of them are left, what readers see meanwhile, and that flushes go on beside it.

use super::{KIND, SegmentRetention};
use crate::flush::{self, Flush};
use crate::kinds::{Span, Tables};
use crate::testing::{Shore, flush as flush_table, run, user, world};
use ebbtide_runtime::testing::{Env, START, World, crash_everywhere};
use ebbtide_runtime::{Job, NewJob, Status};
use ebbtide_store::{Kind, Table, UserId, deletions, hot, manifest};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn keeping(days: u64) -> SegmentRetention {
    SegmentRetention {
        tables: Tables::All,
        age: Span::days(days),
        grace: Span(Duration::from_secs(3600)),
        rewrite: true,
        dry_run: false,
    }
}

/// ana: 250 rows of day 0 in three parts, 30 of day 10 with 20 of day 20 in one file, 5 hot ones of day 20.
/// ben: 10 rows of day 0. cleo: 10 rows of day 20. SHARED: 30 rows of day 0 and 30 of day 20 in one file.
async fn days() -> (World, Shore, Arc<Table>, Arc<Table>) {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let (messages, log) = (shore.table("messages", Kind::User).await, shore.table("log", Kind::Shared).await);
    shore.insert(&messages, &user("ana"), 0..250).await;
    shore.insert(&messages, &user("ben"), 0..10).await;
    shore.insert(&log, &UserId::shared(), 0..30).await;
    flush_table(&mut world, &messages).await;
    world.advance(10 * DAY);
    shore.insert(&messages, &user("ana"), 250..280).await;
    world.advance(10 * DAY);
    shore.insert(&messages, &user("ana"), 280..300).await;
    shore.insert(&messages, &user("cleo"), 0..10).await;
    shore.insert(&log, &UserId::shared(), 30..60).await;
    flush_table(&mut world, &messages).await;
    flush_table(&mut world, &log).await;
    shore.insert(&messages, &user("ana"), 300..305).await;
    (world, shore, messages, log)
}

async fn retain(world: &mut World, parameters: &SegmentRetention) -> serde_json::Value {
    let job = run(world, KIND, Box::new(parameters.job())).await;
    assert_eq!(job.status, Status::Completed, "{:?}", job.error);
    assert_eq!(world.path(&job.job_id), ["Queued", "Snapshotting", "Writing", "Deleting", "Done"]);
    job.result.unwrap()
}

async fn assert_left(shore: &Shore, messages: &Arc<Table>, log: &Arc<Table>) {
    let rows = shore.rows(messages).await;
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["ana", "cleo"]);
    assert_eq!(rows["ana"], (280..305).collect::<Vec<_>>());
    assert_eq!(rows["cleo"], (0..10).collect::<Vec<_>>());
    assert_eq!(shore.rows(log).await[""], (30..60).collect::<Vec<_>>());
    for segment in shore.segments(messages).iter().chain(&shore.segments(log)) {
        assert_eq!(segment.rows, segment.to_seq - segment.from_seq + 1, "{segment:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_go_by_file_and_then_by_row() {
    let (mut world, shore, messages, log) = days().await;
    let before = shore.files();
    let watermark = manifest::watermark(&*shore.store().snapshot(), messages.id, &user("ana")).unwrap();

    let dry = retain(&mut world, &SegmentRetention { dry_run: true, ..keeping(5) }).await;
    assert_eq!((&dry["rows_removed"], &dry["segments_rewritten"]), (&320.into(), &2.into()), "{dry}");
    assert_eq!(shore.rows(&messages).await["ana"].len(), 305, "a dry run changes nothing");

    let reader = shore.store().readers().register();
    let snapshot = shore.store().snapshot();
    let result = retain(&mut world, &keeping(5)).await;
    assert_eq!((&result["rows_removed"], &result["segments_rewritten"]), (&320.into(), &2.into()), "{result}");
    assert_eq!(result["segments_removed"], dry["segments_removed"]);
    assert_left(&shore, &messages, &log).await;
    let counters = hot::counters(&*shore.store().snapshot(), messages.id).unwrap();
    assert_eq!(counters.rows, 5, "hot rows are not touched");
    let after = manifest::watermark(&*shore.store().snapshot(), messages.id, &user("ana")).unwrap();
    assert_eq!(after, watermark, "nor is the watermark");
    // A statement that began before still finds every file that its snapshot names.
    for segment in manifest::segments(snapshot, messages.id, None).unwrap() {
        assert!(shore.root().join(&segment.path).exists(), "{}", segment.path);
    }
    drop(reader);
    assert!(before.iter().all(|path| shore.files().contains(path)), "within the grace nothing goes");

    world.advance(Duration::from_secs(3600));
    let again = retain(&mut world, &keeping(5)).await;
    assert_eq!(again["rows_removed"], 0, "{again}");
    shore.assert_whole(&[&messages, &log]).await;
    assert_left(&shore, &messages, &log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rewriting_only_whole_files_go() {
    let (mut world, shore, messages, _) = days().await;
    let parameters = SegmentRetention {
        tables: Tables::Table("chat.messages".to_owned()),
        grace: Span(Duration::ZERO),
        rewrite: false,
        ..keeping(5)
    };
    let result = retain(&mut world, &parameters).await;
    assert_eq!((&result["rows_removed"], &result["segments_rewritten"]), (&260.into(), &0.into()), "{result}");
    assert_eq!(shore.rows(&messages).await["ana"], (250..305).collect::<Vec<_>>());
    let nothing = retain(&mut world, &SegmentRetention { rewrite: true, ..keeping(50) }).await;
    assert_eq!((&nothing["rows_removed"], &nothing["users"]), (&0.into(), &3.into()), "ben has no segment any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_of_the_same_table_goes_on_beside_it() {
    let (mut world, shore) = world(Env::held_at(START)).await;
    let table = shore.table("messages", Kind::User).await;
    let names: Vec<String> = (0..20).map(|number| format!("u{number}")).collect();
    for day in 0..8 {
        for name in &names {
            shore.insert(&table, &user(name), day * 10..day * 10 + 10).await;
        }
        // Half a day later in the same file, so that there is always something to rewrite.
        world.advance(DAY / 2);
        for name in &names {
            shore.insert(&table, &user(name), 1000 + day * 10..1000 + day * 10 + 10).await;
        }
        world.advance(DAY / 2);
        let flush = world.submit(NewJob::new(flush::KIND, Box::new(Flush::new(&table)))).await.unwrap();
        let retention = world.submit(NewJob::new(KIND, Box::new(keeping(2).job()))).await.unwrap();
        world.run_to_idle().await;
        for id in [flush, retention] {
            assert_eq!(world.job(&id).status, Status::Completed, "{:?}", world.job(&id).error);
        }
    }
    world.advance(Duration::from_secs(1));
    retain(&mut world, &keeping(2)).await;
    let rows = shore.rows(&table).await;
    for name in &names {
        let mut left = rows[name].clone();
        left.sort_unstable();
        assert_eq!(left, (60..80).skip(10).chain(1060..1080).collect::<Vec<_>>(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_commit_of_a_retention_keeps_the_same_rows() {
    type Present = (Shore, Arc<Table>, Arc<Table>);
    let present: Mutex<Option<Present>> = Mutex::default();
    let deaths = crash_everywhere(
        async || {
            let (world, shore, messages, log) = days().await;
            *present.lock().unwrap() = Some((shore, messages, log));
            world
        },
        |_| NewJob::new(KIND, Box::new(keeping(5).job())),
        async |world: &World, job: &Job| {
            let (shore, messages, log) = present.lock().unwrap().clone().unwrap();
            assert_eq!(job.result.as_ref().unwrap()["rows_removed"], 320);
            assert_left(&shore, &messages, &log).await;
            world.env.advance(3_600_000_000);
            deletions::delete_due(&shore.store(), 100).await.unwrap();
            // A file that was written before the death and never named is the sweep's; it has this job's timestamp.
            let named: Vec<String> =
                shore.segments(&messages).iter().chain(&shore.segments(&log)).map(|s| s.path.clone()).collect();
            assert!(named.iter().all(|path| shore.files().contains(path)));
            let left_over = shore.files().into_iter().filter(|path| !named.contains(path));
            assert!(left_over.clone().count() <= 1, "{:?}", left_over.collect::<Vec<_>>());
        },
    )
    .await;
    assert_eq!(deaths.path, ["Queued", "Snapshotting", "Writing", "Deleting", "Done"]);
    assert_eq!(deaths.unreached, 0);
}
