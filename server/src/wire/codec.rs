//! Bytes to messages and back, with a bound on the size of a message.

use bytes::{Buf, BytesMut};
use pgwire::error::PgWireError;
use pgwire::messages::{DecodeContext, PgWireBackendMessage, PgWireFrontendMessage};
use tokio_util::codec::{Decoder, Encoder};

use super::layout::{self, Fault};

/// What stands before a startup packet's parameters: its length and a version or request code.
const STARTUP_HEAD_BYTES: usize = 8;
/// As in PostgreSQL: a startup packet has no business being longer.
const STARTUP_BYTES_MAX: usize = 10_000;
const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_ENCRYPTION_REQUEST: u32 = 80_877_104;

/// One thing that a client said.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A well-formed message.
    Message(PgWireFrontendMessage),
    /// A message that was read past and is to be refused; the connection lives on.
    Refused {
        /// What was wrong with it.
        fault: Fault,
        /// Whether the client now waits for a Sync, as after any message of the extended protocol.
        extended: bool,
    },
}

/// Why nothing more can be read from a connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A message says it is longer than allowed.
    #[error("a message of {bytes} bytes is longer than the limit of {bytes_max}")]
    TooLarge {
        /// Its length, as it says.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The bytes are not messages of this protocol.
    #[error("the bytes received are no message of the PostgreSQL protocol: {0}")]
    NotTheProtocol(String),
}

/// Splits a connection's bytes into messages.
#[derive(Debug)]
pub(crate) struct Codec {
    context: DecodeContext,
    started: bool,
    message_bytes_max: usize,
}

impl Codec {
    /// A codec for a connection that was just opened.
    pub(crate) fn new(message_bytes_max: usize) -> Self {
        Self { context: DecodeContext::default(), started: false, message_bytes_max }
    }

    /// From here on messages have a kind and a length.
    pub(crate) fn started(&mut self) {
        self.started = true;
        self.context.awaiting_frontend_ssl = false;
        self.context.awaiting_frontend_startup = false;
    }

    fn startup(&mut self, source: &mut BytesMut) -> Result<Option<Incoming>, Error> {
        if source.len() < STARTUP_HEAD_BYTES {
            return Ok(None);
        }
        let mut head = &source[..STARTUP_HEAD_BYTES];
        let bytes = head.get_u32() as usize;
        let request = head.get_u32();
        if bytes > STARTUP_BYTES_MAX {
            return Err(Error::TooLarge { bytes, bytes_max: STARTUP_BYTES_MAX });
        }
        if bytes < STARTUP_HEAD_BYTES {
            return Err(Error::NotTheProtocol(format!("a startup packet of {bytes} bytes")));
        }
        if source.len() < bytes {
            source.reserve(bytes - source.len());
            return Ok(None);
        }
        let mut packet = source.split_to(bytes);
        self.context.awaiting_frontend_startup = true;
        self.context.awaiting_frontend_ssl = matches!(request, SSL_REQUEST | GSS_ENCRYPTION_REQUEST);
        let plain_startup = !self.context.awaiting_frontend_ssl && request != CANCEL_REQUEST;
        if plain_startup && let Err(fault) = layout::check_startup(&packet[STARTUP_HEAD_BYTES..]) {
            return Ok(Some(Incoming::Refused { fault, extended: false }));
        }
        self.decode_whole(&mut packet)
    }

    fn message(&mut self, source: &mut BytesMut) -> Result<Option<Incoming>, Error> {
        /// The kind, one byte, and the length, which counts itself but not the kind.
        const HEAD_BYTES: usize = 5;
        if source.len() < HEAD_BYTES {
            return Ok(None);
        }
        let kind = source[0];
        let length = (&source[1..HEAD_BYTES]).get_u32() as usize;
        if length < HEAD_BYTES - 1 {
            return Err(Error::NotTheProtocol(format!("a message of length {length}")));
        }
        if length > self.message_bytes_max {
            return Err(Error::TooLarge { bytes: length, bytes_max: self.message_bytes_max });
        }
        let bytes = 1 + length;
        if source.len() < bytes {
            source.reserve(bytes - source.len());
            return Ok(None);
        }
        if !b"QPBDCEHSXdcfp".contains(&kind) {
            return Err(Error::NotTheProtocol(format!("a message of kind 0x{kind:02x}")));
        }
        let mut packet = source.split_to(bytes);
        if let Err(fault) = layout::check(kind, &packet[HEAD_BYTES..]) {
            return Ok(Some(Incoming::Refused { fault, extended: b"PBDCEHS".contains(&kind) }));
        }
        self.decode_whole(&mut packet)
    }

