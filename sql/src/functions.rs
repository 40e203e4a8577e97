//! Functions that PostgreSQL clients ask for and DataFusion does not have, or has with another answer.

use crate::error::Result;
use crate::scan::CATALOG;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result as Planned;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// Clients read the number after `PostgreSQL` to know which features to expect.
pub const VERSION: &str = concat!("PostgreSQL 16.0 (Ebbtide ", env!("CARGO_PKG_VERSION"), ")");

/// Adds the functions whose answers are the same for everybody.
pub(crate) fn register(mut state: SessionState) -> Result<SessionState> {
    let database = Some(CATALOG.to_owned());
    add(&mut state, Constant::new("version", &["pg_catalog.version"], Some(VERSION.to_owned())))?;
    add(&mut state, Constant::new("current_database", &["current_catalog", "pg_catalog.current_database"], database))?;
    Ok(state)
}

/// Adds those that depend on who asks, and where he looks for tables.
pub(crate) fn register_session(state: &mut SessionState, user: &str, namespace: Option<&str>) -> Result<()> {
    let aliases = ["session_user", "user", "current_role"];
    add(state, Constant::new("current_user", &aliases, Some(user.to_owned())))?;
    add(state, Constant::new("current_schema", &["pg_catalog.current_schema"], namespace.map(str::to_owned)))
}

fn add(state: &mut SessionState, function: Constant) -> Result<()> {
    state.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    Ok(())
}

/// A function without arguments that always has the same text for an answer.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: &'static str,
    aliases: Vec<String>,
    answer: Option<String>,
    signature: Signature,
}

impl Constant {
    fn new(name: &'static str, aliases: &[&str], answer: Option<String>) -> Self {
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        Self { name, aliases, answer, signature: Signature::nullary(Volatility::Stable) }
    }
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Planned<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Planned<ColumnarValue> {
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8(self.answer.clone())))
    }
}
