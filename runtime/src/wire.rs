//! Fields with numbers, so that rows can grow: a reader skips numbers it does not know and takes absent ones as empty.
//!
//! The bytes are those of protocol buffers (varints and length-prefixed strings), small and with tools to look at them.
//! A field's number, once given out, never means anything else.

/// What a field holds.
pub(crate) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

const VARINT: u64 = 0;
const LENGTH_PREFIXED: u64 = 2;

/// Writes a number, also zero: presence means something for optional fields.
pub(crate) fn put_number(out: &mut Vec<u8>, field: u64, number: u64) {
    put_varint(out, field << 3 | VARINT);
    put_varint(out, number);
}

/// Writes a number unless it is zero, which is what absence is read as.
pub(crate) fn put_count(out: &mut Vec<u8>, field: u64, number: u64) {
    if number != 0 {
        put_number(out, field, number);
    }
}

/// Writes a point in time or nothing. The bits of the i64 are kept as they are.
pub(crate) fn put_time(out: &mut Vec<u8>, field: u64, micros: Option<i64>) {
    if let Some(micros) = micros {
        put_number(out, field, micros.cast_unsigned());
    }
}

/// Writes a byte string.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_varint(out, field << 3 | LENGTH_PREFIXED);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a text or nothing.
pub(crate) fn put_text(out: &mut Vec<u8>, field: u64, text: Option<&str>) {
    if let Some(text) = text {
        put_bytes(out, field, text.as_bytes());
    }
}

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Reads the fields one after another; an error ends it.
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first().ok_or("the bytes end inside a number")?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("a number is longer than ten bytes".to_owned())
    }

    /// The next field and its number.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            VARINT => Value::Number(self.varint()?),
            LENGTH_PREFIXED => {
                let length = usize::try_from(self.varint()?).map_err(|_| "a length is beyond this machine")?;
                if length > self.0.len() {
                    return Err(format!("field {} says {length} bytes, {} are left", tag >> 3, self.0.len()));
                }
                let (bytes, rest) = self.0.split_at(length);
                self.0 = rest;
                Value::Bytes(bytes)
            }
            other => return Err(format!("field {} has the unknown form {other}", tag >> 3)),
        };
        Ok(Some((tag >> 3, value)))
    }
}

impl Value<'_> {
    pub(crate) fn number(self) -> Result<u64, String> {
        match self {
            Value::Number(number) => Ok(number),
            Value::Bytes(_) => Err("a number was expected, a text is there".to_owned()),
        }
    }

    pub(crate) fn small(self) -> Result<u32, String> {
        u32::try_from(self.number()?).map_err(|_| "a number is beyond 32 bits".to_owned())
    }

    pub(crate) fn time(self) -> Result<i64, String> {
        self.number().map(u64::cast_signed)
    }

    pub(crate) fn bytes(self) -> Result<Vec<u8>, String> {
        match self {
            Value::Bytes(bytes) => Ok(bytes.to_vec()),
            Value::Number(_) => Err("a text was expected, a number is there".to_owned()),
        }
    }

    pub(crate) fn text(self) -> Result<String, String> {
        String::from_utf8(self.bytes()?).map_err(|_| "a text is not UTF-8".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Fields, Value, put_bytes, put_number};

    #[test]
    fn fields_read_back() {
        let mut out = Vec::new();
        put_number(&mut out, 1, u64::MAX);
        put_bytes(&mut out, 200, b"hello");
        put_number(&mut out, 3, 0);
        let mut fields = Fields::new(&out);
        let mut seen = Vec::new();
        while let Some((field, value)) = fields.next().unwrap() {
            seen.push(match value {
                Value::Number(number) => format!("{field}={number}"),
                Value::Bytes(bytes) => format!("{field}={}", String::from_utf8_lossy(bytes)),
            });
        }
        assert_eq!(seen, [format!("1={}", u64::MAX), "200=hello".to_owned(), "3=0".to_owned()]);
    }

    #[test]
    fn torn_bytes_are_an_error() {
        let mut out = Vec::new();
        put_bytes(&mut out, 1, b"hello");
        for length in 1..out.len() {
            assert!(Fields::new(&out[..length]).next().is_err(), "{length} bytes of {}", out.len());
        }
    }
}
