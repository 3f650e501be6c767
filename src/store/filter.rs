//! Which rows a list shows, as conditions of a statement.

use super::StoreError;
use super::driver::Value;
use super::record::{Bind, Binds};

/// The conditions of a list, joined by `AND`.
pub(super) struct Filter {
    conditions: Vec<String>,
    any_of: Option<AnyOf>,
    pub(super) binds: Binds,
}

impl Filter {
    /// No condition: everything.
    pub(super) fn all() -> Self {
        Self {
            conditions: vec!["1 = 1".to_owned()],
            any_of: None,
            binds: Ok(Vec::new()),
        }
    }

    /// The condition that every list has. `?` stands for the value.
    pub(super) fn new(condition: &str, value: impl Bind) -> Self {
        let mut filter = Self {
            conditions: Vec::new(),
            any_of: None,
            binds: Ok(Vec::new()),
        };
        filter.and(condition, value);
        filter
    }

    /// One more condition. Every `?` stands for the value.
    pub(super) fn and(&mut self, condition: &str, value: impl Bind) {
        let place = self.bind(value.bind());
        self.conditions.push(condition.replace('?', &place));
    }

    /// One more condition without a value.
    pub(super) fn and_plain(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    /// Limits the list to rows for which one of these conditions holds. A filter has one such limit at most.
    pub(super) fn any_of(&mut self, conditions: AnyOf) {
        debug_assert!(self.any_of.is_none(), "the second limit of a filter");
        self.any_of = Some(conditions);
    }

    /// Adds a value for conditions without one, and says which parameter it is.
    pub(super) fn place(&mut self, value: impl Bind) -> String {
        self.bind(value.bind())
    }

    /// The condition as a text, and the values in it.
    pub(super) fn into_parts(self) -> (String, Binds) {
        (self.sql(), self.binds)
    }

    /// Adds a value, and says which parameter it is.
    pub(super) fn bind(&mut self, value: Result<Value, StoreError>) -> String {
        match (&mut self.binds, value) {
            (Ok(binds), Ok(value)) => {
                binds.push(value);
                format!("${}", binds.len())
            }
            // The statement will not be sent.
            (binds @ Ok(_), Err(error)) => {
                *binds = Err(error);
                String::new()
            }
            (Err(_), _) => String::new(),
        }
    }

    /// The condition for statements that read all rows.
    pub(super) fn sql(&self) -> String {
        self.found("")
    }

    /// The condition for statements that read the first rows, `most` of them, in this order of the key.
    pub(super) fn first(&self, order: &str, most: &str) -> String {
        self.found(&format!("ORDER BY {order} LIMIT {most}"))
    }

    /// The condition for counting, which an index may answer without the table.
    pub(super) fn counted(&self) -> String {
        let any_of = self.any_of.iter().map(AnyOf::joined);
        let all: Vec<String> = self.conditions.iter().cloned().chain(any_of).collect();
        all.join(" AND ")
    }

    /// The condition; if some rows are enough, `ending` says which.
    fn found(&self, ending: &str) -> String {
        let all = self.conditions.join(" AND ");
        let Some(any_of) = &self.any_of else {
            return all;
        };
        let AnyOf {
            table,
            key,
            conditions,
        } = any_of;
        let found = conditions.iter().map(|one| {
            format!(
                r"
                SELECT {key} FROM (
                    SELECT {key} FROM {table} WHERE {all} AND {one} {ending}
                ) AS found
                "
            )
        });
        let found: Vec<String> = found.collect();
        format!("{key} IN ({})", found.join(" UNION ALL "))
    }
}

/// The most values of a column that are looked up one by one: each makes the statement longer. Hardly any
/// customer has so many accounts, or rows that were merged into its own.
const MOST_VALUES: usize = 16;

/// Conditions joined by `OR`. Each finds its rows by an index of its own that has them in the order of the list's
/// key, so a page costs the same however many rows there are: with an `OR`, an engine would read all of them
/// and sort them, or walk the table in the list's order until enough were found.
pub(super) struct AnyOf {
    table: &'static str,
    key: &'static str,
    conditions: Vec<String>,
}

impl AnyOf {
    /// No condition yet, for a list of this table, whose parameter `$1` is the app, in the order of this key.
    pub(super) fn of(table: &'static str, key: &'static str) -> Self {
        Self {
            table,
            key,
            conditions: Vec::new(),
        }
    }

    /// One more condition.
    pub(super) fn or(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// One more condition for each value of a column. If they are many, a single one, by a subquery that finds them.
    pub(super) fn or_each<V: Bind>(
        &mut self,
        filter: &mut Filter,
        column: &str,
        values: impl ExactSizeIterator<Item = V>,
        subquery: impl FnOnce(&mut Filter) -> String,
    ) {
        let Self { table, key, .. } = *self;
        if values.len() > MOST_VALUES {
            // By way of the key, or an engine may walk the table in the list's order.
            let values = subquery(filter);
            self.or(format!(
                "{key} IN (SELECT {key} FROM {table} WHERE app = $1 AND {column} IN ({values}))"
            ));
            return;
        }
        for value in values {
            self.or(format!("{column} = {}", filter.place(value)));
        }
    }

    /// The conditions in one.
    pub(super) fn joined(&self) -> String {
        format!("({})", self.conditions.join(" OR "))
    }
}
