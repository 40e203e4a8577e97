//! The usual places for credentials of AWS, asked in AWS's own order: environment, profile (with roles and processes), web
//! identity, container, instance. What they give is asked for again before it runs out.
//!
//! `object_store` asks some of these itself, and no profile; see ADR 7.

use async_trait::async_trait;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider as Tls, rustls_provider::CryptoMode};
use ebbtide_engine::SharedEnv;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tokio::sync::Mutex;

/// Credentials that run out sooner than this are asked for again.
const RENEWED_BEFORE: Duration = Duration::from_secs(300);

/// AWS's chain, as `object_store` asks for credentials.
#[derive(Debug)]
pub(super) struct Chain {
    chain: DefaultCredentialsChain,
    env: SharedEnv,
    /// Held while asking, so that many requests at once ask once.
    last: Mutex<Option<(Credentials, Arc<AwsCredential>)>>,
}

impl Chain {
    /// The chain of this process; with a profile's name, that profile of the config files.
    pub(super) async fn new(profile: Option<&str>, env: SharedEnv) -> Self {
        let client = Builder::new().tls_provider(Tls::rustls(CryptoMode::Ring)).build_https();
        let config = ProviderConfig::default().with_http_client(client);
        let mut chain = DefaultCredentialsChain::builder().configure(config);
        if let Some(profile) = profile {
            chain = chain.profile_name(profile);
        }
        Self { chain: chain.build().await, env, last: Mutex::new(None) }
    }

    fn is_fresh(&self, credentials: &Credentials) -> bool {
        let Some(expiry) = credentials.expiry() else { return true };
        let now = UNIX_EPOCH + Duration::from_micros(u64::try_from(self.env.now()).unwrap_or(0));
        expiry > now + RENEWED_BEFORE
    }
}

#[async_trait]
impl CredentialProvider for Chain {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut last = self.last.lock().await;
        if let Some((credentials, credential)) = &*last
            && self.is_fresh(credentials)
        {
            return Ok(Arc::clone(credential));
        }
        let credentials = self.chain.provide_credentials().await.map_err(|error| {
            let source = format!(
                "no credentials were found in the environment, a profile, a web identity, a container or this instance: {}",
                with_causes(&error)
            );
            object_store::Error::Unauthenticated { path: String::new(), source: source.into() }
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        });
        *last = Some((credentials, Arc::clone(&credential)));
        Ok(credential)
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
