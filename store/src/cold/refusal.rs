//! What an object store said when it refused, in one sentence, and what to do about it.

use object_store::Error;

/// The name that stores give to a reason, and what to do about it. Names of S3, of Google (which answers in S3's way) and of
/// Azure.
const REASONS: &[(&[&str], &str)] = &[
    (
        &["NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"],
        "make the bucket or container first, or correct its name",
    ),
    (
        &[
            "AccessDenied",
            "AllAccessDisabled",
            "AuthorizationFailure",
            "AuthorizationPermissionMismatch",
            "InsufficientAccountPermissions",
        ],
        "these credentials may not do this: they need to read, write, list and delete objects, and to abort multipart uploads",
    ),
    (
        &[
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "AuthenticationFailed",
            "InvalidAuthenticationInfo",
            "NoAuthenticationInformation",
            "InvalidToken",
        ],
        "the credentials are not those of the store: check CREDENTIALS",
    ),
    (
        &["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"],
        "the session token has run out: give a new one with ALTER STORAGE … CREDENTIALS, or none, so that the machine's own are used",
    ),
    (&["RequestTimeTooSkewed"], "the clock of this machine is off: set it, best with NTP"),
    (
        &[
            "AuthorizationHeaderMalformed",
            "PermanentRedirect",
            "IllegalLocationConstraintException",
            "TemporaryRedirect",
        ],
        "the bucket is in another region: give it as CONFIG '{\"region\": \"…\"}'",
    ),
    (
        &["SlowDown", "ServerBusy", "RequestLimitExceeded", "TooManyRequests", "OperationTimedOut"],
        "the store asks for fewer requests; it is asked more slowly and tried again",
    ),
    (
        &["QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"],
        "the store is full: make room, or raise its quota",
    ),
    (&["AccountIsDisabled", "InvalidObjectState"], "the store keeps this from being used: look at its own console"),
    (&["ReadOnlyBucket", "MethodNotAllowed", "ObjectLocked"], "the bucket takes no writes: use one that does"),
    (
        &["NotImplemented"],
        "the store does not know this request; it has to know conditional puts and multipart uploads",
    ),
];

/// A refusal in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) words: String,
    pub(super) hint: Option<&'static str>,
}

/// Puts what a store said into words.
pub(super) fn refusal(error: &Error) -> Refusal {
    let text = with_causes(error);
    if let Some(code) = between(&text, "<Code>", "</Code>") {
        let message =
            between(&text, "<Message>", "</Message>").map(|message| one_line(message, 200)).unwrap_or_default();
        let words = match message.trim_end_matches('.') {
            "" => format!("the store says {code}"),
            message => format!("the store says {code}: {message}"),
        };
        return Refusal { words, hint: hint_of(code) };
    }
    if text.contains("redirect without LOCATION") {
        return Refusal { words: "the store points to another region".to_owned(), hint: hint_of("PermanentRedirect") };
    }
    let connects =
        ["error trying to connect", "dns error", "Connection refused", "client error (Connect)", "tcp connect"];
    if connects.iter().any(|words| text.contains(words)) {
        let words = format!("the store cannot be reached: {}", one_line(&text, 300));
        return Refusal { words, hint: Some("check the endpoint, and that it can be reached from this machine") };
    }
    let breaks = ["connection error", "connection closed", "Connection reset", "connection reset", "Broken pipe"];
    if breaks.iter().any(|words| text.contains(words)) {
        let words = format!("the connection to the store broke: {}", one_line(&text, 300));
        return Refusal { words, hint: Some("it is tried again; check the way to the store if it goes on") };
    }
    if text.contains("operation timed out") || text.contains("request timed out") || text.contains("timed out") {
        let words = format!("the store did not answer in time: {}", one_line(&text, 300));
        return Refusal { words, hint: Some("check that it is well; CONFIG request_timeout says how long is waited") };
    }
    let hint = REASONS.iter().find(|(codes, _)| codes.iter().any(|code| text.contains(code))).map(|(_, hint)| *hint);
    Refusal { words: one_line(&text, 500), hint }
}

fn hint_of(code: &str) -> Option<&'static str> {
    REASONS.iter().find(|(codes, _)| codes.contains(&code)).map(|(_, hint)| *hint)
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(found, _)| found.trim())
}

/// The error and every cause that it does not say itself.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

/// No line breaks, and no more than so many characters.
fn one_line(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Refusal {
        refusal(&Error::Generic { store: "S3", source: text.to_owned().into() })
    }

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        let body = |code: &str, message: &str| {
            format!(
                "Error performing PUT http://x/b/k in 3ms - Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>"
            )
        };
        for (text, words, hint) in [
            (
                body("NoSuchBucket", "The specified bucket does not exist."),
                "the store says NoSuchBucket: The specified bucket does not exist",
                "make the bucket",
            ),
            (body("AccessDenied", "Access Denied."), "the store says AccessDenied: Access Denied", "may not do this"),
            (body("RequestTimeTooSkewed", ""), "the store says RequestTimeTooSkewed", "clock"),
            (body("ExpiredToken", "x"), "the store says ExpiredToken: x", "run out"),
            (
                body("AuthorizationHeaderMalformed", "expecting 'eu-west-1'"),
                "the store says AuthorizationHeaderMalformed: expecting 'eu-west-1'",
                "region",
            ),
            (body("SlowDown", "Please"), "the store says SlowDown: Please", "more slowly"),
            (
                "Received redirect without LOCATION, this normally indicates …".to_owned(),
                "points to another region",
                "region",
            ),
            (
                "error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)"
                    .to_owned(),
                "cannot be reached",
                "endpoint",
            ),
            (
                "error sending request: client error (SendRequest): connection error: Connection reset by peer (os error 104)"
                    .to_owned(),
                "the connection to the store broke",
                "tried again",
            ),
            (
                "HTTP error: error sending request: operation timed out".to_owned(),
                "did not answer in time",
                "request_timeout",
            ),
        ] {
            let refusal = said(&text);
            assert!(refusal.words.contains(words), "{text}: {refusal:?}");
            assert!(refusal.hint.unwrap_or_default().contains(hint), "{text}: {refusal:?}");
        }
        assert_eq!(said("something else").hint, None);
        assert!(said(&"x".repeat(5000)).words.len() < 600);
    }
}
