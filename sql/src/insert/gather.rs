//! Rows of one table, encoded, each with its owner. INSERT and COPY both end here.

use crate::error::{Error, Result, code, nearest};
use crate::session::{Identity, Pending};
use datafusion::arrow::array::{Array, ArrayRef, StringArray, new_null_array};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};
use ebbtide_engine::Packed;
use ebbtide_store::hot::codec::Encoder;
use ebbtide_store::{Hidden, Kind, Table, UserId, arrow_schema};
use std::collections::HashMap;
use std::sync::Arc;

/// Where the values of a statement go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The table's column at this place.
    Own(usize),
    /// `_user_id`.
    Owner,
}

/// A table to be written to, by whom, and which of its columns are given.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) table: Arc<Table>,
    identity: Identity,
    /// One per value of a row.
    pub(crate) slots: Vec<Slot>,
    /// The table's own columns.
    schema: SchemaRef,
}

impl Target {
    /// The columns that were named, or all of the table's own.
    pub(crate) fn new(table: Arc<Table>, identity: Identity, names: &[(String, Option<u32>)]) -> Result<Self> {
        let mut slots = Vec::with_capacity(names.len());
        for (name, position) in names {
            let slot = slot(&table, name).map_err(|error| error.at(*position))?;
            if slots.contains(&slot) {
                return Err(Error::new(code::DUPLICATE_COLUMN, format!("column \"{name}\" specified more than once"))
                    .at(*position));
            }
            slots.push(slot);
        }
        if names.is_empty() {
            slots = (0..table.columns.len()).map(Slot::Own).collect();
        }
        if table.kind == Kind::User && identity.is_service() && !slots.contains(&Slot::Owner) {
            return Err(Error::new(
                code::NOT_NULL_VIOLATION,
                format!("{} is a USER table: a service role must say whose rows these are", table.qualified_name()),
            )
            .hint(format!("name the column {} and give each row its user", Hidden::UserId.name())));
        }
        let own: Vec<_> = arrow_schema(&table).fields().iter().take(table.columns.len()).cloned().collect();
        Ok(Self { table, identity, slots, schema: Arc::new(Schema::new(own)) })
    }

    /// The name of the column that the values at this place go to.
    pub(crate) fn column_name(&self, place: usize) -> &str {
        match self.slots.get(place) {
            Some(Slot::Own(column)) => self.table.columns[*column].name.as_str(),
            _ => Hidden::UserId.name(),
        }
    }
}

fn slot(table: &Table, name: &str) -> Result<Slot> {
    if let Some(place) = table.columns.iter().position(|column| column.name.as_str() == name) {
        return Ok(Slot::Own(place));
    }
    if table.kind == Kind::User && name == Hidden::UserId.name() {
        return Ok(Slot::Owner);
    }
    if Hidden::of(table.kind).iter().any(|hidden| hidden.name() == name) {
        return Err(Error::new(
            code::GENERATED_ALWAYS,
            format!("column \"{name}\" is filled by the database and cannot be written"),
        ));
    }
    let error = Error::new(
        code::UNDEFINED_COLUMN,
        format!("column \"{name}\" of relation \"{}\" does not exist", table.qualified_name()),
    );
    Err(match nearest(name, table.columns.iter().map(|column| column.name.as_str())) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error,
    })
}

/// A row that cannot be written, and why.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// Counted from 0, in the batch it came in.
    pub(crate) row: usize,
    /// The column, if it is one's fault.
    pub(crate) column: Option<String>,
    pub(crate) error: Box<Error>,
}

impl Misfit {
    pub(crate) fn new(row: usize, column: Option<&str>, error: impl Into<Error>) -> Self {
        Self { row, column: column.map(str::to_owned), error: Box::new(error.into()) }
    }
}

/// Rows that gather until they are written.
#[derive(Debug)]
pub(crate) struct Gather {
    target: Target,
    row_bytes_max: usize,
    /// Where in `rows` a user's are.
    places: HashMap<UserId, usize>,
    rows: Vec<(UserId, Packed)>,
    bytes: usize,
}

impl Gather {
    pub(crate) fn new(target: Target, row_bytes_max: usize) -> Self {
        Self { target, row_bytes_max, places: HashMap::new(), rows: Vec::new(), bytes: 0 }
    }

