//! A chunk's lines into rows.

use super::split::Chunk;
use super::unescape::Reader;
use crate::error::{Error, Result, code};
use crate::insert::{Gather, Misfit, Target, column_type};
use crate::parse::CopyFormat;
use crate::session::Pending;
use crate::value::Builder;
use datafusion::arrow::array::ArrayRef;

/// Parses chunks of one COPY.
#[derive(Debug, Clone)]
pub(super) struct Parser {
    pub(super) target: Target,
    pub(super) format: CopyFormat,
    pub(super) row_bytes_max: usize,
}

impl Parser {
    /// The rows of a chunk, encoded. One bad line and the whole chunk is refused, with the line and the column.
    pub(super) fn parse(&self, chunk: &Chunk) -> Result<Pending> {
        let line = |row: usize| chunk.first_line + row as u64;
        // Checked once: the parts of a valid text at ASCII boundaries are valid.
        let text = std::str::from_utf8(&chunk.bytes).map_err(|error| {
            let row = chunk.lines.iter().take_while(|(_, next)| *next <= error.valid_up_to()).count();
            self.at(line(row), None, encoding())
        })?;
        let rows = chunk.lines.len();
        let slots = &self.target.slots;
        let mut columns: Vec<Builder> =
            slots.iter().map(|slot| Builder::new(column_type(&self.target, *slot), rows)).collect();
        let mut reader = Reader::new(&self.format);
        let mut start = 0;
        for (row, (end, next)) in chunk.lines.iter().enumerate() {
            let mut place = 0;
            let read = reader.read(&text[start..*end], |value| {
                let Some(column) = columns.get_mut(place) else {
                    return Err(Error::new(code::BAD_COPY_FILE_FORMAT, "extra data after last expected column"));
                };
                match value {
                    None => column.push_null(),
                    Some(value) => column.push_text(value)?,
                }
                place += 1;
                Ok(())
            });
            read.map_err(|error| {
                let known = (place < slots.len()).then(|| self.target.column_name(place));
                self.at(line(row), known, error)
            })?;
            if place < slots.len() {
                let missing = self.target.column_name(place);
                let error = Error::new(code::BAD_COPY_FILE_FORMAT, format!("missing data for column \"{missing}\""));
                return Err(self.at(line(row), None, error));
            }
            start = *next;
        }
        let arrays: Vec<ArrayRef> = columns.iter_mut().map(Builder::finish).collect();
        let mut gather = Gather::new(self.target.clone(), self.row_bytes_max);
        gather
            .add(&arrays, rows)
            .map_err(|Misfit { row, column, error }| self.at(line(row), column.as_deref(), *error))?;
        Ok(gather.take())
    }

    /// An error with its place in the data.
    fn at(&self, line: u64, column: Option<&str>, error: Error) -> Error {
        let table = self.target.table.qualified_name();
        error.context(match column {
            Some(column) => format!("COPY {table}, line {line}, column {column}"),
            None => format!("COPY {table}, line {line}"),
        })
    }
}

fn encoding() -> Error {
    Error::new(code::CHARACTER_NOT_IN_REPERTOIRE, "invalid byte sequence for encoding \"UTF8\"")
}
