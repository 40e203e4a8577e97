//! Where lines end: in text behind an even number of backslashes, in CSV outside of quotes.

use crate::error::{Error, Result, code};
use crate::parse::CopyFormat;

/// Lines that are parsed and committed together.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    /// Where each line ends, its line break left out, and where the next one begins.
    pub(super) lines: Vec<(usize, usize)>,
    /// The number of the first line, counted from 1 over the whole data.
    pub(super) first_line: u64,
}

/// Cuts data that comes in pieces into chunks of whole lines.
#[derive(Debug)]
pub(super) struct Splitter {
    csv: bool,
    quote: u8,
    escape: u8,
    rows_max: usize,
    bytes_max: usize,
    chunk: Chunk,
    /// Where in the chunk the line begins whose end is not found yet, and up to where it was looked at.
    line: usize,
    looked: usize,
    quoted: bool,
    /// The last byte looked at makes the next one a character.
    escaped: bool,
    lines: u64,
    header: bool,
    /// `\.` on a line of its own: what follows is ignored.
    ended: bool,
}

impl Splitter {
    pub(super) fn new(format: &CopyFormat, rows_max: usize, bytes_max: usize) -> Self {
        Self {
            csv: format.csv,
            quote: format.quote,
            escape: format.escape,
            rows_max: rows_max.max(1),
            bytes_max,
            chunk: Chunk { first_line: 1, ..Chunk::default() },
            line: 0,
            looked: 0,
            quoted: false,
            escaped: false,
            lines: 0,
            header: format.header,
            ended: false,
        }
    }

    /// Takes data, and gives every chunk that is full to `full`.
    pub(super) fn push(&mut self, mut data: &[u8], mut full: impl FnMut(Chunk)) -> Result<()> {
        while !data.is_empty() && !self.ended {
            // Never more than what fits, so that a chunk does not grow by a whole message beyond its bound.
            let room = (self.bytes_max + 1).saturating_sub(self.chunk.bytes.len()).clamp(1, data.len());
            self.chunk.bytes.extend_from_slice(&data[..room]);
            data = &data[room..];
            while let Some(end) = self.line_end() {
                self.end_line(end, end + 1);
                if self.chunk.lines.len() >= self.rows_max {
                    full(self.cut());
                }
            }
            if self.chunk.bytes.len() > self.bytes_max {
                if self.chunk.lines.is_empty() {
                    return Err(Error::new(
                        code::PROGRAM_LIMIT_EXCEEDED,
                        format!("a line is longer than {} bytes", self.bytes_max),
                    )
                    .hint("raise copy.chunk_bytes_max")
                    .context(format!("line {}", self.lines + 1)));
                }
                full(self.cut());
            }
        }
        Ok(())
    }

    /// The data ends: what is left is the last line.
    pub(super) fn finish(mut self) -> Result<Chunk> {
        if self.ended {
            return Ok(self.cut());
        }
        if self.quoted {
            return Err(Error::new(code::BAD_COPY_FILE_FORMAT, "unterminated CSV quoted field")
                .context(format!("line {}", self.lines + 1)));
        }
        let end = self.chunk.bytes.len();
        if self.line < end {
            self.end_line(end, end);
        }
        Ok(self.cut())
    }

    /// Where the line ends that is being looked at, if it ends.
    fn line_end(&mut self) -> Option<usize> {
        if self.ended {
            return None;
        }
        let bytes = &self.chunk.bytes;
        while self.looked < bytes.len() {
            let byte = bytes[self.looked];
            self.looked += 1;
            if self.csv {
                if self.quoted && byte == self.escape && self.escape != self.quote && !self.escaped {
                    self.escaped = true;
                    continue;
                }
                // Where a quote is escaped by itself it ends and begins again, which comes to the same.
                if byte == self.quote && !self.escaped {
                    self.quoted = !self.quoted;
                }
                self.escaped = false;
                if byte == b'\n' && !self.quoted {
                    return Some(self.looked - 1);
                }
            } else if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'\n' {
                return Some(self.looked - 1);
            }
        }
        None
    }

