//! What must not be written anywhere in the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders and files that are not ours to read.
const SKIPPED: [&str; 4] = [".git", "target", "data", ".idea"];

/// What Rust code must not contain. In pieces, so that this file does not contain it either.
const UNFINISHED: [&str; 4] =
    [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("TO", "DO:")];

const SLEEPS: [&str; 4] = [
    concat!("thread::", "sleep("),
    concat!("time::", "sleep("),
    concat!("time", ".sleep("),
    concat!("use tokio::time::", "sleep;"),
];

/// An arm of `select!` that ends waiting for something else.
const DEADLINE: &str = concat!("() = tokio::time::", "sleep(");

/// Where pausing is what is wanted, and why.
const PAUSES: [(&str, &str); 10] = [
    ("engine/src/rocks/purge.rs", "RocksDB's threads tell nobody when they have unlinked a file"),
    ("runtime/benches", "a benchmark looks on for a while, at a steady pace"),
    ("runtime/tests/promises/stopped.rs", "a stopped process has to miss its beats, by a clock that nobody holds"),
    ("server/src/bench", "a benchmark watches what cannot signal: PostgreSQL coming up, memory settling"),
    ("server/src/cli/flush.rs", "a job in another process can only be asked after"),
    ("server/src/observe/http.rs", "after the operating system could not give a connection, it is left alone"),
    ("server/src/wire/mod.rs", "after the operating system could not give a connection, it is left alone"),
    ("store/src/cold/faults/store.rs", "a slow store is one of its faults"),
    ("tests/tests/kit/proxy.rs", "a slow network is one of its faults"),
    ("workflows/src/flush/trigger.rs", "rows that arrive close together are counted once"),
];

/// Folders that only one machine has. A path below one of them says where somebody worked.
const MACHINE_FOLDERS: [&str; 5] = ["root", "home", "Users", "work", "tmp"];

/// Every text file of the repository with its content.
fn files() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("it can be listed").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // In a second work tree of one clone `.git` is a file.
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(content) = fs::read_to_string(&path) {
                let path = path.strip_prefix(&root).expect("below the root").to_owned();
                found.push((path, content));
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "the repository is here and was read");
    found
}

/// `path:line: text` for every line of the chosen files that `wrong` finds something in.
fn offenders(chosen: impl Fn(&Path) -> bool, wrong: impl Fn(&str) -> bool) -> Vec<String> {
    files()
        .iter()
        .filter(|(path, _)| chosen(path))
        .flat_map(|(path, content)| content.lines().enumerate().map(move |line| (path, line)))
        .filter(|(_, (_, line))| wrong(line))
        .map(|(path, (number, line))| format!("{}:{}: {}", path.display(), number + 1, line.trim()))
        .collect()
}

fn is_code(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs" || extension == "py")
}

fn none(offenders: &[String], rule: &str) {
    assert!(offenders.is_empty(), "\n{rule}\n{}\n", offenders.join("\n"));
}

#[test]
fn nothing_is_left_open() {
    none(
        &offenders(is_code, |line| UNFINISHED.iter().any(|mark| line.contains(mark))),
        "What is not done is refused with an error that says so, and is an issue; the code holds no mark for it.",
    );
}

#[test]
fn nothing_waits_by_the_clock() {
    none(
        &offenders(
            |path| is_code(path) && !PAUSES.iter().any(|(pause, _)| path.starts_with(pause)),
            |line| SLEEPS.iter().any(|sleep| line.contains(sleep)) && !line.trim_start().starts_with(DEADLINE),
        ),
        "A sleep is either too short or too long: wait for a signal. A deadline is an arm of its own in select!, a \
         timeout or an interval. Where the pause itself is the behaviour, PAUSES says so.",
    );
}

#[test]
fn pauses_are_where_they_are_said_to_be() {
    let files = files();
    for (pause, why) in PAUSES {
        let sleeps = files
            .iter()
            .any(|(path, content)| path.starts_with(pause) && SLEEPS.iter().any(|sleep| content.contains(sleep)));
        assert!(sleeps, "{pause} has no pause any more ({why}): take it out of PAUSES");
    }
}

#[test]
fn no_machine_is_named() {
    none(
        &offenders(|path| path != Path::new("Cargo.lock"), names_a_machine),
        "A path of somebody's machine means nothing to anybody else: use a path relative to the repository, or a \
         temporary folder.",
    );
}

/// Whether a line has an absolute path into a folder that only one machine has.
fn names_a_machine(line: &str) -> bool {
    MACHINE_FOLDERS.iter().any(|folder| {
        let path = format!("/{folder}/");
        line.match_indices(&path).any(|(at, _)| {
            // `src/work/x` and `$HOME/work/x` are relative; only a slash after a boundary begins a path.
            let before = line[..at].chars().next_back();
            let after = line[at + path.len()..].chars().next();
            let begins = before.is_none_or(|c| !(c.is_alphanumeric() || "._-}~/".contains(c)));
            begins && after.is_some_and(|c| c.is_alphanumeric() || c == '.')
        })
    })
}

#[test]
fn a_path_of_a_machine_is_told_from_others() {
    let slash = "/";
    for (line, wrong) in [
        (format!("see {slash}home/ana/notes"), true),
        (format!("\"{slash}root/.cache\""), true),
        (format!("{slash}work/main"), true),
        ("src/work/queue.rs".to_owned(), false),
        ("$HOME/work/x".to_owned(), false),
        ("${HOME}/work/x".to_owned(), false),
        ("/var/lib/ebbtide".to_owned(), false),
        ("the root / home folders".to_owned(), false),
    ] {
        assert_eq!(names_a_machine(&line), wrong, "{line}");
    }
}
