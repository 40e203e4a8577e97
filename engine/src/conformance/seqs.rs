//! Seqs and commit times, over restarts too.

use super::{Case, Fixture, NOON, ONE, TWO, unsynced};
use crate::{Commit, KeyRange, Packed, Write, appended};
use futures::executor::block_on;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

pub(super) const CASES: &[Case] = &[
    seqs_follow_the_order_of_commits,
    seqs_are_never_given_out_again,
    raised_seqs_stay_raised,
    the_commit_time_never_falls,
    the_last_seq_is_in_every_later_snapshot,
];

fn rows(count: usize) -> Packed {
    std::iter::repeat_n("row", count).collect()
}

fn seqs_follow_the_order_of_commits(at: &mut Fixture<'_>) {
    assert_eq!(at.engine.last_seq(), 0, "a new engine has given out no seq");
    let answers = at.together((1..=40).map(|count| unsynced([], [Write::append(ONE, "r", rows(count))])));
    let mut next = 1;
    for (index, answer) in answers.iter().enumerate() {
        let seqs = answer.as_ref().expect("a commit that expects nothing happens").seqs.clone();
        let last = next + index as u64;
        assert_eq!(seqs, Some(next..=last), "seqs are given out in the order of commits, without a gap");
        next = last + 1;
    }
    assert_eq!(at.engine.last_seq(), next - 1, "the last seq is published when its commit is answered");
    assert_eq!(at.scan(ONE).len() as u64, next - 1);
}

fn seqs_are_never_given_out_again(at: &mut Fixture<'_>) {
    at.write([Write::append(ONE, "r", rows(10))]);
    // Neither what is deleted nor a commit without rows may bring a seq back.
    at.write([Write::delete_range(ONE, KeyRange::all())]);
    for round in 0..3 {
        at.reopen();
        assert_eq!(at.engine.last_seq(), 10 + round, "the last seq survives a restart");
        at.write([Write::put(TWO, "a", "")]);
        let committed = at.write([Write::append(ONE, "r", rows(1))]);
        assert_eq!(committed.seqs, Some(11 + round..=11 + round), "no seq is given out twice, even over a restart");
        at.commit(Commit { writes: vec![Write::delete_range(ONE, KeyRange::all())], ..Commit::default() })
            .expect("a synced commit happens");
    }
}

fn raised_seqs_stay_raised(at: &mut Fixture<'_>) {
    at.write([Write::append(ONE, "r", rows(3))]);
    at.engine.raise_seq(100);
    at.engine.raise_seq(50);
    assert_eq!(at.write([Write::append(ONE, "r", rows(2))]).seqs, Some(101..=102), "seqs go on above the floor");
    at.engine.raise_seq(7);
    assert_eq!(at.write([Write::append(ONE, "r", rows(1))]).seqs, Some(103..=103), "raising never lowers");
    at.reopen();
    assert_eq!(at.write([Write::append(ONE, "r", rows(1))]).seqs, Some(104..=104));
    at.engine.raise_seq(u64::MAX - 1);
    assert!(at.commit(unsynced([], [Write::append(ONE, "r", rows(2))])).is_err(), "seqs do not wrap around");
    assert_eq!(at.write([Write::append(ONE, "r", rows(1))]).seqs, Some(u64::MAX..=u64::MAX));
    assert!(at.commit(unsynced([], [Write::append(ONE, "r", rows(1))])).is_err(), "there is no seq after the last");
    at.write([Write::put(ONE, "still", "writable")]);
}

fn the_commit_time_never_falls(at: &mut Fixture<'_>) {
    let hour = 3_600_000_000;
    let append = || [Write::append(ONE, "r", rows(1))];
    assert_eq!(at.write(append()).committed_at, NOON, "the commit time is the clock's");
    at.stage.set_clock(NOON + hour);
    assert_eq!(at.write(append()).committed_at, NOON + hour);
    at.stage.set_clock(NOON - hour);
    assert_eq!(at.write(append()).committed_at, NOON + hour, "when the clock falls, the commit time stands");
    at.reopen();
    assert_eq!(at.write(append()).committed_at, NOON + hour, "and it does so over a restart");
    at.stage.set_clock(NOON + hour + 1);
    assert_eq!(at.write(append()).committed_at, NOON + hour + 1);
    let times: Vec<i64> = at.scan(ONE).iter().filter_map(|(_, value)| appended(value).map(|(time, _)| time)).collect();
    assert_eq!(times.len(), 5);
    assert!(times.is_sorted(), "the commit time never decreases with the seq: {times:?}");
}

fn the_last_seq_is_in_every_later_snapshot(at: &mut Fixture<'_>) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..300 {
                let commit = unsynced([], [Write::append(ONE, "r", rows(3))]);
                block_on(at.engine.commit(commit)).expect("a commit that expects nothing happens");
            }
            done.store(true, Ordering::Release);
        });
        let mut before = 0;
        while !done.load(Ordering::Acquire) {
            let last = at.engine.last_seq();
            assert!(last >= before, "the last seq never falls");
            before = last;
            let there = at.scan(ONE).len() as u64;
            assert!(there >= last, "every row up to the last seq {last} is in a later snapshot, not only {there}");
            assert_eq!(there % 3, 0, "a commit is seen whole or not at all");
        }
    });
}
