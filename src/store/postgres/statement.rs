//! The shared statements in PostgreSQL's terms.
//!
//! A set of rows becomes one array a column, unpacked by `UNNEST`, so one bind of ours can be
//! several parameters and the numbers behind it move. The text depends on the columns alone.

use chrono::{DateTime, Utc};
use sqlx::Arguments;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;

use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::driver::{Batch, Column, Value};

/// The text and the parameters that the server gets. Texts come from this crate alone, never
/// from a request, which is what the driver asserts to sqlx.
pub(super) fn translate(sql: &str, binds: Vec<Value>) -> Result<(String, PgArguments), StoreError> {
    let mut arguments = PgArguments::default();
    // What stands for each bind, and for the set of rows.
    let mut places = Vec::with_capacity(binds.len());
    let mut rows = String::new();
    for value in binds {
        let next = arguments.len() + 1;
        places.push(match &value {
            Value::Json(_) => format!("${next}::jsonb"),
            _ => format!("${next}"),
        });
        match value {
            Value::Text(text) => arguments.add(text.map(without_nul)),
            Value::Int(number) => arguments.add(number),
            Value::Bool(yes) => arguments.add(yes),
            Value::Time(at) => arguments.add(at.map(instant)),
            Value::Nanos(at) => arguments.add(at.map(Timestamp::nanos)),
            Value::Json(document) => arguments.add(document.map(json_without_nul)),
            Value::Bytes(bytes) => arguments.add(bytes),
            Value::Rows(batch) => {
                rows = unpack(&batch, next);
                let mut columns = batch.columns.into_iter();
                columns.try_for_each(|column| add_column(&mut arguments, column))
            }
        }
        .map_err(|source| super::error::failed(sqlx::Error::Encode(source)))?;
    }
    let pieces: Vec<String> = sql
        .split("{rows}")
        .map(|piece| renumber(piece, &places))
        .collect();
    Ok((pieces.join(&rows), arguments))
}

/// `(SELECT key, kept::jsonb AS kept FROM UNNEST($1::text[], …) AS cells (key, kept))`.
fn unpack(batch: &Batch, first: usize) -> String {
    let mut selected = Vec::new();
    let mut arrays = Vec::new();
    for (index, (name, column)) in batch.names.iter().zip(&batch.columns).enumerate() {
        let (array, cell) = match column {
            // The collation of all our columns; a UNION of two collations is refused.
            Column::Text(_) => ("text[]", format!("{name} COLLATE \"C\" AS {name}")),
            Column::Int(_) | Column::Nanos(_) => ("bigint[]", (*name).to_owned()),
            Column::Bool(_) => ("boolean[]", (*name).to_owned()),
            Column::Time(_) => ("timestamptz[]", (*name).to_owned()),
            Column::Json(_) => ("text[]", format!("{name}::jsonb AS {name}")),
            Column::Bytes(_) => ("bytea[]", (*name).to_owned()),
        };
        selected.push(cell);
        arrays.push(format!("${}::{array}", first + index));
    }
    format!(
        "(SELECT {} FROM UNNEST({}) AS cells ({}))",
        selected.join(", "),
        arrays.join(", "),
        batch.names.join(", ")
    )
}

/// Adds a column as one array.
fn add_column(arguments: &mut PgArguments, column: Column) -> Result<(), BoxDynError> {
    match column {
        Column::Text(cells) => arguments.add(each(cells, without_nul)),
        Column::Int(cells) => arguments.add(cells),
        Column::Bool(cells) => arguments.add(cells),
        Column::Time(cells) => arguments.add(each(cells, instant)),
        Column::Nanos(cells) => arguments.add(each(cells, Timestamp::nanos)),
        Column::Json(cells) => arguments.add(each(cells, json_without_nul)),
        Column::Bytes(cells) => arguments.add(cells),
    }
}

fn each<A, B>(cells: Vec<Option<A>>, change: impl Fn(A) -> B) -> Vec<Option<B>> {
    cells.into_iter().map(|cell| cell.map(&change)).collect()
}

