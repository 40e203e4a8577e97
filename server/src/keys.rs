//! The keys that seal credentials of storages: from the file that the settings name, or from the environment.

use std::path::Path;

use ebbtide_config::Settings;
use ebbtide_store::secrets::{Keyring, Secret};

/// The variable that may hold keys in place of a file.
const VARIABLE: &str = "EBBTIDE_SECRET_KEYS";

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read the key file {path}, which secrets.key_file names: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Both places hold keys.
    #[error("keys are in {VARIABLE} and in the file that secrets.key_file names; keep them in one place")]
    Twice,
    /// What is there are no keys.
    #[error("{0}{hint}", hint = .0.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default())]
    Invalid(#[from] ebbtide_store::Error),
}

/// The keys that count; none if nobody gave any.
///
/// # Errors
/// When the file cannot be read, or what is there are no keys. No error holds any of them.
pub(crate) fn keyring(settings: &Settings) -> Result<Keyring, Error> {
    let variable = std::env::var(VARIABLE).ok().filter(|text| !text.trim().is_empty()).map(Secret::new);
    match (&settings.secrets.key_file, variable) {
        (None, None) => Ok(Keyring::default()),
        (Some(_), Some(_)) => Err(Error::Twice),
        (None, Some(keys)) => Ok(Keyring::parse(&keys, VARIABLE)?),
        (Some(path), None) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| Error::Unreadable { path: path.display().to_string(), source })?;
            warn_if_open(path);
            Ok(Keyring::parse(&Secret::new(text), &path.display().to_string())?)
        }
    }
}

/// A key file is for the server alone.
fn warn_if_open(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "others than the server's own user may read the key file; chmod 600 it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(key_file: &Path) -> Settings {
        let mut settings = Settings::default();
        settings.secrets.key_file = Some(key_file.to_owned());
        settings
    }

    #[test]
    fn keys_come_from_the_file_and_errors_hold_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        assert!(matches!(keyring(&settings(&path)), Err(Error::Unreadable { .. })));
        std::fs::write(&path, format!("# ours\n{}\n", "ab".repeat(32))).unwrap();
        assert!(keyring(&settings(&path)).unwrap().sealing().is_some());
        std::fs::write(&path, "cd".repeat(31)).unwrap();
        let error = keyring(&settings(&path)).unwrap_err().to_string();
        assert!(error.contains("line 1") && error.contains("new-key") && !error.contains("cdcd"), "{error}");
        assert_eq!(keyring(&Settings::default()).unwrap().sealing(), None);
    }
}
