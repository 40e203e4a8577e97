//! One builder per provider.

use super::gate::Gate;
use super::pace::Pace;
use super::{Credentials, Location, Provider, chain::Chain};
use crate::cold::Error;
use ebbtide_engine::SharedEnv;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::azure::{MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// A client of one of the providers.
pub(super) enum Client {
    S3(Arc<AmazonS3>),
    Gcs(Arc<GoogleCloudStorage>),
    Azure(Arc<MicrosoftAzure>),
}

/// Makes the client. Nothing is sent yet, except for asking the machine's own places for credentials when they are used.
pub(super) async fn connect(location: &Location, name: &str, env: &SharedEnv) -> Result<Client, Error> {
    let Location { address, settings, credentials } = location;
    let pace = Pace::new(settings.requests_in_flight_max, settings.requests_per_second_max);
    let gate = Gate::new(name, pace, credentials.secrets(), env.clone());
    let options = ClientOptions::new()
        .with_allow_http(settings.allows_http())
        .with_timeout(settings.request_timeout)
        .with_connect_timeout(settings.connect_timeout)
        .with_pool_max_idle_per_host(settings.requests_in_flight_max);
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: settings.retries_max,
        retry_timeout: settings.retry_timeout,
    };
    let failed = |source: object_store::Error| Error::Setup { uri: address.to_string(), source: Arc::new(source) };
    match address.provider {
        Provider::S3 => {
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(&address.bucket)
                .with_region(settings.region.as_deref().unwrap_or("us-east-1"))
                .with_virtual_hosted_style_request(settings.virtual_hosted_style)
                // The store compares what arrives with this before it says yes.
                .with_checksum_algorithm(Checksum::SHA256)
                .with_client_options(options)
                .with_retry(retry)
                .with_http_connector(gate);
            if let Some(endpoint) = &settings.endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            builder = match credentials {
                Credentials::S3Key { key_id, secret_key, token } => {
                    let builder =
                        builder.with_access_key_id(key_id.expose()).with_secret_access_key(secret_key.expose());
                    match token {
                        Some(token) => builder.with_token(token.expose()),
                        None => builder,
                    }
                }
                _ => {
                    let chain = Chain::new(settings.profile.as_deref(), env.clone()).await;
                    builder.with_credentials(Arc::new(chain))
                }
            };
            Ok(Client::S3(Arc::new(builder.build().map_err(failed)?)))
        }
        Provider::Gcs => {
            let mut builder = GoogleCloudStorageBuilder::new()
                .with_bucket_name(&address.bucket)
                .with_client_options(options)
                .with_retry(retry)
                .with_http_connector(gate);
            if let Some(endpoint) = &settings.endpoint {
                builder = builder.with_base_url(endpoint);
            }
            if let Credentials::GcsServiceAccount(key) = credentials {
                builder = builder.with_service_account_key(key.expose());
            }
            Ok(Client::Gcs(Arc::new(builder.build().map_err(failed)?)))
        }
        Provider::Azure => {
            let mut builder = MicrosoftAzureBuilder::new()
                .with_container_name(&address.bucket)
                .with_client_options(options)
                .with_retry(retry)
                .with_http_connector(gate);
            if let Some(account) = &settings.account {
                builder = builder.with_account(account);
            }
            if let Some(endpoint) = &settings.endpoint {
                builder = builder.with_endpoint(endpoint.clone());
            }
            builder = match credentials {
                Credentials::AzureKey(key) => builder.with_access_key(key.expose()),
                Credentials::AzureSas(sas) => {
                    builder.with_config(object_store::azure::AzureConfigKey::SasKey, sas.expose())
                }
                Credentials::AzureClient { client_id, client_secret, tenant_id } => builder
                    .with_client_secret_authorization(client_id.expose(), client_secret.expose(), tenant_id.expose()),
                _ => builder,
            };
            Ok(Client::Azure(Arc::new(builder.build().map_err(failed)?)))
        }
    }
}
