//! What a writer is told when a request fails, and what is in the store then. Never half an object under any name, and an
//! object that was acknowledged is there as it was acknowledged.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use futures::TryStreamExt;
use proptest::prelude::*;

use super::super::*;
use crate::cold::checksum;
use crate::cold::faults::{Fault, Faults, Faulty, Memory, Operation, Rule};

const PART: usize = 100;

/// The ids of uploads that somebody has begun and nobody has ended, as a database keeps them.
#[derive(Debug, Default)]
struct Ids(Mutex<BTreeMap<String, String>>);

#[async_trait]
impl Multiparts for Ids {
    async fn opened(&self, path: &str, id: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0.lock().unwrap().insert(id.to_owned(), path.to_owned());
        Ok(())
    }

    async fn closed(&self, _path: &str, id: &str) {
        self.0.lock().unwrap().remove(id);
    }
}

/// A storage over faults over memory, and the same memory without faults.
struct World {
    memory: Arc<Memory>,
    faults: Arc<Faults>,
    ids: Arc<Ids>,
    objects: Arc<Remote>,
    beneath: Arc<Remote>,
}

impl World {
    fn new() -> Self {
        let (memory, faults, ids) =
            (Arc::new(Memory::default()), Arc::new(Faults::default()), Arc::new(Ids::default()));
        let options = |ids| Options { part_bytes: PART, parts_max: 2, multiparts: ids };
        let faulty = Arc::new(Faulty::new(memory.clone(), faults.clone()));
        let open = |store, ids| Remote::new(store, "p", "memory:", Handle::current(), options(ids)).unwrap();
        let objects = open(faulty, Some(ids.clone() as Arc<dyn Multiparts>));
        let beneath = Remote::new(memory.clone(), "p", "memory:", Handle::current(), options(None)).unwrap();
        Self { memory, faults, ids, objects, beneath }
    }

    /// What is there under this name: nothing, these bytes, or something else.
    async fn there(&self, path: &str, bytes: &[u8]) -> &'static str {
        let stored = Stored { bytes: bytes.len() as u64, crc32c: crc32c::crc32c(bytes) };
        match checksum(&*self.beneath, path).await.unwrap() {
            None => "absent",
            Some(found) if found == stored => "whole",
            Some(_) => "torn",
        }
    }

    async fn names(&self) -> Vec<String> {
        self.beneath.list("").map_ok(|object| object.path).try_collect().await.unwrap()
    }
}

/// Until everything is done that goes on in the background: dropped uploads are ended there.
async fn settled() {
    while Handle::current().metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

fn pattern(len: usize, seed: usize) -> Bytes {
    (0..len).map(|n| (n.wrapping_mul(31).wrapping_add(seed) % 251) as u8).collect()
}

/// Writes an object in one of the ways that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    AtOnce,
    InPieces,
    /// All of it, and then it is given up.
    GivenUp,
}

async fn write(objects: &dyn Objects, path: &str, bytes: &Bytes, how: How) -> Result<Option<Stored>, Error> {
    if how == How::AtOnce {
        return objects.put_small(path, bytes.clone()).await.map(Some);
    }
    let mut upload = objects.begin(path).await?;
    for piece in bytes.chunks(70) {
        upload.write(bytes.slice_ref(piece)).await?;
    }
    match how {
        How::GivenUp => upload.abort().await.map(|()| None),
        _ => upload.finish().await.map(Some),
    }
}

fn answer(result: &Result<Option<Stored>, Error>) -> &'static str {
    match result {
        Ok(Some(_)) => "written",
        Ok(None) => "given up",
        Err(Error::AlreadyExists { .. }) => "taken",
        Err(_) => "failed",
    }
}

/// Of each operation and each fault: what the writer is told, what is there then, what is there when all that is late has
/// come, and how many multipart uploads are left open, of which how many can be ended because their ids are known.
async fn table(how: How, len: usize, operations: &[Operation]) -> String {
    let mut lines = String::new();
    for &operation in operations {
        for fault in Fault::ALL.into_iter().filter(|fault| fault.fits(operation)) {
            let world = World::new();
            world.faults.add(Rule::new(operation, fault));
            let bytes = pattern(len, 1);
            let told = write(&*world.objects, "a/b", &bytes, how).await;
            settled().await;
            let there = world.there("a/b", &bytes).await;
            world.faults.arrive().await;
            let later = world.there("a/b", &bytes).await;
            let (open, known) = (world.memory.open_uploads(), world.ids.0.lock().unwrap().len());
            let name = format!("{operation:?} {fault:?}").replace("Slow(1ms)", "Slow");
            lines += &format!("{name:24} {:8} {there:6} {later:6} {open} {known}\n", answer(&told));
        }
    }
    lines
}

