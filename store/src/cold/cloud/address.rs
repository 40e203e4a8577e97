//! Where a storage is: `s3://bucket/prefix`.

use super::Provider;
use crate::Error;
use std::fmt;

/// Characters in the name of a bucket or container, at most: what every provider takes.
const BUCKET_CHARS_MAX: usize = 63;
/// Bytes of a prefix, at most, so that templates and names still fit the 1,024 bytes of a key.
const PREFIX_BYTES_MAX: usize = 256;

/// A bucket or container, and a folder in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Who has it.
    pub provider: Provider,
    /// The bucket or container.
    pub bucket: String,
    /// The folder, no slash at either end; empty for the whole bucket.
    pub prefix: String,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.provider.scheme(), self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl Address {
    /// Reads an address; the scheme must be the provider's, or a common other spelling of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong and what would be right.
    pub fn parse(provider: Provider, text: &str) -> Result<Self, Error> {
        let scheme = provider.scheme();
        let example = format!("write it as {scheme}://bucket or {scheme}://bucket/folder");
        let invalid = |message: String| Error::Invalid { message, hint: Some(example.clone()) };
        let Some((found, rest)) = text.trim().split_once("://") else {
            return Err(invalid(match text.trim() {
                "" => format!("a storage of type {} needs the address of a bucket", type_name(provider)),
                // What stands there may be anything, also a secret in the wrong place: it is not repeated.
                _ => format!("the address of a storage of type {} has no scheme", type_name(provider)),
            }));
        };
        let schemes: &[&str] = match provider {
            Provider::S3 => &["s3", "s3a"],
            Provider::Gcs => &["gs", "gcs"],
            Provider::Azure => &["az", "azure", "abfs", "abfss"],
        };
        if !schemes.contains(&found.to_ascii_lowercase().as_str()) {
            return Err(invalid(format!("a storage of type {} is not at a {found:?} address", type_name(provider))));
        }
        if let Some(strange) = rest.chars().find(|c| matches!(c, '@' | '?' | '#' | '%' | '\\') || c.is_control()) {
            return Err(Error::Invalid {
                message: format!("the address of a storage holds {strange:?}"),
                hint: Some("account, endpoint and keys go into CONFIG and CREDENTIALS".to_owned()),
            });
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        check_bucket(bucket).map_err(&invalid)?;
        let prefix = prefix.trim_end_matches('/');
        check_prefix(prefix).map_err(&invalid)?;
        Ok(Self { provider, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

fn type_name(provider: Provider) -> &'static str {
    match provider {
        Provider::S3 => "s3",
        Provider::Gcs => "gcs",
        Provider::Azure => "azure",
    }
}

fn check_bucket(bucket: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.' | '_' | '$');
    if bucket.is_empty() {
        return Err("the address names no bucket".to_owned());
    }
    if let Some(bad) = bucket.chars().find(|c| !good(*c)) {
        return Err(format!(
            "the bucket name {bucket:?} holds {bad:?}; names are lower-case letters, digits, '-' and '.'"
        ));
    }
    if !(3..=BUCKET_CHARS_MAX).contains(&bucket.len()) {
        return Err(format!(
            "the bucket name {bucket:?} has {} characters; names have 3 to {BUCKET_CHARS_MAX}",
            bucket.len()
        ));
    }
    Ok(())
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    if prefix.is_empty() {
        return Ok(());
    }
    if prefix.len() > PREFIX_BYTES_MAX {
        return Err(format!("the folder has {} bytes; the limit is {PREFIX_BYTES_MAX}", prefix.len()));
    }
    for component in prefix.split('/') {
        if matches!(component, "" | "." | "..") {
            return Err(format!("the folder {prefix:?} has an empty step, or one to itself or up"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (provider, text, expected) in [
            (Provider::S3, "s3://my-bucket", "s3://my-bucket"),
            (Provider::S3, "s3://my-bucket/", "s3://my-bucket"),
            (Provider::S3, " S3A://my.bucket/a/b//", "s3://my.bucket/a/b"),
            (Provider::Gcs, "gs://my_bucket/a", "gs://my_bucket/a"),
            (Provider::Gcs, "gcs://my_bucket", "gs://my_bucket"),
            (Provider::Azure, "az://container/a", "az://container/a"),
            (Provider::Azure, "abfss://container", "az://container"),
        ] {
            assert_eq!(Address::parse(provider, text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_told() {
        let long = format!("s3://bucket/{}", "x".repeat(257));
        for (provider, text, says) in [
            (Provider::S3, "", "needs the address of a bucket"),
            (Provider::S3, "AKIAIOSFODNN7EXAMPLE", "no scheme"),
            (Provider::S3, "gs://bucket", "\"gs\""),
            (Provider::Azure, "https://account.blob.core.windows.net/c", "\"https\""),
            (Provider::S3, "s3://", "names no bucket"),
            (Provider::S3, "s3://Bucket", "'B'"),
            (Provider::S3, "s3://ab", "2 characters"),
            (Provider::S3, "s3://key:secret@bucket", "'@'"),
            (Provider::Azure, "az://container?sig=abc", "'?'"),
            (Provider::S3, "s3://bucket/a//b", "empty step"),
            (Provider::S3, "s3://bucket/../b", "up"),
            (Provider::S3, long.as_str(), "257 bytes"),
        ] {
            let error = Address::parse(provider, text).unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
            assert!(error.hint().is_some(), "{text}");
            assert!(!error.to_string().contains("AKIA"), "what may be a secret is not repeated");
        }
    }
}
