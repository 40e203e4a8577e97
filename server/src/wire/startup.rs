//! The first words: encryption refused, version settled, and who it is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ebbtide_sql::{Identity, Session};
use futures::{SinkExt, StreamExt};
use pgwire::messages::response::{GssEncResponse, ReadyForQuery, SslResponse, TransactionStatus};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, Startup};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion, SslNegotiationMetaMessage};

use super::cancel::{Entry, Registry};
use super::codec::Incoming;
use super::errors::{Problem, Severity, sqlstate};
use super::{Ended, Socket};

/// The name that may load for many users and see everything. There are no passwords yet, so names are all there is.
pub const SERVICE_NAME: &str = "admin";

/// Encryption requests that a client may make before it says who it is.
const NEGOTIATIONS_MAX: usize = 4;

/// Settings that clients want to know, and hear of when they change. Those of the session are asked there.
const REPORTED: &[&str] = &[
    "server_version",
    "server_encoding",
    "client_encoding",
    "application_name",
    "is_superuser",
    "session_authorization",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
    "default_transaction_read_only",
];

/// Refuses to listen where others could connect: whoever connects is believed to be who he says he is.
///
/// # Errors
/// [`Error::NotLoopback`](super::Error::NotLoopback), which says what to do instead.
pub fn check_loopback(listen: SocketAddr) -> Result<(), super::Error> {
    if listen.ip().is_loopback() { Ok(()) } else { Err(super::Error::NotLoopback { listen }) }
}

/// What a client wanted when it connected.
pub(crate) enum Wish {
    /// To talk: it said who it is.
    Session(Greeting),
    /// To cancel what another session does; or it went away.
    Nothing,
}

/// A client that said who it is.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) identity: Identity,
    settings: Vec<(String, String)>,
    version: ProtocolVersion,
}

/// Reads up to the startup packet, answering requests for encryption with no.
pub(crate) async fn listen(socket: &mut Socket, sessions: &Registry) -> Result<Wish, Ended> {
    for _ in 0..=NEGOTIATIONS_MAX {
        let Some(incoming) = socket.next().await else { return Ok(Wish::Nothing) };
        let message = match incoming? {
            Incoming::Message(message) => message,
            Incoming::Refused { fault, .. } => {
                let problem = Problem::from(fault);
                return Err(Problem { severity: Severity::Fatal, ..problem }.into());
            }
        };
        match message {
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::PostgresSsl(_)) => {
                socket.send(PgWireBackendMessage::SslResponse(SslResponse::Refuse)).await?;
            }
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::PostgresGss(_)) => {
                socket.send(PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse)).await?;
            }
            PgWireFrontendMessage::CancelRequest(request) => {
                sessions.cancel(request.pid, &request.secret_key);
                return Ok(Wish::Nothing);
            }
            PgWireFrontendMessage::Startup(startup) => return greet(socket, startup).await.map(Wish::Session),
            _ => break,
        }
    }
    Err(Problem::fatal(sqlstate::PROTOCOL_VIOLATION, "expected a startup packet").into())
}

async fn greet(socket: &mut Socket, startup: Startup) -> Result<Greeting, Ended> {
    let (major, minor) = (startup.protocol_number_major, startup.protocol_number_minor);
    let known = ProtocolVersion::from_version_number(major, minor);
    let version = known.unwrap_or(if minor < 2 { ProtocolVersion::PROTOCOL3_0 } else { ProtocolVersion::PROTOCOL3_2 });
    // Names that begin so ask for extensions of the protocol; none is known here.
    let extensions: Vec<String> = startup.parameters.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if known.is_none() || !extensions.is_empty() {
        let offer = NegotiateProtocolVersion::new(version.into(), extensions);
        socket.send(PgWireBackendMessage::NegotiateProtocolVersion(offer)).await?;
    }
    let mut parameters = startup.parameters;
    let replication = parameters.remove("replication");
    if replication.is_some_and(|asked| !matches!(asked.as_str(), "false" | "off" | "no" | "0")) {
        let problem = Problem::fatal(sqlstate::FEATURE_NOT_SUPPORTED, "replication connections are not supported");
        return Err(problem.into());
    }
    let Some(user) = parameters.remove("user").filter(|user| !user.is_empty()) else {
        let problem = Problem::fatal(sqlstate::INVALID_AUTHORIZATION, "no user name was given")
            .hint(format!("Connect as \"{SERVICE_NAME}\", or as the user whose rows you want to see."));
        return Err(problem.into());
    };
    // There is one database; whatever name it is given is fine.
    parameters.remove("database");
    let mut settings = options(&parameters.remove("options").unwrap_or_default());
    settings.extend(parameters.into_iter().filter(|(name, _)| !name.starts_with("_pq_.")));
    Ok(Greeting { identity: identity(&user)?, settings, version })
}