#[tokio::test]
async fn an_object_in_one_piece_is_whole_or_absent() {
    let expected = "\
Put Before               failed   absent absent 0 0
Put After                failed   whole  whole  0 0
Put Timeout              failed   absent absent 0 0
Put Late                 failed   absent whole  0 0
Put Conflict             taken    absent absent 0 0
Put Precondition         taken    absent absent 0 0
Put Busy                 failed   absent absent 0 0
Put Slow                 written  whole  whole  0 0
";
    assert_eq!(table(How::AtOnce, 80, &[Operation::Put]).await, expected);
    assert_eq!(table(How::InPieces, 80, &[Operation::Put]).await, expected);
}

#[tokio::test]
async fn an_object_in_parts_is_whole_or_absent() {
    use Operation::{Complete, CreateMultipart, Head, PutPart};
    let expected = "\
Head Before              failed   absent absent 0 0
Head Timeout             failed   absent absent 0 0
Head Busy                failed   absent absent 0 0
Head Slow                written  whole  whole  0 0
CreateMultipart Before   failed   absent absent 0 0
CreateMultipart After    failed   absent absent 1 0
CreateMultipart Timeout  failed   absent absent 0 0
CreateMultipart Late     failed   absent absent 1 0
CreateMultipart Conflict failed   absent absent 0 0
CreateMultipart Busy     failed   absent absent 0 0
CreateMultipart Slow     written  whole  whole  0 0
PutPart Before           failed   absent absent 0 0
PutPart After            failed   absent absent 0 0
PutPart Timeout          failed   absent absent 0 0
PutPart Late             failed   absent absent 0 0
PutPart Conflict         failed   absent absent 0 0
PutPart Busy             failed   absent absent 0 0
PutPart Slow             written  whole  whole  0 0
Complete Before          failed   absent absent 0 0
Complete After           failed   whole  whole  0 0
Complete Timeout         failed   absent absent 0 0
Complete Late            failed   absent absent 0 0
Complete Conflict        failed   absent absent 0 0
Complete Precondition    failed   absent absent 0 0
Complete Busy            failed   absent absent 0 0
Complete Slow            written  whole  whole  0 0
";
    assert_eq!(table(How::InPieces, 350, &[Head, CreateMultipart, PutPart, Complete]).await, expected);
}

#[tokio::test]
async fn an_object_that_is_given_up_is_absent_and_what_is_left_of_it_is_known() {
    let expected = "\
Abort Before             failed   absent absent 1 1
Abort After              failed   absent absent 0 0
Abort Timeout            failed   absent absent 1 1
Abort Late               failed   absent absent 0 1
Abort Conflict           failed   absent absent 1 1
Abort Busy               failed   absent absent 1 1
Abort Slow               given up absent absent 0 0
";
    assert_eq!(table(How::GivenUp, 350, &[Operation::Abort]).await, expected);
}

#[tokio::test]
async fn an_upload_in_doubt_that_is_done_after_all_takes_no_other_name() {
    let world = World::new();
    let bytes = pattern(350, 1);
    for (operation, name, how) in
        [(Operation::Put, "small", How::AtOnce), (Operation::Complete, "large", How::InPieces)]
    {
        world.faults.add(Rule::new(operation, Fault::After).at(format!("{name}.parquet")));
        let first = write(&*world.objects, &format!("{name}.parquet"), &bytes, how).await;
        assert_eq!(answer(&first), "failed");
        let second = write(&*world.objects, &format!("{name}-r1.parquet"), &bytes, how).await;
        assert_eq!(answer(&second), "written");
        // And whoever asks for the name in doubt is told that it is taken.
        let again = write(&*world.objects, &format!("{name}.parquet"), &pattern(350, 2), how).await;
        assert_eq!(answer(&again), "taken");
        assert_eq!(world.there(&format!("{name}.parquet"), &bytes).await, "whole");
    }
}

#[tokio::test]
async fn a_delete_is_done_or_fails_or_is_lost() {
    for (fault, told, there, later) in [
        (Fault::Before, "failed", "whole", "whole"),
        (Fault::After, "failed", "absent", "absent"),
        (Fault::Timeout, "failed", "whole", "whole"),
        (Fault::Late, "failed", "whole", "absent"),
        (Fault::Busy, "failed", "whole", "whole"),
        (Fault::Slow(std::time::Duration::from_millis(1)), "deleted", "absent", "absent"),
        (Fault::Lost, "deleted", "whole", "whole"),
    ] {
        let world = World::new();
        let bytes = pattern(10, 1);
        world.beneath.put_small("a", bytes.clone()).await.unwrap();
        world.faults.add(Rule::new(Operation::Delete, fault));
        let deleted = world.objects.delete("a").await;
        assert_eq!(if deleted.is_ok() { "deleted" } else { "failed" }, told, "{fault:?}");
        assert_eq!(world.there("a", &bytes).await, there, "{fault:?}");
        world.faults.arrive().await;
        assert_eq!(world.there("a", &bytes).await, later, "{fault:?}");
    }
}