    fn decode_whole(&self, packet: &mut BytesMut) -> Result<Option<Incoming>, Error> {
        match PgWireFrontendMessage::decode(packet, &self.context) {
            Ok(Some(message)) => Ok(Some(Incoming::Message(message))),
            Ok(None) => Err(Error::NotTheProtocol("an incomplete message".to_owned())),
            Err(PgWireError::IoError(error)) => Err(Error::Io(error)),
            Err(error) => Err(Error::NotTheProtocol(error.to_string())),
        }
    }
}

impl Decoder for Codec {
    type Item = Incoming;
    type Error = Error;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Incoming>, Error> {
        if self.started { self.message(source) } else { self.startup(source) }
    }

    /// A client that goes away in the middle of a message has gone away; that is no error worth telling.
    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<Incoming>, Error> {
        let message = self.decode(source)?;
        if message.is_none() {
            source.clear();
        }
        Ok(message)
    }
}

impl Encoder<PgWireBackendMessage> for Codec {
    type Error = Error;

    fn encode(&mut self, message: PgWireBackendMessage, target: &mut BytesMut) -> Result<(), Error> {
        message.encode(target).map_err(|error| Error::Io(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &[u8]) -> BytesMut {
        BytesMut::from(text)
    }

    #[test]
    fn a_message_is_taken_when_it_is_whole() {
        let mut codec = Codec::new(1024);
        codec.started();
        let mut source = bytes(b"Q\0\0\0\x0dSELECT 1");
        assert!(codec.decode(&mut source).expect("no error").is_none());
        source.extend_from_slice(b"\0S\0\0\0\x04");
        let query = codec.decode(&mut source).expect("no error");
        assert!(
            matches!(query, Some(Incoming::Message(PgWireFrontendMessage::Query(query))) if query.query == "SELECT 1")
        );
        let sync = codec.decode(&mut source).expect("no error");
        assert!(matches!(sync, Some(Incoming::Message(PgWireFrontendMessage::Sync(_)))));
        assert!(source.is_empty());
    }

    #[test]
    fn a_long_message_is_refused_before_it_is_read() {
        let mut codec = Codec::new(1024);
        codec.started();
        let error = codec.decode(&mut bytes(b"Q\x7f\0\0\0")).expect_err("too long");
        assert!(matches!(error, Error::TooLarge { bytes_max: 1024, .. }), "{error}");
    }

    #[test]
    fn a_faulty_message_is_read_past_and_the_next_one_is_taken() {
        let mut codec = Codec::new(1024);
        codec.started();
        let mut source = bytes(b"Q\0\0\0\x06\xff\0Q\0\0\0\x06;\0");
        let refused = codec.decode(&mut source).expect("no error");
        assert!(matches!(refused, Some(Incoming::Refused { fault: Fault::Encoding { at: 0 }, extended: false })));
        assert!(matches!(
            codec.decode(&mut source).expect("no error"),
            Some(Incoming::Message(PgWireFrontendMessage::Query(_)))
        ));
    }

    #[test]
    fn startup_packets_are_told_apart() {
        let mut codec = Codec::new(1024);
        let ssl = codec.decode(&mut bytes(b"\0\0\0\x08\x04\xd2\x16\x2f")).expect("no error");
        assert!(matches!(ssl, Some(Incoming::Message(PgWireFrontendMessage::SslNegotiation(_)))));
        let startup = codec.decode(&mut bytes(b"\0\0\0\x12\0\x03\0\0user\0ana\0\0")).expect("no error");
        assert!(
            matches!(startup, Some(Incoming::Message(PgWireFrontendMessage::Startup(startup))) if startup.parameters["user"] == "ana")
        );
        let cancel = codec.decode(&mut bytes(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\0\0\0\x09")).expect("no error");
        assert!(
            matches!(cancel, Some(Incoming::Message(PgWireFrontendMessage::CancelRequest(cancel))) if cancel.pid == 7)
        );
        assert!(codec.decode(&mut bytes(b"GET / HTTP/1.1\r\n")).is_err());
    }
}