    fn end_line(&mut self, end: usize, next: usize) {
        self.lines += 1;
        let line = &self.chunk.bytes[self.line..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let content_end = self.line + line.len();
        self.ended = line == b"\\.";
        let header = std::mem::take(&mut self.header);
        if header || self.ended {
            // Not a row: its bytes are passed over as if they belonged to the line before.
            match self.chunk.lines.last_mut() {
                Some(last) => last.1 = next,
                None => {
                    self.chunk.bytes.drain(..next);
                    self.chunk.first_line = self.lines + 1;
                    self.line = 0;
                    self.looked = self.looked.saturating_sub(next);
                    return;
                }
            }
        } else {
            self.chunk.lines.push((content_end, next));
        }
        self.line = next;
    }

    /// The whole lines so far; the beginning of the next one stays.
    fn cut(&mut self) -> Chunk {
        let rest = self.chunk.bytes.split_off(self.line);
        self.looked = self.looked.saturating_sub(self.line);
        self.line = 0;
        let next = Chunk { bytes: rest, lines: Vec::new(), first_line: self.lines + 1 };
        std::mem::replace(&mut self.chunk, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(csv: bool, header: bool) -> CopyFormat {
        let delimiter = if csv { b',' } else { b'\t' };
        let null = if csv { String::new() } else { "\\N".to_owned() };
        CopyFormat { csv, header, delimiter, null, quote: b'"', escape: b'"' }
    }

    /// The lines and the number of each chunk's first, with the data coming in pieces of `step` bytes.
    fn split(format: &CopyFormat, data: &str, step: usize, rows_max: usize) -> Vec<(u64, Vec<String>)> {
        let mut chunks = Vec::new();
        let mut splitter = Splitter::new(format, rows_max, 64);
        for piece in data.as_bytes().chunks(step) {
            splitter.push(piece, |chunk| chunks.push(chunk)).unwrap();
        }
        chunks.push(splitter.finish().unwrap());
        let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
        chunks
            .iter()
            .filter(|chunk| !chunk.lines.is_empty())
            .map(|chunk| {
                let starts = std::iter::once(0).chain(chunk.lines.iter().map(|(_, next)| *next));
                let lines = starts.zip(&chunk.lines).map(|(start, (end, _))| text(&chunk.bytes[start..*end]));
                (chunk.first_line, lines.collect())
            })
            .collect()
    }

    fn lines(format: &CopyFormat, data: &str) -> Vec<String> {
        let whole: Vec<String> =
            split(format, data, data.len().max(1), 1000).into_iter().flat_map(|(_, lines)| lines).collect();
        for step in 1..=data.len() {
            for rows_max in 1..4 {
                let pieces = split(format, data, step, rows_max);
                let again: Vec<String> = pieces.into_iter().flat_map(|(_, lines)| lines).collect();
                assert_eq!(again, whole, "pieces of {step}, chunks of {rows_max}");
            }
        }
        whole
    }

    #[test]
    fn text_lines_end_at_line_breaks_that_are_not_escaped() {
        let text = format(false, false);
        assert_eq!(lines(&text, "a\nb\r\nc"), ["a", "b", "c"]);
        assert_eq!(lines(&text, "a\\\nb\n"), ["a\\\nb"]);
        assert_eq!(lines(&text, "a\\\\\nb\n"), ["a\\\\", "b"]);
        assert_eq!(lines(&text, "a\n\\.\nignored\n"), ["a"]);
        assert_eq!(lines(&text, "\n\n"), ["", ""]);
        assert_eq!(lines(&text, ""), [""; 0]);
    }

    #[test]
    fn csv_lines_end_outside_of_quotes() {
        let csv = format(true, false);
        assert_eq!(lines(&csv, "\"a\nb\",1\n2,\"\"\"\n\"\n"), ["\"a\nb\",1", "2,\"\"\"\n\""]);
        let escaped = CopyFormat { escape: b'\\', ..csv };
        assert_eq!(lines(&escaped, "\"a\\\"\n\",1\nx\n"), ["\"a\\\"\n\",1", "x"]);
    }

    #[test]
    fn a_header_is_passed_over_and_lines_keep_their_numbers() {
        let csv = format(true, true);
        assert_eq!(lines(&csv, "id,name\n1,a\n2,b\n"), ["1,a", "2,b"]);
        let chunks = split(&csv, "id,name\n1,a\n2,b\n3,c\n", 5, 2);
        assert_eq!(chunks.iter().map(|(first, _)| *first).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn chunks_are_bounded_and_so_are_lines() {
        let text = format(false, false);
        let data = "0123456789\n".repeat(20);
        assert!(split(&text, &data, 1000, 1000).iter().all(|(_, lines)| lines.len() <= 6));
        let mut splitter = Splitter::new(&text, 10, 64);
        let error = splitter.push(&[b'x'; 100], |_| {}).unwrap_err();
        assert_eq!(error.sqlstate, code::PROGRAM_LIMIT_EXCEEDED);
    }

    #[test]
    fn quotes_that_stay_open_are_an_error() {
        let mut splitter = Splitter::new(&format(true, false), 10, 64);
        splitter.push(b"\"a\nb", |_| {}).unwrap();
        assert_eq!(splitter.finish().unwrap_err().sqlstate, code::BAD_COPY_FILE_FORMAT);
    }
}
