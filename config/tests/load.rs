//! What a person who writes settings sees: values that count, and errors that teach.

use std::io::Write;
use std::time::Duration;

use ebbtide_config::{Error, Settings};

/// The settings of a file with this content and these variables, or the errors, with the file called `F`.
fn load(content: &str, env: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(content.as_bytes()).expect("a file of our own");
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::load(Some(file.path()), env).map_err(|error| {
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        let path = file.path().display().to_string();
        error.to_string().lines().map(|line| line.replace(&path, "F")).collect()
    })
}

#[test]
fn the_rendered_file_parses_to_the_defaults() {
    let rendered = Settings::documented_default();
    assert_eq!(load(&rendered, &[]), Ok(Settings::default()), "{rendered}");
    assert_eq!(Settings::load(None, std::iter::empty()).unwrap(), Settings::default());
}

#[test]
fn the_examples_of_unset_settings_are_accepted() {
    let rendered = Settings::documented_default();
    let mut unset = 0;
    let with_examples: String = rendered
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.starts_with("default_") && setting.contains(" = ") => {
                unset += 1;
                format!("{setting}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    assert_eq!(unset, 3);
    let settings = load(&with_examples, &[]).unwrap();
    assert_eq!(settings.flush.default_interval, Some(Duration::from_secs(60)));
    assert_eq!(settings.flush.default_row_threshold, Some(10_000));
    assert_eq!(settings.storage.default_storage_path.unwrap(), std::path::Path::new("./data/storage"));
}

#[test]
fn the_copy_in_the_documentation_is_the_rendered_file() {
    let copy = include_str!("../../docs/ebbtide.toml");
    assert!(
        copy == Settings::documented_default(),
        "docs/ebbtide.toml is out of date; render it with: cargo run -p ebbtide-config --example settings > docs/ebbtide.toml"
    );
}

#[test]
fn values_count_and_the_environment_wins() {
    let file = r#"
        shutdown.timeout = "10s"
        [server]
        listen = "localhost:0"
        [flush]
        memory_bytes_max = "1 GiB"
        encoders = 3
        [storage]
        data_dir = "/var/lib/ebbtide"
    "#;
    let settings = load(
        file,
        &[
            ("EBBTIDE_FLUSH__ENCODERS", "5"),
            ("EBBTIDE_FLUSH__DEFAULT_INTERVAL", "90s"),
            ("EBBTIDE_SHUTDOWN__FINAL_FLUSH", "true"),
            ("EBBTIDE_LOG", "debug"),
            ("HOME", "elsewhere"),
        ],
    )
    .unwrap();
    assert_eq!(settings.shutdown.timeout, Duration::from_secs(10));
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:0");
    assert_eq!(settings.flush.memory_bytes_max, 1 << 30);
    assert_eq!(settings.flush.encoders, 5);
    assert_eq!(settings.flush.default_interval, Some(Duration::from_secs(90)));
    assert!(settings.shutdown.final_flush);
    assert_eq!(settings.storage.local_path(), std::path::Path::new("/var/lib/ebbtide/storage"));
}

#[test]
fn a_wrong_file_is_told_where_and_what_would_be_right() {
    let cases = [
        (
            "[flush]\n  memory_byte_max = 1",
            "F:2:3: unknown key \"memory_byte_max\" in [flush], did you mean \"memory_bytes_max\"?",
        ),
        ("[flush]\nlease = \"1s\"", "F:2:1: unknown key \"lease\" in [flush]; it belongs to [jobs]"),
        (
            "[shutdown]\ncolour = 1",
            "F:2:1: unknown key \"colour\" in [shutdown]; known are timeout, drain, final_flush",
        ),
        ("[flsh]", "F:1:2: unknown section \"flsh\", did you mean [flush]?"),
        (
            "[tide_tables]",
            "F:1:2: unknown section \"tide_tables\"; known are [server], [storage], [secrets], [engine], [flush], [jobs], [query], [transaction], [copy], [metrics], [tracing], [shutdown]",
        ),
        ("encoders = 1", "F:1:1: \"encoders\" stands outside of its section: write it under [flush]"),
        ("server = 3", "F:1:1: server is a section: write [server]"),
        (
            "[engine]\nblock_cache_bytes_max = \"1 KiB\"",
            "F:2:25: [engine] block_cache_bytes_max: \"1 KiB\" is below the least, \"1 MiB\"",
        ),
        ("[flush]\nencoders = 9999", "F:2:12: [flush] encoders: 9999 is above the greatest, 1024"),
        (
            "[flush]\nencoders = -1",
            "F:2:12: [flush] encoders: the number -1 is not a whole number from 0 up, such as 512",
        ),
        (
            "[flush]\nencoders = \"two\"",
            "F:2:12: [flush] encoders: \"two\" is not a whole number from 0 up, such as 512",
        ),
        (
            "[flush]\nencoders = 99999999999999999999",
            "F:2:12: [flush] encoders: a value of type integer beyond 64 bits is not a whole number from 0 up, such as 512",
        ),
        (
            "[jobs]\nattempts_max = 5000000000",
            "F:2:16: [jobs] attempts_max: 5000000000 is greater than this setting can hold",
        ),
        ("[jobs]\nlease = 30", "F:2:9: [jobs] lease: 30 has no unit: write a duration as \"30s\" or \"30ms\""),
        ("[jobs]\nlease = \"1ms\"", "F:2:9: [jobs] lease: \"1ms\" is below the least, \"1s\""),
        ("[flush]\ndefault_interval = \"1ms\"", "F:2:20: [flush] default_interval: \"1ms\" is below the least, \"1s\""),
        (
            "[query]\nmemory_bytes_max = \"64M\"",
            "F:2:20: [query] memory_bytes_max: \"64M\" is not a size: write a whole number with a unit, such as \"64 MiB\" (B, KiB, MiB, GiB, TiB, KB, MB, GB, TB)",
        ),
        (
            "[server]\nlisten = \"everywhere\"",
            "F:2:10: [server] listen: \"everywhere\" is not an address with a port, such as \"127.0.0.1:5442\" or \"[::1]:5442\"",
        ),
        (
            "[storage]\ndata_dir = \"\"",
            "F:2:12: [storage] data_dir: \"\" is not the path of a folder, such as \"./data\"",
        ),
        ("[shutdown]\nfinal_flush = 1", "F:2:15: [shutdown] final_flush: the number 1 is neither true nor false"),
        ("[jobs]\nbackoff_min = \"2h\"\nbackoff_max = \"1h\"", "F:2:15: [jobs] backoff_min is longer than backoff_max"),
        ("[flush]\nsegment_rows_max = 10", "default: [flush] row_group_rows_max is more than segment_rows_max"),
    ];
    for (content, expected) in cases {
        let errors = load(content, &[]).expect_err(content);
        assert_eq!(errors, [expected], "{content}");
    }
}

#[test]
fn what_is_not_toml_is_told_with_its_place() {
    for (content, place) in [("[flush\nencoders = 1", "F:1:7: "), ("[flush]\nencoders = ", "F:2:12: ")] {
        let errors = load(content, &[]).expect_err(content);
        assert!(errors[0].starts_with(place), "{errors:?}");
    }
    let twice = load("[flush]\nencoders = 1\nencoders = 2", &[]).unwrap_err();
    assert!(twice[0].starts_with("F:3:1: duplicate key"), "{twice:?}");
}

#[test]
fn a_wrong_variable_is_told_by_its_name() {
    let cases = [
        (
            ("EBBTIDE_FLUSH__ENCODRES", "1"),
            "environment variable EBBTIDE_FLUSH__ENCODRES: unknown key \"encodres\" in [flush], did you mean \"encoders\"?",
        ),
        (
            ("EBBTIDE_FLUSCH__ENCODERS", "1"),
            "environment variable EBBTIDE_FLUSCH__ENCODERS: unknown section \"flusch\", did you mean EBBTIDE_FLUSH__ENCODERS?",
        ),
        (
            ("EBBTIDE_FLUSH_ENCODERS", "1"),
            "environment variable EBBTIDE_FLUSH_ENCODERS: a setting of [flush] has two underscores after its section: EBBTIDE_FLUSH__ENCODERS",
        ),
        (
            ("EBBTIDE_FLUSH__ENCODERS", "many"),
            "environment variable EBBTIDE_FLUSH__ENCODERS: [flush] encoders: \"many\" is not a whole number from 0 up, such as 512",
        ),
        (
            ("EBBTIDE_FLUSH__ENCODERS", "9999"),
            "environment variable EBBTIDE_FLUSH__ENCODERS: [flush] encoders: 9999 is above the greatest, 1024",
        ),
    ];
    for (variable, expected) in cases {
        assert_eq!(load("", &[variable]).expect_err(variable.0), [expected]);
    }
}

#[test]
fn everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file() {
    let errors = load(
        "[shutdown]\ntimeout = 5\n[engine]\ncolour = 1\nblock_cache_bytes_max = 1\n[flsh]\n",
        &[("EBBTIDE_COPY__CHUNK_ROWS_MAX", "0")],
    )
    .unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| error.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["F:2:11", "F:4:1", "F:5:25", "F:6:2", "environment variable EBBTIDE_COPY__CHUNK_ROWS_MAX"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Settings::load(Some("no/such.toml".as_ref()), std::iter::empty()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the settings file no/such.toml: No such file or directory (os error 2)");
}
