//! Who may depend on whom: `config, engine ◄ runtime, store ◄ workflows ◄ sql ◄ server ◄ tests`.
//!
//! Read from `cargo metadata`, so from what is declared and not from what a page says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, iter};

use serde_json::Value;

/// Each part with the parts that it may use, and why not the others.
const PARTS: [(&str, &[&str], &str); 8] = [
    ("config", &[], "config is pure data that anybody can read; it knows no other part"),
    ("engine", &[], "engine knows bytes alone, so that another engine can take its place"),
    ("runtime", &["config", "engine"], "runtime gives any program durable state machines; it must not know tables"),
    (
        "store",
        &["config", "engine"],
        "store knows rows and segments, no job and no SQL, so that every workflow can use it",
    ),
    (
        "workflows",
        &["config", "engine", "runtime", "store"],
        "workflows join runtime and store; who asks for the work is not their business",
    ),
    (
        "sql",
        &["config", "engine", "runtime", "store", "workflows"],
        "sql answers statements for any server; it must not know wire protocols",
    ),
    (
        "server",
        &["config", "engine", "runtime", "store", "workflows", "sql"],
        "server is the outermost part; only tests stand behind it",
    ),
    ("tests", &["config", "engine", "runtime", "store", "workflows", "sql", "server"], "tests may use every part"),
];

/// Heavy libraries with the parts that may name them, and why only these.
const HOMES: [(&str, &[&str], &str); 6] = [
    (
        "rocksdb",
        &["engine"],
        "RocksDB lives in engine alone: all others see spaces, snapshots and commits, so a second engine fits",
    ),
    (
        "parquet",
        &["store"],
        "Parquet is written in store alone (sql reads it through DataFusion): one place decides what a segment looks like",
    ),
    (
        "object_store",
        &["store"],
        "object_store lives in store alone: its names are not durable by themselves, and store is where they are made so",
    ),
    (
        "datafusion",
        &["sql", "server"],
        "DataFusion lives in sql (server only encodes its streams for clients): one place knows plans and SQL",
    ),
    ("pgwire", &["server"], "wire protocols live in server alone: sql answers sessions, whoever carries them"),
    ("arrow-pg", &["server"], "wire protocols live in server alone: sql answers sessions, whoever carries them"),
];

/// What writes Parquet, by the names that DataFusion re-exports too, so that the dependency alone would not show it.
const PARQUET_WRITERS: [&str; 4] =
    ["ArrowWriter", "AsyncArrowWriter", "SerializedFileWriter", "ArrowRowGroupWriterFactory"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace is here")
}

/// (part, dependency, kind) for every dependency that a part declares; kind is `null`, `dev` or `build`.
fn declared() -> Vec<(String, String, Option<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut all = Vec::new();
    for package in metadata["packages"].as_array().expect("there are packages") {
        let package_name = text(&package["name"]).expect("a package has a name");
        let part =
            part(&package_name).unwrap_or_else(|| panic!("{package_name}: packages here are called ebbtide-<folder>"));
        for dependency in package["dependencies"].as_array().expect("a list") {
            let name = text(&dependency["name"]).expect("a dependency has a name");
            all.push((part.to_owned(), name, text(&dependency["kind"])));
        }
    }
    all
}

fn part(package: &str) -> Option<&str> {
    package.strip_prefix("ebbtide-")
}

#[test]
fn arrows_never_point_back() {
    let mut wrong = Vec::new();
    for (from, dependency, _) in declared() {
        let Some(to) = part(&dependency) else { continue };
        let (_, allowed, why) = PARTS
            .iter()
            .find(|(name, ..)| *name == from)
            .unwrap_or_else(|| panic!("{from} is a new part: say in PARTS whom it may use, and why"));
        if !allowed.contains(&to) {
            wrong.push(format!("{from} depends on {to}, but {why}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_part_is_a_folder_of_its_own() {
    let parts: BTreeSet<_> = PARTS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let found: BTreeSet<_> = declared().into_iter().map(|(part, ..)| part).collect();
    assert_eq!(found, parts, "PARTS names the parts that there are");
    for part in parts {
        assert!(root().join(&part).join("Cargo.toml").is_file(), "{part}/ is where ebbtide-{part} is");
    }
}

#[test]
fn a_heavy_library_lives_in_one_place() {
    let mut wrong = Vec::new();
    for (part, dependency, _) in declared() {
        let home =
            HOMES.iter().find(|(library, ..)| dependency == *library || dependency.starts_with(&format!("{library}-")));
        if let Some((_, homes, why)) = home
            && !homes.contains(&part.as_str())
        {
            wrong.push(format!("{part} depends on {dependency}, but {why}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn only_the_store_writes_parquet() {
    let mut wrong = Vec::new();
    for (part, ..) in PARTS.iter().filter(|(part, ..)| !["store", "tests"].contains(part)) {
        for file in rust_files(&root().join(part)) {
            let content = fs::read_to_string(&file).expect("source is UTF-8");
            for writer in PARQUET_WRITERS.iter().filter(|writer| content.contains(**writer)) {
                wrong.push(format!(
                    "{} names {writer}, but Parquet is written in store alone: one place decides what a segment looks like",
                    file.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = iter::once(folder.to_owned()).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
