//! A crash at every named point of a flush, by kill -9 and by power cut, and at every point of the recovery from it.
//!
//! The points are not listed here: a run without a crash prints those it reaches, and each becomes a case. So a new step
//! is in the matrix as soon as it says `env.reached("…")`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::kit::ledger::Ledger;
use crate::kit::notes::{self, Note, Writers};
use crate::kit::rows::run;
use crate::kit::{Place, Plan, Server};

/// Rows of each user before the flush; more come while it runs.
const ROWS_BEFORE: i64 = 30;

/// A case: die when this point is reached for the n-th time after the server listens.
type Case = (String, u32);

/// How often one point is made a case: its first times, and its last.
const TIMES_MAX: u32 = 2;

/// The points that a flush of a table of this kind reaches, with how often before it and in all.
async fn cases(kind: &str) -> Vec<Case> {
    let place = Place::new();
    place.settings(SETTINGS);
    let ledger = Arc::new(Ledger::new());
    let mut server = place.start_with(&Plan::default().trace()).await;
    fill(&server, kind, &ledger).await;
    let before = counts(&server);
    let admin = server.connect("admin").await;
    assert_eq!(notes::flush(&mut server, &admin).await, "completed");
    notes::check(&place, &server, &ledger, "without a crash").await;
    let mut cases = Vec::new();
    for (point, total) in counts(&server) {
        let start = before.get(&point).copied().unwrap_or(0);
        let times = total - start;
        // Counted within the flush: the process that dies makes its table and rows in an earlier life.
        let mut nths: Vec<u32> = (1..=times.min(TIMES_MAX)).chain([times]).filter(|nth| *nth > 0).collect();
        nths.dedup();
        cases.extend(nths.into_iter().map(|nth| (point.clone(), nth)));
    }
    assert!(cases.len() > 10, "a flush has more points than {cases:?}");
    cases
}

fn counts(server: &Server) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for point in server.points() {
        *counts.entry(point).or_default() += 1;
    }
    counts
}

/// The table and its first rows.
async fn fill(server: &Server, kind: &str, ledger: &Ledger<Note>) {
    notes::create_as(server, kind).await;
    for user in notes::USERS {
        let client = server.connect(user).await;
        for first in (0..ROWS_BEFORE).step_by(3) {
            assert!(notes::write(&client, user, first, ledger).await, "nothing is wrong yet");
        }
    }
}

/// How a server dies in a case.
#[derive(Clone, Copy, Debug)]
enum Death {
    Kill,
    PowerCut { seed: u64 },
}

/// Users of more than one part, of more than one row group.
const SETTINGS: &str = "[flush]\nsegment_rows_max = 12\nrow_group_rows_max = 5\n";

/// One case: a server is made to die at the point, perhaps a second one at a point of the recovery, and another one
/// recovers. Everything is checked. Tells whether the last point was reached at all; it may not be, as writers change the
/// count of commits.
async fn die_at(kind: &str, case: &Case, then: Option<&Case>, death: Death) -> bool {
    let (point, nth) = case;
    let what = format!("{kind}, {point} for the {nth}. time, then {then:?}, {death:?}");
    let place = match death {
        Death::Kill => Place::new(),
        Death::PowerCut { .. } => Place::with_power_cut(),
    };
    place.settings(SETTINGS);
    let ledger = Arc::new(Ledger::new());
    let mut server = place.start().await;
    fill(&server, kind, &ledger).await;
    server.kill().await;

    let mut server = place.spawn(&Plan::default().crash_at(point, *nth).trace());
    let mut died = !server.wait_until_it_listens().await;
    if !died {
        let writers = Writers::start(&server, &ledger, 1_000);
        if let Ok(admin) = server.try_connect("admin").await {
            // It may die before it answers.
            let _ = admin.batch_execute("FLUSH TABLE chat.notes").await;
        }
        died = server.dies_before(end_of(point)).await;
        writers.stop().await;
    }
    let mut lost = die(&place, server, death).await;
    if let Some((point, nth)) = then {
        let mut server = place.spawn(&Plan::default().crash_at(point, *nth).trace());
        died = !server.wait_until_it_listens().await || server.dies_before(end_of(point)).await;
        lost += &die(&place, server, death).await;
    }

    let mut server = place.start_with(&Plan::default().trace()).await;
    let admin = server.connect("admin").await;
    let what = format!("{what}: {lost}");
    assert_eq!(notes::flush(&mut server, &admin).await, "completed", "{what}");
    notes::check(&place, &server, &ledger, &what).await;
    // What comes after works too: seqs go on, no name is written twice.
    for user in notes::USERS {
        let client = server.connect(user).await;
        assert!(notes::write(&client, user, 9_000, &ledger).await, "{what}: writing after it");
    }
    run(&admin, "SELECT count(*) FROM chat.notes").await;
    assert_eq!(notes::flush(&mut server, &admin).await, "completed", "{what}: the flush after it");
    notes::check(&place, &server, &ledger, &format!("after the flush that follows {what}")).await;
    died
}