    /// Encoded bytes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds rows: a column for each of the target's slots, of exactly its type; text for `_user_id`.
    pub(crate) fn add(&mut self, given: &[ArrayRef], rows: usize) -> Result<(), Misfit> {
        let table = self.target.table.clone();
        let mut columns: Vec<Option<ArrayRef>> = vec![None; table.columns.len()];
        let mut owners = None;
        for (slot, array) in self.target.slots.iter().zip(given) {
            match slot {
                Slot::Own(place) => columns[*place] = Some(array.clone()),
                Slot::Owner => owners = Some(array.clone()),
            }
        }
        let columns: Vec<ArrayRef> = columns
            .into_iter()
            .zip(&table.columns)
            .map(|(array, column)| array.unwrap_or_else(|| new_null_array(&column.column_type.arrow(), rows)))
            .collect();
        for (array, column) in columns.iter().zip(&table.columns) {
            if !column.nullable
                && array.null_count() > 0
                && let Some(row) = (0..rows).find(|row| array.is_null(*row))
            {
                return Err(Misfit::new(row, Some(column.name.as_str()), null(column.name.as_str(), &table)));
            }
            if let Some(row) = array.as_any().downcast_ref::<StringArray>().and_then(zero_byte) {
                let message = "a text cannot hold the zero byte; send it as BYTEA";
                let error = Error::new(code::CHARACTER_NOT_IN_REPERTOIRE, message);
                return Err(Misfit::new(row, Some(column.name.as_str()), error));
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.target.schema.clone(), columns, &options)
            .map_err(|error| Misfit::new(0, None, Error::internal(error.to_string())))?;
        let encoder = Encoder::new(&table, self.row_bytes_max);
        let encoded = encoder.bind(&batch).map_err(store_misfit)?;
        let owners = owners
            .as_ref()
            .map(|array| {
                let texts = array.as_any().downcast_ref::<StringArray>();
                texts.ok_or_else(|| Misfit::new(0, None, Error::internal("owners are text")))
            })
            .transpose()?;
        let mut last: Option<(Option<&str>, usize)> = None;
        for row in 0..rows {
            let owner = owners.filter(|owners| owners.is_valid(row)).map(|owners| owners.value(row));
            let place = match last {
                // Rows of one user tend to come together.
                Some((before, place)) if before == owner => place,
                _ => self.place(owner).map_err(|error| Misfit::new(row, Some(Hidden::UserId.name()), error))?,
            };
            last = Some((owner, place));
            let packed = &mut self.rows[place].1;
            let before = packed.bytes();
            encoded.push(row, packed).map_err(|error| Misfit::new(row, None, error))?;
            self.bytes += packed.bytes() - before;
        }
        Ok(())
    }

    /// Where the rows of this owner go; `None`: none was given.
    fn place(&mut self, given: Option<&str>) -> Result<usize> {
        let table = &self.target.table;
        let owner = match (table.kind, &self.target.identity, given) {
            (Kind::Shared, ..) => UserId::shared(),
            (Kind::User, Identity::User(own), None) => own.clone(),
            (Kind::User, Identity::User(own), Some(given)) if own.as_str() == given => own.clone(),
            (Kind::User, Identity::User(own), Some(_)) => {
                return Err(Error::new(
                    code::INSUFFICIENT_PRIVILEGE,
                    format!("user \"{own}\" may write rows of his own only"),
                )
                .hint(format!("leave {} out", Hidden::UserId.name())));
            }
            (Kind::User, Identity::Service(_), Some(given)) => {
                UserId::new(given).map_err(|error| Error::new(code::INVALID_PARAMETER_VALUE, error.to_string()))?
            }
            (Kind::User, Identity::Service(_), None) => return Err(null(Hidden::UserId.name(), table)),
        };
        if let Some(place) = self.places.get(&owner) {
            return Ok(*place);
        }
        let place = self.rows.len();
        self.places.insert(owner.clone(), place);
        self.rows.push((owner, Packed::new()));
        Ok(place)
    }

    /// The rows, to be written; more can be gathered afterwards.
    pub(crate) fn take(&mut self) -> Pending {
        self.places.clear();
        self.bytes = 0;
        Pending { table: self.target.table.clone(), rows: std::mem::take(&mut self.rows) }
    }
}

/// The first text with a zero byte. Clients written in C would see an end there.
fn zero_byte(texts: &StringArray) -> Option<usize> {
    // All bytes at once: hardly ever is there one to be looked for in its row.
    let any = texts.value_data().contains(&0);
    any.then(|| texts.iter().position(|text| text.is_some_and(|text| text.contains('\0')))).flatten()
}

fn null(column: &str, table: &Table) -> Error {
    Error::new(
        code::NOT_NULL_VIOLATION,
        format!(
            "null value in column \"{column}\" of relation \"{}\" violates not-null constraint",
            table.qualified_name()
        ),
    )
}

/// What the encoder found, where it says where.
fn store_misfit(error: ebbtide_store::Error) -> Misfit {
    use ebbtide_store::Error as Store;
    match &error {
        Store::NotNull { column, row } | Store::Value { column, row, .. } => {
            let (row, column) = (row.saturating_sub(1), column.clone());
            Misfit { row, column: Some(column), error: Box::new(error.into()) }
        }
        _ => Misfit::new(0, None, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use datafusion::arrow::array::Int64Array;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn ints(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn names(names: &[&str]) -> Vec<(String, Option<u32>)> {
        names.iter().map(|name| ((*name).to_owned(), None)).collect()
    }

    #[test]
    fn rows_go_to_their_owners_in_the_order_they_came() {
        let service = Identity::Service("admin".into());
        let target = Target::new(testing::user_table(), service, &names(&["_user_id", "id", "body"])).unwrap();
        let mut gather = Gather::new(target, 1 << 20);
        let owners = texts(&[Some("ana"), Some("ben"), Some("ana")]);
        gather.add(&[owners, ints(&[Some(1), Some(2), Some(3)]), texts(&[Some("a"), None, Some("c")])], 3).unwrap();
        let pending = gather.take();
        let counts: Vec<_> = pending.rows.iter().map(|(user, rows)| (user.as_str(), rows.len())).collect();
        assert_eq!(counts, [("ana", 2), ("ben", 1)]);
        assert_eq!(pending.count(), 3);
        assert_eq!(gather.bytes(), 0);
    }

    #[test]
    fn a_user_writes_for_nobody_else() {
        let ana = Identity::User(user("ana"));
        let target = Target::new(testing::user_table(), ana, &names(&["id", "_user_id"])).unwrap();
        let mut gather = Gather::new(target, 1 << 20);
        gather.add(&[ints(&[Some(1), Some(2)]), texts(&[Some("ana"), None])], 2).unwrap();
        let misfit = gather.add(&[ints(&[Some(1), Some(2)]), texts(&[Some("ana"), Some("ben")])], 2).unwrap_err();
        assert_eq!((misfit.row, misfit.error.sqlstate), (1, code::INSUFFICIENT_PRIVILEGE));
    }

    #[test]
    fn a_missing_value_is_found_with_its_row() {
        let ana = Identity::User(user("ana"));
        let target = Target::new(testing::user_table(), ana.clone(), &names(&["id"])).unwrap();
        let mut gather = Gather::new(target, 1 << 20);
        let misfit = gather.add(&[ints(&[Some(1), None])], 2).unwrap_err();
        assert_eq!((misfit.row, misfit.column.as_deref()), (1, Some("id")));
        assert_eq!(misfit.error.sqlstate, code::NOT_NULL_VIOLATION);
        let target = Target::new(testing::user_table(), ana, &names(&["body"])).unwrap();
        let misfit = Gather::new(target, 1 << 20).add(&[texts(&[Some("a")])], 1).unwrap_err();
        assert_eq!(misfit.error.sqlstate, code::NOT_NULL_VIOLATION);
    }

    #[test]
    fn columns_are_looked_up() {
        let ana = Identity::User(user("ana"));
        let error = |list: &[&str]| Target::new(testing::user_table(), ana.clone(), &names(list)).unwrap_err();
        assert_eq!(error(&["bdy"]).hint.as_deref(), Some("did you mean body?"));
        assert_eq!(error(&["bdy"]).sqlstate, code::UNDEFINED_COLUMN);
        assert_eq!(error(&["_seq"]).sqlstate, code::GENERATED_ALWAYS);
        assert_eq!(error(&["id", "id"]).sqlstate, code::DUPLICATE_COLUMN);
        let service = Identity::Service("admin".into());
        let error = Target::new(testing::user_table(), service, &names(&["id"])).unwrap_err();
        assert_eq!(error.sqlstate, code::NOT_NULL_VIOLATION);
    }
}