#[tokio::test]
async fn a_read_that_ends_early_is_an_error_and_never_fewer_bytes() {
    let world = World::new();
    let bytes = pattern(1000, 1);
    world.beneath.put_small("a", bytes.clone()).await.unwrap();
    for left in [0, 1, 999] {
        world.faults.calm();
        world.faults.add(Rule::new(Operation::Get, Fault::Truncated(left)));
        let reader = world.objects.object_store();
        let at = Path::parse("a").unwrap();
        let refusals = [
            checksum(&*world.objects, "a").await.map(drop).unwrap_err().to_string(),
            crate::cold::read(&*world.objects, "a").await.map(drop).unwrap_err().to_string(),
            reader.get_range(&at, 0..1000).await.map(drop).unwrap_err().to_string(),
            // Ranges that are far from one another in an answer that holds only the first.
            reader.get_ranges(&at, &[0..1, 999..1000]).await.map(drop).unwrap_err().to_string(),
        ];
        for refusal in refusals {
            assert!(refusal.contains(&format!("ended after {left} of 1000 bytes")), "{refusal}");
        }
    }
    world.faults.calm();
    assert_eq!(checksum(&*world.objects, "a").await.unwrap().unwrap().bytes, 1000);
    assert_eq!(world.objects.object_store().head(&Path::parse("a").unwrap()).await.unwrap().size, 1000);
}

#[tokio::test]
async fn a_range_that_an_object_does_not_have_is_an_error_and_never_fewer_bytes() {
    let world = World::new();
    world.beneath.put_small("a", pattern(50, 1)).await.unwrap();
    let (reader, at) = (world.objects.object_store(), Path::parse("a").unwrap());
    let error = reader.get_range(&at, 40..60).await.unwrap_err().to_string();
    assert!(error.contains("bytes 40 to 60") && error.contains("50"), "{error}");
    assert!(reader.get_ranges(&at, &[0..10, 60..70]).await.is_err());
    assert_eq!(reader.get_range(&at, 40..50).await.unwrap().len(), 10);
}

#[derive(Debug, Clone)]
struct Step {
    len: usize,
    how: How,
    /// What is late comes before this one.
    arrive: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let how = prop_oneof![3 => Just(How::AtOnce), 5 => Just(How::InPieces), 1 => Just(How::GivenUp)];
    let step = (0..600usize, how, any::<bool>()).prop_map(|(len, how, arrive)| Step { len, how, arrive });
    prop::collection::vec(step, 1..8)
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let all: Vec<(Operation, Fault)> = Operation::ALL
        .into_iter()
        .flat_map(|operation| Fault::ALL.map(|fault| (operation, fault)))
        .filter(|(operation, fault)| fault.fits(*operation) && operation.writes() | (*operation == Operation::Head))
        .collect();
    let rule = (prop::sample::select(all), 1..6u64, 0..3u64)
        .prop_map(|((operation, fault), from, more)| Rule::new(operation, fault).times(from..=from + more));
    prop::collection::vec(rule, 0..8)
}

/// Tries of one object before a writer gives up, as a flush does.
const TRIES: usize = 3;

async fn whatever_fails(rules: Vec<Rule>, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let world = World::new();
    rules.into_iter().for_each(|rule| world.faults.add(rule));
    // Each name that was tried: its bytes, and whether it was acknowledged.
    let mut tried: BTreeMap<String, (Bytes, bool)> = BTreeMap::new();
    for (number, step) in steps.into_iter().enumerate() {
        if step.arrive {
            world.faults.arrive().await;
        }
        for again in 0..TRIES {
            let path = format!("u/{number}-r{again}");
            let bytes = pattern(step.len, number * TRIES + again);
            let told = write(&*world.objects, &path, &bytes, step.how).await;
            if let Ok(Some(stored)) = &told {
                prop_assert_eq!(*stored, Stored { bytes: step.len as u64, crc32c: crc32c::crc32c(&bytes) });
            }
            tried.insert(path, (bytes, matches!(told, Ok(Some(_)))));
            if told.is_ok() {
                break;
            }
        }
    }
    for late in [false, true] {
        if late {
            world.faults.arrive().await;
        }
        settled().await;
        for (path, (bytes, acknowledged)) in &tried {
            let there = world.there(path, bytes).await;
            prop_assert!(there == "whole" || (there == "absent" && !acknowledged), "{} is {}", path, there);
        }
        let names = world.names().await;
        prop_assert!(names.iter().all(|name| tried.contains_key(name)), "{:?}", names);
    }
    // What is left open can be ended, but for uploads whose ids were lost on the way.
    world.faults.calm();
    let known = world.ids.0.lock().unwrap().clone();
    for (id, path) in known {
        world.objects.abort_multipart(&path, &id).await.unwrap();
    }
    let lost = world.faults.struck().into_iter().filter(|struck| {
        struck.operation == Operation::CreateMultipart && matches!(struck.fault, Fault::After | Fault::Late)
    });
    prop_assert_eq!((world.memory.open_uploads(), world.memory.open_parts()), (lost.count(), 0));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_acknowledged_is_there_and_nothing_is_ever_half_there(rules in rules(), steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(whatever_fails(rules, steps))?;
    }
}