/// The settings in `-c name=value --name=value`, where a backslash makes a space part of a value.
fn options(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, words.last_mut()) {
            ('\\', Some(word)) => word.extend(letters.next()),
            (letter, Some(word)) if !letter.is_whitespace() => word.push(letter),
            _ => words.push(String::new()),
        }
    }
    let setting = |word: &String| {
        let word = word.strip_prefix("-c").or_else(|| word.strip_prefix("--")).unwrap_or(word);
        word.split_once('=').map(|(name, value)| (name.replace('-', "_"), value.to_owned()))
    };
    words.iter().filter_map(setting).collect()
}

fn identity(name: &str) -> Result<Identity, Problem> {
    if name == SERVICE_NAME {
        return Ok(Identity::Service(name.to_owned()));
    }
    let user = ebbtide_store::UserId::new(name)
        .map_err(|error| Problem::fatal(sqlstate::INVALID_AUTHORIZATION, error.to_string()))?;
    Ok(Identity::User(user))
}

/// The settings that the client was told, and their values.
#[derive(Debug, Default)]
pub(super) struct Reported(HashMap<&'static str, String>);

impl Reported {
    /// Tells the client those whose values are others than it was told.
    pub(super) async fn tell(&mut self, socket: &mut Socket, session: &Session) -> Result<(), Ended> {
        for name in REPORTED {
            let Ok(value) = session.setting(name) else { continue };
            if self.0.get(name) != Some(&value) {
                let status = ParameterStatus::new((*name).to_owned(), value.clone());
                socket.feed(PgWireBackendMessage::ParameterStatus(status)).await?;
                self.0.insert(name, value);
            }
        }
        Ok(())
    }
}

/// Follows the settings that came along. Text in another encoding could not be read, so that one ends the connection;
/// of any other that cannot be followed the client is warned, and is told the value that counts.
async fn settle(socket: &mut Socket, greeting: &Greeting, session: &Session) -> Result<(), Ended> {
    for (name, value) in &greeting.settings {
        let Err(error) = session.set(name, value.trim_matches('\'')) else { continue };
        let problem = Problem::from(error);
        if name.eq_ignore_ascii_case("client_encoding") {
            return Err(Problem { severity: Severity::Fatal, ..problem }.into());
        }
        socket.feed(PgWireBackendMessage::NoticeResponse(problem.into_warning())).await?;
    }
    Ok(())
}

/// Tells the client that it is in, what is set, and how to cancel.
pub(super) async fn welcome(
    socket: &mut Socket,
    greeting: &Greeting,
    session: &Session,
    reported: &mut Reported,
    sessions: &Arc<Registry>,
) -> Result<Entry, Ended> {
    let entry = sessions.enter(greeting.version);
    socket.codec_mut().started();
    socket.feed(PgWireBackendMessage::Authentication(Authentication::Ok)).await?;
    settle(socket, greeting, session).await?;
    reported.tell(socket, session).await?;
    let in_hot_standby = ParameterStatus::new("in_hot_standby".to_owned(), "off".to_owned());
    socket.feed(PgWireBackendMessage::ParameterStatus(in_hot_standby)).await?;
    let key = BackendKeyData::new(entry.id, entry.secret.clone());
    socket.feed(PgWireBackendMessage::BackendKeyData(key)).await?;
    let ready = ReadyForQuery::new(TransactionStatus::Idle);
    socket.send(PgWireBackendMessage::ReadyForQuery(ready)).await?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_is_the_service_and_any_other_name_a_user() {
        assert!(matches!(identity("admin"), Ok(Identity::Service(_))));
        assert!(matches!(identity("Admin"), Ok(Identity::User(_))));
        assert!(matches!(identity("../../etc"), Ok(Identity::User(_))));
        let problem = identity(&"x".repeat(256)).expect_err("too long");
        assert_eq!(problem.sqlstate, "28000");
        assert!(problem.is_fatal());
    }

    #[test]
    fn options_hold_settings() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(options(""), []);
        assert_eq!(
            options("-c search_path=chat  --statement-timeout=5s -c application_name=a\\ b"),
            [pair("search_path", "chat"), pair("statement_timeout", "5s"), pair("application_name", "a b")]
        );
    }

    #[test]
    fn only_loopback_may_be_listened_on() {
        for address in ["127.0.0.1:0", "127.8.9.1:5442", "[::1]:5442"] {
            assert!(check_loopback(address.parse().expect("an address")).is_ok(), "{address}");
        }
        for address in ["0.0.0.0:5442", "192.168.0.1:5442", "[::]:5442"] {
            let error = check_loopback(address.parse().expect("an address")).expect_err("refused");
            assert!(error.to_string().contains("127.0.0.1"), "{error}");
        }
    }
}
