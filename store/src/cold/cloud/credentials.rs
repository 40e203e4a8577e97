//! As whom a storage is reached: the CREDENTIALS of a storage, a JSON object.

use super::Provider;
use super::settings::{object, unknown};
use crate::Error;
use crate::secrets::Secret;
use serde_json::Value;

/// Who asks. Values that are secret stay [`Secret`] until the client is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Whatever the machine has: see `chain.rs` for S3; gcloud's own key file, or the instance, for GCS; the managed identity
    /// for Azure.
    Ambient,
    /// An access key of S3.
    S3Key {
        /// `access_key_id`
        key_id: Secret,
        /// `secret_access_key`
        secret_key: Secret,
        /// `session_token`
        token: Option<Secret>,
    },
    /// A service account of Google Cloud: its key file as JSON.
    GcsServiceAccount(Secret),
    /// The key of an Azure account.
    AzureKey(Secret),
    /// A shared access signature of Azure.
    AzureSas(Secret),
    /// A service principal of Azure.
    AzureClient {
        /// `client_id`
        client_id: Secret,
        /// `client_secret`
        client_secret: Secret,
        /// `tenant_id`
        tenant_id: Secret,
    },
}

const S3_KEYS: [&str; 3] = ["access_key_id", "secret_access_key", "session_token"];
const GCS_KEYS: [&str; 1] = ["service_account_key"];
const AZURE_KEYS: [&str; 5] = ["access_key", "sas_token", "client_id", "client_secret", "tenant_id"];

/// Shorter values are not looked for in texts: they would be found everywhere.
const SCRUBBED_BYTES_MIN: usize = 6;