/// Puts the places for our numbers: `$2` may be the server's `$5`.
fn renumber(sql: &str, places: &[String]) -> String {
    let mut pieces = sql.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece
            .find(|char: char| !char.is_ascii_digit())
            .unwrap_or(piece.len());
        let (number, rest) = piece.split_at(end);
        let place = number
            .parse::<usize>()
            .ok()
            .and_then(|number| places.get(number.checked_sub(1)?));
        debug_assert!(place.is_some(), "no bind for ${number} of: {sql}");
        text.push_str(place.map_or("NULL", String::as_str));
        text.push_str(rest);
    }
    text
}

fn instant(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(at.nanos())
}

/// PostgreSQL's texts cannot hold the character NUL. Keys, names and addresses never do; where
/// a request has one all the same, it becomes the sign for what cannot be shown, and a look-up
/// finds nothing.
pub(super) fn without_nul(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

/// The same for documents, where NUL is written `\u0000`.
pub(super) fn json_without_nul(document: String) -> String {
    if !document.contains("\\u0000") {
        return document;
    }
    let mut kept = String::with_capacity(document.len());
    let mut rest = document.as_str();
    while let Some(at) = rest.find('\\') {
        // A backslash and what it escapes, so that `\\u0000` stays the six characters it means.
        let (before, escape) = rest.split_at(at);
        kept.push_str(before);
        if let Some(after) = escape.strip_prefix("\\u0000") {
            kept.push_str("\\ufffd");
            rest = after;
        } else {
            let length = 1 + escape.chars().nth(1).map_or(0, char::len_utf8);
            kept.push_str(&escape[..length]);
            rest = &escape[length..];
        }
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cell::Document;
    use crate::store::record::{Rows, binds, record};

    record! {
        struct Kinds {
            key: String,
            seq: i64,
            at: Option<Timestamp>,
            kept: Document,
        }
    }

    fn rows(count: i64) -> Rows<Kinds> {
        let row = |seq: i64| Kinds {
            key: seq.to_string(),
            seq,
            at: None,
            kept: Document("{}".to_owned()),
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn a_set_of_rows_is_one_array_a_column_and_moves_the_numbers_behind_it() {
        let sql = "INSERT INTO t SELECT $1, key, $3 FROM {rows} AS new WHERE $3 = $1";
        let (text, arguments) = translate(sql, binds!["a", rows(2), true].unwrap()).unwrap();
        assert_eq!(arguments.len(), 6);
        assert_eq!(
            text,
            "INSERT INTO t SELECT $1, key, $6 FROM (SELECT key COLLATE \"C\" AS key, seq, at, \
             kept::jsonb AS kept FROM UNNEST($2::text[], $3::bigint[], $4::timestamptz[], \
             $5::text[]) AS cells (key, seq, at, kept)) AS new WHERE $6 = $1"
        );
    }

    #[test]
    fn the_text_does_not_depend_on_the_number_of_rows() {
        let text = |count| translate("SELECT key FROM {rows} AS it", binds![rows(count)].unwrap());
        let texts = [0, 1, 16, 256].map(|count| text(count).unwrap().0);
        assert_eq!(texts, [0; 4].map(|_| texts[0].clone()));
    }

    #[test]
    fn a_document_is_cast_and_nothing_else() {
        let binds = binds!["b", Document("{}".to_owned())].unwrap();
        let (text, _) = translate("UPDATE t SET a = $2 WHERE b = $1", binds).unwrap();
        assert_eq!(text, "UPDATE t SET a = $2::jsonb WHERE b = $1");
    }

    #[test]
    fn the_character_nul_is_replaced_and_its_escape_alone() {
        assert_eq!(without_nul("a\0b".to_owned()), "a\u{fffd}b");
        for text in ["a\0b", "\0", "a\\u0000b", "\\\0\\", "ä\\", "none"] {
            let document = serde_json::to_string(text).unwrap();
            let kept: String = serde_json::from_str(&json_without_nul(document)).unwrap();
            assert_eq!(kept, text.replace('\0', "\u{fffd}"), "{text:?}");
        }
    }
}
