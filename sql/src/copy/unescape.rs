//! One line into its values.

use crate::error::{Error, Result, code};
use crate::parse::CopyFormat;

/// Reads the values of lines, with a buffer that is used again.
#[derive(Debug)]
pub(super) struct Reader<'f> {
    format: &'f CopyFormat,
    buffer: Vec<u8>,
}

fn bad(message: &str) -> Error {
    Error::new(code::BAD_COPY_FILE_FORMAT, message)
}

impl<'f> Reader<'f> {
    pub(super) fn new(format: &'f CopyFormat) -> Self {
        Self { format, buffer: Vec::new() }
    }

    /// Gives each value of `line` to `take`, `None` for NULL.
    pub(super) fn read(&mut self, line: &str, take: impl FnMut(Option<&str>) -> Result<()>) -> Result<()> {
        if self.format.csv { self.read_csv(line, take) } else { self.read_text(line, take) }
    }

    fn read_text(&mut self, line: &str, mut take: impl FnMut(Option<&str>) -> Result<()>) -> Result<()> {
        let bytes = line.as_bytes();
        let mut start = 0;
        loop {
            let mut end = start;
            let mut escaped = false;
            while end < bytes.len() && bytes[end] != self.format.delimiter {
                if bytes[end] == b'\\' {
                    escaped = true;
                    end += 1;
                }
                end += 1;
            }
            let end = end.min(bytes.len());
            let raw = &line[start..end];
            // NULL is looked for before anything is unescaped.
            if raw == self.format.null {
                take(None)?;
            } else if escaped {
                self.buffer.clear();
                unescape(raw.as_bytes(), &mut self.buffer);
                let value = std::str::from_utf8(&self.buffer).map_err(|_| {
                    Error::new(code::CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\"")
                })?;
                take(Some(value))?;
            } else {
                take(Some(raw))?;
            }
            if end == bytes.len() {
                return Ok(());
            }
            start = end + 1;
        }
    }

    fn read_csv(&mut self, line: &str, mut take: impl FnMut(Option<&str>) -> Result<()>) -> Result<()> {
        let CopyFormat { delimiter, quote, escape, null, .. } = self.format;
        let bytes = line.as_bytes();
        let mut at = 0;
        loop {
            let start = at;
            let plain = bytes[at..].iter().position(|byte| byte == delimiter || byte == quote);
            match plain.map(|length| at + length) {
                // No quotes: the value stands as it is.
                None => return take((line[start..] != **null).then_some(&line[start..])),
                Some(end) if bytes[end] == *delimiter => {
                    take((line[start..end] != **null).then_some(&line[start..end]))?;
                    at = end + 1;
                }
                Some(first_quote) => {
                    self.buffer.clear();
                    self.buffer.extend_from_slice(&bytes[start..first_quote]);
                    at = first_quote;
                    let mut quoted = false;
                    while at < bytes.len() && (quoted || bytes[at] != *delimiter) {
                        let byte = bytes[at];
                        let next = bytes.get(at + 1).copied();
                        if quoted && byte == *escape && next.is_some_and(|next| next == *quote || next == *escape) {
                            self.buffer.extend(next);
                            at += 1;
                        } else if byte == *quote {
                            quoted = !quoted;
                        } else {
                            self.buffer.push(byte);
                        }
                        at += 1;
                    }
                    if quoted {
                        return Err(bad("unterminated CSV quoted field"));
                    }
                    // Quotes and escapes are ASCII, so what is left of UTF-8 without them is UTF-8.
                    let value = std::str::from_utf8(&self.buffer).map_err(|_| bad("a CSV field is not UTF-8"))?;
                    // What was quoted is never NULL.
                    take(Some(value))?;
                    if at == bytes.len() {
                        return Ok(());
                    }
                    at += 1;
                }
            }
        }
    }
}

/// PostgreSQL's backslash sequences of text format.
fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let [code, tail @ ..] = rest else {
            // A backslash at the very end stands for itself.
            out.push(b'\\');
            return;
        };
        rest = tail;
        match code {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let mut value = u32::from(code - b'0');
                for _ in 0..2 {
                    let [digit @ b'0'..=b'7', tail @ ..] = rest else { break };
                    value = value * 8 + u32::from(digit - b'0');
                    rest = tail;
                }
                out.push(value as u8);
            }
            b'x' if rest.first().is_some_and(u8::is_ascii_hexdigit) => {
                let mut value = 0;
                for _ in 0..2 {
                    let Some(digit) = rest.first().and_then(|byte| char::from(*byte).to_digit(16)) else { break };
                    value = value * 16 + digit;
                    rest = &rest[1..];
                }
                out.push(value as u8);
            }
            other => out.push(*other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: &CopyFormat, line: &str) -> Result<Vec<Option<String>>> {
        let mut values = Vec::new();
        Reader::new(format).read(line, |value| {
            values.push(value.map(str::to_owned));
            Ok(())
        })?;
        Ok(values)
    }

    fn text(line: &str) -> Vec<Option<String>> {
        let format =
            CopyFormat { csv: false, header: false, delimiter: b'\t', null: "\\N".into(), quote: b'"', escape: b'"' };
        read(&format, line).unwrap()
    }

    fn csv(line: &str) -> Vec<Option<String>> {
        read(&csv_format(), line).unwrap()
    }

    fn csv_format() -> CopyFormat {
        CopyFormat { csv: true, header: false, delimiter: b',', null: String::new(), quote: b'"', escape: b'"' }
    }

    fn some(values: &[&str]) -> Vec<Option<String>> {
        values.iter().map(|value| Some((*value).to_owned())).collect()
    }

    #[test]
    fn text_is_unescaped_and_null_is_told_from_its_own_letters() {
        assert_eq!(text("a\tb\t"), some(&["a", "b", ""]));
        assert_eq!(text("a\\tb\\nc\\\\d"), some(&["a\tb\nc\\d"]));
        assert_eq!(text("\\N"), [None]);
        assert_eq!(text("\\\\N"), some(&["\\N"]));
        assert_eq!(text("a\\\tb"), some(&["a\tb"]));
        assert_eq!(text("\\x41\\101\\q"), some(&["AAq"]));
        assert_eq!(text(""), some(&[""]));
        assert_eq!(text("é\\n"), some(&["é\n"]));
    }

    #[test]
    fn csv_quotes_are_read_and_what_is_quoted_is_not_null() {
        assert_eq!(csv("a,b"), some(&["a", "b"]));
        assert_eq!(csv("\"a,\"\"b\"\"\",c"), some(&["a,\"b\"", "c"]));
        assert_eq!(csv(",\"\","), [None, Some(String::new()), None]);
        assert_eq!(csv("x\"y\"z"), some(&["xyz"]));
        assert_eq!(csv("\"a\nb\""), some(&["a\nb"]));
        let backslash = CopyFormat { escape: b'\\', ..csv_format() };
        assert_eq!(read(&backslash, "\"a\\\"b\\\\\"").unwrap(), some(&["a\"b\\"]));
        assert_eq!(read(&csv_format(), "\"a").unwrap_err().sqlstate, code::BAD_COPY_FILE_FORMAT);
    }
}
