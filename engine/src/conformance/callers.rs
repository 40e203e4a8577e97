//! Many callers at once, callers that go away, closing.

use super::{Case, Fixture, NOON, ONE, TWO, mismatch, unsynced};
use crate::{Commit, CommitError, Expect, Health, Sync, Write, counter};
use futures::executor::block_on;
use futures::future::join_all;
use std::collections::BTreeSet;
use std::thread;

pub(super) const CASES: &[Case] = &[
    every_caller_gets_his_own_answer,
    contenders_lose_no_update,
    a_caller_who_leaves_has_committed,
    a_full_queue_makes_callers_wait,
    closing_finishes_what_waits,
];

const CALLERS: u64 = 16;

fn every_caller_gets_his_own_answer(at: &mut Fixture<'_>) {
    let rounds = 40;
    let engine = &at.engine;
    let seqs: Vec<u64> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                scope.spawn(move || {
                    let mut seqs = Vec::new();
                    for round in 0..rounds {
                        let key = [caller.to_be_bytes(), u64::to_be_bytes(round)].concat();
                        let sync = if round % 4 == 0 { Sync::Synced } else { Sync::Unsynced };
                        let right = Commit {
                            expect: vec![Expect::absent(ONE, key.as_slice())],
                            writes: vec![
                                Write::put(ONE, key.as_slice(), ""),
                                Write::append(TWO, "r", [key.as_slice()].iter().collect()),
                            ],
                            sync,
                        };
                        // One in between that cannot happen, which must not disturb the others of its group.
                        let wrong = unsynced([Expect::present(ONE, "never")], [Write::put(ONE, "wrong", "")]);
                        let (right, wrong) = (engine.commit(right), engine.commit(wrong));
                        let committed = block_on(right).expect("a commit whose expectations hold happens");
                        assert_eq!(mismatch(&block_on(wrong)), Some(0), "and one whose do not does not");
                        let seq = committed.seqs.map(|seqs| *seqs.start()).expect("a row has a seq");
                        let row = engine.snapshot().get(TWO, &[b"r", &seq.to_be_bytes()[..]].concat());
                        let stored = [NOON.to_le_bytes().as_slice(), &key].concat();
                        assert_eq!(
                            row.expect("a key can be read"),
                            Some(stored),
                            "the seq is that of the caller's own row"
                        );
                        seqs.push(seq);
                    }
                    assert!(seqs.is_sorted(), "the seqs of one caller follow his order");
                    seqs
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("a caller ends well")).collect()
    });
    let distinct: BTreeSet<u64> = seqs.iter().copied().collect();
    assert_eq!(distinct, (1..=CALLERS * rounds).collect(), "no seq twice, none left out");
    assert_eq!(at.get(ONE, "wrong"), None);
}

fn contenders_lose_no_update(at: &mut Fixture<'_>) {
    let rounds = 30;
    at.write([Write::put(ONE, "n", 0i64.to_le_bytes())]);
    let engine = &at.engine;
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(move || {
                for _ in 0..rounds {
                    loop {
                        let read = engine.snapshot().get(ONE, b"n").expect("a key can be read").unwrap_or_default();
                        let next = (counter(&read) + 1).to_le_bytes();
                        let commit = unsynced([Expect::equals(ONE, "n", read)], [Write::put(ONE, "n", next)]);
                        match block_on(engine.commit(commit)) {
                            Ok(_) => break,
                            Err(CommitError::Mismatch { .. }) => {}
                            Err(other) => panic!("only a mismatch is to be expected here, not {other}"),
                        }
                    }
                }
            });
        }
    });
    let value = counter(&at.get(ONE, "n").unwrap_or_default());
    assert_eq!(value, (CALLERS * rounds) as i64, "compare-and-set loses no update");
}

fn a_caller_who_leaves_has_committed(at: &mut Fixture<'_>) {
    drop(at.engine.commit(unsynced([], [Write::put(ONE, "left", "1")])));
    // Commits happen in the order of their calls: once this one is answered, so is the one before.
    at.write([Write::put(ONE, "stayed", "1")]);
    assert_eq!(at.get(ONE, "left"), Some(b"1".to_vec()), "a queued commit happens although nobody waits for it");
}

fn a_full_queue_makes_callers_wait(at: &mut Fixture<'_>) {
    let held = at.stage.hold();
    let calls: Vec<_> =
        (0..20_000u32).map(|n| at.engine.commit(unsynced([], [Write::put(ONE, n.to_be_bytes(), "")]))).collect();
    drop(held);
    let answers = block_on(join_all(calls));
    assert!(answers.iter().all(Result::is_ok), "callers for whom there is no room wait, and then commit");
    assert_eq!(at.scan(ONE).len(), 20_000);
}

fn closing_finishes_what_waits(at: &mut Fixture<'_>) {
    let calls: Vec<_> =
        (0..100u32).map(|n| at.engine.commit(unsynced([], [Write::put(ONE, n.to_be_bytes(), "")]))).collect();
    at.engine.close();
    at.engine.close();
    let answers = block_on(join_all(calls));
    // Those that were still waiting for room in the queue are turned away, and told so.
    let happened = |n: usize| match &answers[n] {
        Ok(_) => true,
        Err(CommitError::Closed) => false,
        Err(other) => panic!("closing breaks no commit: {other}"),
    };
    assert!(happened(0), "what was queued before closing happens");
    let late = at.commit(unsynced([], [Write::put(ONE, "late", "")]));
    assert!(matches!(late, Err(CommitError::Closed)), "a commit after closing is told so, not {late:?}");
    assert_eq!(at.engine.health(), Health::ReadWrite, "to be closed is not to be broken");
    at.reopen();
    for n in 0..100u32 {
        let there = at.get(ONE, n.to_be_bytes()).is_some();
        assert_eq!(
            there,
            happened(n as usize),
            "what was answered before closing is what is there after opening again"
        );
    }
}
