//! The power cut itself: it takes what was not synced and nothing else.
//!
//! Were it to take too little, every test that relies on it would pass for the wrong reason.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::kit::powercut::{Lost, PowerCut};

/// Runs a shell script in a watched folder, then cuts the power. In it, `sync PATH` is an fsync of that file or folder.
fn after(script: &str, seed: u64) -> (tempfile::TempDir, Lost) {
    let root = tempfile::tempdir().expect("a temporary folder");
    let power = PowerCut::arm(root.path());
    run(&power, root.path(), script);
    let lost = power.cut(seed);
    (root, lost)
}

fn run(power: &PowerCut, root: &Path, script: &str) {
    let done = Command::new("sh")
        .args(["-euc", script])
        .current_dir(root)
        .envs(power.environment())
        .output()
        .expect("sh runs");
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
}

fn read(root: &tempfile::TempDir, name: &str) -> String {
    fs::read_to_string(root.path().join(name)).unwrap_or_else(|error| format!("{name}: {error}"))
}

#[test]
fn what_was_synced_stays() {
    let (root, lost) = after("mkdir -p a/b; printf hello > a/b/file; sync a/b/file; sync a/b; sync a; sync .", 1);
    assert_eq!(lost, Lost::default());
    assert_eq!(read(&root, "a/b/file"), "hello");
}

#[test]
fn an_unsynced_tail_is_cut_somewhere() {
    let mut lengths = Vec::new();
    for seed in 0..32 {
        let (root, lost) = after("printf hello > file; sync file; sync .; printf ' again' >> file", seed);
        let left = read(&root, "file");
        assert!("hello again".starts_with(&left) && left.len() >= "hello".len(), "{left}");
        assert_eq!(lost.shortened.len(), 1);
        lengths.push(left.len());
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert!(lengths.len() >= 4, "32 seeds cut at {lengths:?} only");
}

#[test]
fn a_file_never_synced_loses_its_content_though_its_name_is_durable() {
    let (root, lost) = after("printf hello > file; sync .", 7);
    let left = read(&root, "file");
    assert!("hello".starts_with(&left), "{left}");
    assert_eq!(lost.shortened, [(root.path().join("file"), 5, left.len() as u64)]);
}

#[test]
fn a_name_whose_directory_was_not_synced_goes_with_all_below_it() {
    // The fsync of `.` is forgotten; so `a` itself is lost, and with it what was synced inside.
    let (root, lost) = after("mkdir a; printf hello > a/file; sync a/file; sync a", 3);
    assert_eq!(lost.removed, [root.path().join("a")]);
    // The fsync of `a` comes before the file.
    let (root, lost) = after("mkdir a; sync .; sync a; printf hello > a/file; sync a/file", 3);
    assert_eq!(lost.removed, [root.path().join("a/file")]);
    assert!(root.path().join("a").is_dir());
}

#[test]
fn a_rename_keeps_what_was_synced_and_still_needs_its_directory() {
    let write = "printf hello > temp; sync temp; mv temp file";
    let (root, lost) = after(&format!("{write}; sync ."), 5);
    assert_eq!((lost, read(&root, "file")), (Lost::default(), "hello".to_owned()));
    let (root, lost) = after(write, 5);
    assert_eq!(lost.removed, [root.path().join("file")]);
}

#[test]
fn a_link_is_durable_by_its_own_directory() {
    let (root, lost) =
        after("mkdir temp out; sync .; printf hello > temp/x; sync temp/x; ln temp/x out/x; rm temp/x; sync out", 5);
    assert_eq!((lost, read(&root, "out/x")), (Lost::default(), "hello".to_owned()));
}

#[test]
fn names_of_any_bytes_survive_the_log() {
    let (root, lost) =
        after("for n in '%25' '100% sure' 'two\nlines' 'ünï ☃'; do printf x > \"$n\"; sync \"$n\"; done; sync .", 5);
    assert_eq!(lost, Lost::default());
    assert_eq!(read(&root, "two\nlines"), "x");
}

#[test]
fn a_second_cut_starts_from_what_the_first_one_left() {
    let root = tempfile::tempdir().expect("a temporary folder");
    fs::write(root.path().join("before"), "already here").expect("a file of our own");
    let power = PowerCut::arm(root.path());
    run(&power, root.path(), "printf one > one; sync one; sync .");
    // Another process, killed and not cut in between: what the first one synced still counts.
    run(&power, root.path(), "printf two > two; printf -- ' more' >> one");
    let lost = power.cut(9);
    assert_eq!(lost.removed, [root.path().join("two")]);
    assert_eq!(read(&root, "before"), "already here");
    let left = read(&root, "one");
    assert_eq!(power.cut(10), Lost::default());
    assert_eq!(read(&root, "one"), left);
}

#[test]
fn a_seed_cuts_the_same_again() {
    let script = "printf 0123456789 > a; printf 0123456789 > b; sync .";
    let shortened = |seed| after(script, seed).1.shortened.into_iter().map(|(_, _, left)| left);
    assert!(shortened(42).eq(shortened(42)));
}
