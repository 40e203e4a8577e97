//! Every request to a store goes through here, also those that the client sends again by itself: bounded, counted, and the
//! words of a refusal without anybody's secrets.

use super::pace::{Answer, Pace};
use crate::secrets::Secret;
use async_trait::async_trait;
use ebbtide_engine::SharedEnv;
use metrics::{Label, counter, gauge, histogram};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    ReqwestConnector,
};
use std::borrow::Cow;
use std::sync::Arc;

/// Requests sent to storages.
pub(super) const REQUESTS_TOTAL: &str = "ebbtide_storage_requests_total";
/// How long they took until the store answered.
pub(super) const REQUEST_SECONDS: &str = "ebbtide_storage_request_seconds";
/// Requests that may wait for an answer of a store at a time, as it keeps up.
pub(super) const REQUESTS_ALLOWED: &str = "ebbtide_storage_requests_allowed";

/// Tells the recorder what each number is.
pub fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(REQUESTS_TOTAL, Unit::Count, "Requests sent to storages, by method and what came of them.");
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, "Time until a storage answered a request.");
    describe_gauge!(
        REQUESTS_ALLOWED,
        Unit::Count,
        "Requests that may wait for a storage at a time; fewer than configured while it says that they are too many."
    );
}

/// Words of a refusal that are kept, at most.
const REFUSAL_BYTES_MAX: usize = 16 << 10;

/// Makes clients whose every request goes through the same gate.
#[derive(Debug, Clone)]
pub(super) struct Gate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    storage: String,
    pace: Pace,
    secrets: Vec<Secret>,
    env: SharedEnv,
}

impl Gate {
    pub(super) fn new(storage: &str, pace: Pace, secrets: Vec<Secret>, env: SharedEnv) -> Self {
        Self(Arc::new(Shared { storage: storage.to_owned(), pace, secrets, env }))
    }
}

impl HttpConnector for Gate {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Gated { client, gate: self.clone() }))
    }
}

#[derive(Debug)]
struct Gated {
    client: HttpClient,
    gate: Gate,
}

#[async_trait]
impl HttpService for Gated {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let Shared { storage, pace, secrets, env } = &*self.gate.0;
        let labels = |outcome: &'static str| {
            [
                Label::new("storage", storage.clone()),
                Label::new("method", request.method().to_string()),
                Label::from_static_parts("outcome", outcome),
            ]
            .to_vec()
        };
        let (fine, refused, busy, failed) = (labels("ok"), labels("refused"), labels("busy"), labels("failed"));
        let turn = pace.turn().await;
        let begun = tokio::time::Instant::now();
        let writes = !matches!(request.method().as_str(), "GET" | "HEAD");
        if writes {
            env.reached("cloud.write.begun");
        }
        let answered = self.client.execute(request).await;
        if writes {
            env.reached("cloud.write.answered");
        }
        let (answer, labels) = match &answered {
            Ok(response) => match response.status().as_u16() {
                // 408 is how some stores say that a body came too slowly; 429 and 503 that there are too many requests.
                429 | 503 => (Some(Answer::TooMany), busy),
                200..=399 => (Some(Answer::Fine), fine),
                _ => (Some(Answer::Fine), refused),
            },
            // A store that cannot take more may let connections wait until they are given up.
            Err(error) if error.kind() == HttpErrorKind::Timeout => (Some(Answer::TooMany), failed),
            Err(_) => (None, failed),
        };
        match answer {
            Some(answer) => turn.answered(answer),
            None => drop(turn),
        }
        counter!(REQUESTS_TOTAL, labels).increment(1);
        histogram!(REQUEST_SECONDS, "storage" => storage.clone()).record(begun.elapsed().as_secs_f64());
        gauge!(REQUESTS_ALLOWED, "storage" => storage.clone()).set(pace.allowed() as f64);
        let response = answered?;
        if response.status().is_success() || response.status().is_redirection() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let words = body.bytes().await?;
        let words = String::from_utf8_lossy(&words[..words.len().min(REFUSAL_BYTES_MAX)]);
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::from(without(&words, secrets).into_owned())))
    }
}

/// A text with every secret blotted out.
fn without<'a>(text: &'a str, secrets: &[Secret]) -> Cow<'a, str> {
    let found = secrets.iter().filter(|secret| text.contains(secret.expose()));
    found.fold(Cow::Borrowed(text), |text, secret| Cow::Owned(text.replace(secret.expose(), "***")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_wherever_they_stand() {
        let secrets = ["AKIAEXAMPLE", "AKIAEXAMPLE/longer"].map(|text| Secret::new(text.to_owned()));
        let text = "<AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId> and AKIAEXAMPLE again";
        assert_eq!(without(text, &secrets), "<AWSAccessKeyId>***</AWSAccessKeyId> and *** again");
        assert!(matches!(without("nothing here", &secrets), Cow::Borrowed(_)));
    }
}