impl Credentials {
    /// Reads the CREDENTIALS of a storage; without them, or with an empty object, whatever the machine has counts.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the key that is wrong or missing, never a value.
    pub fn parse(provider: Provider, json: Option<&Secret>) -> Result<Self, Error> {
        let Some(json) = json else { return Ok(Self::Ambient) };
        let members = object("CREDENTIALS", json.expose())?;
        let known: &[&str] = match provider {
            Provider::S3 => &S3_KEYS,
            Provider::Gcs => &GCS_KEYS,
            Provider::Azure => &AZURE_KEYS,
        };
        if let Some(key) = members.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(unknown("CREDENTIALS", key, known.iter().copied()));
        }
        let given = |key: &str| match members.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(Secret::new(text.clone()))),
            // The key file of a service account may stand there as it is.
            Some(Value::Object(members)) if key == "service_account_key" => {
                Ok(Some(Secret::new(Value::Object(members.clone()).to_string())))
            }
            Some(_) => Err(Error::invalid(format!("CREDENTIALS: {key} is a text that is not empty"))),
        };
        let together = |keys: &[&str]| {
            let missing: Vec<_> = keys.iter().filter(|key| !members.contains_key(**key)).copied().collect();
            Error::Invalid {
                message: format!("CREDENTIALS: {} is missing", missing.join(" and ")),
                hint: Some(format!("{} belong together", keys.join(", "))),
            }
        };
        match provider {
            Provider::S3 => match (given("access_key_id")?, given("secret_access_key")?, given("session_token")?) {
                (None, None, None) => Ok(Self::Ambient),
                (Some(key_id), Some(secret_key), token) => Ok(Self::S3Key { key_id, secret_key, token }),
                _ => Err(together(&S3_KEYS[..2])),
            },
            Provider::Gcs => Ok(given("service_account_key")?.map_or(Self::Ambient, Self::GcsServiceAccount)),
            Provider::Azure => {
                let client = (given("client_id")?, given("client_secret")?, given("tenant_id")?);
                match (given("access_key")?, given("sas_token")?, client) {
                    (None, None, (None, None, None)) => Ok(Self::Ambient),
                    (Some(key), None, (None, None, None)) => Ok(Self::AzureKey(key)),
                    (None, Some(sas), (None, None, None)) => Ok(Self::AzureSas(sas)),
                    (None, None, (Some(client_id), Some(client_secret), Some(tenant_id))) => {
                        Ok(Self::AzureClient { client_id, client_secret, tenant_id })
                    }
                    (None, None, _) => Err(together(&AZURE_KEYS[2..])),
                    _ => Err(Error::invalid(
                        "CREDENTIALS: give access_key, or sas_token, or client_id with client_secret and tenant_id; one way is enough",
                    )),
                }
            }
        }
    }

    /// Every text that must not be seen, as it may come up in an answer of a store.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        let whole: Vec<&Secret> = match self {
            Self::Ambient => Vec::new(),
            Self::S3Key { key_id, secret_key, token } => [key_id, secret_key].into_iter().chain(token).collect(),
            Self::GcsServiceAccount(key) | Self::AzureKey(key) | Self::AzureSas(key) => vec![key],
            Self::AzureClient { client_id, client_secret, tenant_id } => vec![client_id, client_secret, tenant_id],
        };
        let mut secrets: Vec<Secret> = whole.into_iter().cloned().collect();
        match self {
            // Parts of it come up by themselves.
            Self::AzureSas(sas) => {
                let values = sas.expose().trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
                for (_, value) in values.filter(|(name, _)| *name == "sig") {
                    let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
                    secrets.extend([value.to_owned(), decoded].map(Secret::new));
                }
            }
            Self::GcsServiceAccount(key) => {
                if let Ok(Value::Object(members)) = serde_json::from_str(key.expose()) {
                    let texts =
                        ["private_key", "private_key_id"].iter().filter_map(|name| members.get(*name)?.as_str());
                    secrets.extend(texts.map(|text| Secret::new(text.to_owned())));
                }
            }
            _ => {}
        }
        secrets.retain(|secret| secret.expose().len() >= SCRUBBED_BYTES_MIN);
        secrets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(provider: Provider, json: &str) -> Result<Credentials, Error> {
        Credentials::parse(provider, Some(&Secret::new(json.to_owned())))
    }

    #[test]
    fn every_way_of_asking_is_read() {
        use Credentials::*;
        for (provider, json, expected) in [
            (Provider::S3, "{}", "Ambient"),
            (Provider::S3, r#"{"access_key_id":"a","secret_access_key":"b"}"#, "S3Key"),
            (Provider::S3, r#"{"access_key_id":"a","secret_access_key":"b","session_token":"c"}"#, "S3Key"),
            (Provider::Gcs, r#"{"service_account_key":{"private_key":"k"}}"#, "GcsServiceAccount"),
            (Provider::Gcs, r#"{"service_account_key":"{}"}"#, "GcsServiceAccount"),
            (Provider::Azure, r#"{"access_key":"a"}"#, "AzureKey"),
            (Provider::Azure, r#"{"sas_token":"sv=1&sig=abcdef%2Bg"}"#, "AzureSas"),
            (Provider::Azure, r#"{"client_id":"a","client_secret":"b","tenant_id":"c"}"#, "AzureClient"),
        ] {
            let name = match parse(provider, json).unwrap() {
                Ambient => "Ambient",
                S3Key { .. } => "S3Key",
                GcsServiceAccount(_) => "GcsServiceAccount",
                AzureKey(_) => "AzureKey",
                AzureSas(_) => "AzureSas",
                AzureClient { .. } => "AzureClient",
            };
            assert_eq!(name, expected, "{json}");
        }
        let sas = parse(Provider::Azure, r#"{"sas_token":"sv=1&sig=abcdef%2Bg"}"#).unwrap();
        let shown: Vec<String> = sas.secrets().iter().map(|secret| secret.expose().to_owned()).collect();
        assert_eq!(shown, ["sv=1&sig=abcdef%2Bg", "abcdef%2Bg", "abcdef+g"]);
    }

    #[test]
    fn what_is_wrong_is_told_without_its_value() {
        for (provider, json, says) in [
            (Provider::S3, "[\"hunter2\"]", "CREDENTIALS must be a JSON object"),
            (Provider::S3, "{hunter2", "Invalid CREDENTIALS JSON"),
            (Provider::S3, r#"{"access_key_id":"hunter2"}"#, "secret_access_key is missing"),
            (Provider::S3, r#"{"session_token":"hunter2"}"#, "access_key_id and secret_access_key is missing"),
            (Provider::S3, r#"{"acess_key_id":"hunter2"}"#, "unknown key \"acess_key_id\""),
            (Provider::S3, r#"{"access_key_id":["hunter2"],"secret_access_key":"x"}"#, "access_key_id is a text"),
            (Provider::Azure, r#"{"access_key":"hunter2","sas_token":"x"}"#, "one way is enough"),
            (Provider::Azure, r#"{"client_id":"hunter2"}"#, "client_secret and tenant_id is missing"),
        ] {
            let error = parse(provider, json).unwrap_err();
            assert!(error.to_string().contains(says), "{json}: {error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