/// What is reached when nothing is left to reach the point. Manifests are published when a flush is over.
fn end_of(point: &str) -> &'static str {
    if point.starts_with("published.") { "published.round" } else { "job.done" }
}

async fn die(place: &Place, mut server: Server, death: Death) -> String {
    server.kill().await;
    match death {
        Death::Kill => String::new(),
        Death::PowerCut { seed } => place.cut_power(server, seed).await.to_string(),
    }
}

async fn every_case(kind: &str, cases: Vec<Case>, death: impl Fn(u64) -> Death) {
    let mut visited = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        if die_at(kind, case, None, death(number as u64)).await {
            visited.push(case.0.as_str());
        }
    }
    // A point may be missed at one count; at all of them it would be a hole in the matrix.
    let missed: Vec<_> =
        cases.iter().map(|(point, _)| point.as_str()).filter(|point| !visited.contains(point)).collect();
    assert!(missed.is_empty(), "no server died at {missed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_point_loses_and_doubles_nothing() {
    every_case("USER", cases("USER").await, |_| Death::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_point_loses_and_doubles_nothing() {
    every_case("USER", cases("USER").await, |seed| Death::PowerCut { seed }).await;
}

/// One owner of all rows, so one chain of parts. Each point once, when it is reached first; how the server dies takes turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_point_of_a_shared_table_loses_and_doubles_nothing() {
    let mut cases = cases("SHARED").await;
    cases.dedup_by(|later, first| later.0 == first.0);
    let turns = |number| if number % 2 == 0 { Death::Kill } else { Death::PowerCut { seed: number } };
    every_case("SHARED", cases, turns).await;
}

/// Where a flush dies half way, so that its recovery has something of everything to do.
fn half_way() -> Case {
    ("flush.writing.uploaded".to_owned(), 2)
}

/// The points that a recovery reaches, from the start of the server on.
async fn cases_of_recovery() -> Vec<Case> {
    let place = Place::new();
    place.settings(SETTINGS);
    let ledger = Arc::new(Ledger::new());
    let mut server = place.start().await;
    fill(&server, "USER", &ledger).await;
    server.kill().await;
    let (point, nth) = half_way();
    let mut server = place.start_with(&Plan::default().crash_at(&point, nth).trace()).await;
    let admin = server.connect("admin").await;
    let _ = admin.batch_execute("FLUSH TABLE chat.notes").await;
    assert!(server.dies_before("job.done").await, "the flush reaches {point} twice");
    server.kill().await;
    let mut server = place.start_with(&Plan::default().trace()).await;
    server.reached_more_than("job.done", 0).await;
    let counts = counts(&server);
    assert!(counts.contains_key("object.durable"), "a recovery writes the users that were left: {counts:?}");
    counts.into_iter().flat_map(|(point, times)| [1, times].map(|nth| (point.clone(), nth))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_dies_too_loses_and_doubles_nothing() {
    let mut cases = cases_of_recovery().await;
    cases.dedup();
    let mut visited = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let death = if number % 2 == 0 { Death::Kill } else { Death::PowerCut { seed: number as u64 } };
        if die_at("USER", &half_way(), Some(case), death).await {
            visited.push(case.0.as_str());
        }
    }
    let missed: Vec<_> =
        cases.iter().map(|(point, _)| point.as_str()).filter(|point| !visited.contains(point)).collect();
    assert!(missed.is_empty(), "no recovery died at {missed:?}");
}
