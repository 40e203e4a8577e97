//! A connection to a server, for the subcommands that are clients of one.

use std::fmt;

use tokio_postgres::{Client, NoTls, SimpleQueryMessage, SimpleQueryRow};

/// Where a server is when nothing else is said: the default of `server.listen`, as the service.
pub(super) const DEFAULT_URL: &str = "postgres://admin@127.0.0.1:5442/ebbtide";

/// Which server to talk to.
#[derive(Debug, clap::Args)]
pub(super) struct Target {
    /// The server and the name to connect as; "admin" is the service, any other name is that user
    #[arg(long, env = "EBBTIDE_URL", default_value = DEFAULT_URL)]
    pub(super) url: String,
}

/// Why a server did not do as asked, in words for a person.
#[derive(Debug)]
pub(super) enum Error {
    /// No connection came about.
    Connect { url: String, source: tokio_postgres::Error },
    /// The server refused, or the connection broke.
    Failed(tokio_postgres::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { url, source } => {
                write!(f, "cannot connect to {url}: {}", Told(source))?;
                if source.as_db_error().is_none() {
                    f.write_str("\nIs the server running? Start one with: ebbtide serve")?;
                }
                Ok(())
            }
            Self::Failed(error) => Told(error).fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Failed(error)
    }
}

/// An error with all that the server said about it.
pub(super) struct Told<'a>(pub(super) &'a tokio_postgres::Error);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(error) = self.0.as_db_error() else {
            let cause = std::error::Error::source(self.0);
            return match cause {
                Some(cause) => write!(f, "{}: {cause}", self.0),
                None => self.0.fmt(f),
            };
        };
        write!(f, "{} {}: {}", error.severity(), error.code().code(), error.message())?;
        let more = [("DETAIL", error.detail()), ("HINT", error.hint()), ("CONTEXT", error.where_())];
        for (label, text) in more {
            if let Some(text) = text {
                write!(f, "\n{label}: {text}")?;
            }
        }
        Ok(())
    }
}

/// Connects, and keeps the connection going in the background as long as the client is held.
pub(super) async fn connect(url: &str) -> Result<Client, Error> {
    let failed = |source| Error::Connect { url: url.to_owned(), source };
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.map_err(failed)?;
    tokio::spawn(async move {
        // Whoever waits for an answer is told of the error as well.
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the connection ended");
        }
    });
    Ok(client)
}

/// The rows of one statement that gives few.
pub(super) async fn rows(client: &Client, sql: &str) -> Result<Vec<SimpleQueryRow>, Error> {
    let messages = client.simple_query(sql).await?;
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

/// A text as an SQL literal.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_url_goes_where_a_server_listens_by_default() {
        let listen = ebbtide_config::Settings::default().server.listen;
        assert!(DEFAULT_URL.contains(&format!("@{listen}/")), "{DEFAULT_URL} and {listen}");
    }

    #[test]
    fn literals_are_closed() {
        assert_eq!(literal("it's"), "'it''s'");
    }
}
