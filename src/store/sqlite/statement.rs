//! The shared statements in SQLite's terms.
//!
//! A set of rows becomes one JSON array of arrays, unpacked by `jsonb_each`, which reads it once:
//! `json_each` would write each row as a text again, for each column to read anew. Documents stand in
//! it as they are, so that nothing is escaped twice; each in an array of its own, so that an absent
//! document differs from the document `null`.

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use crate::domain::time::Timestamp;
use crate::store::StoreError;
use crate::store::driver::{Batch, Column, Value};

/// The text and the parameters that the engine gets. Texts come from this crate alone, never
/// from a request, which is what the driver asserts to sqlx.
pub(super) fn translate(
    sql: &str,
    binds: Vec<Value>,
) -> Result<(String, SqliteArguments), StoreError> {
    let mut text = sql.to_owned();
    let mut arguments = SqliteArguments::default();
    for (index, value) in binds.into_iter().enumerate() {
        match value {
            Value::Text(text) => arguments.add(text),
            Value::Int(number) => arguments.add(number),
            Value::Bool(yes) => arguments.add(yes.map(i64::from)),
            Value::Time(at) | Value::Nanos(at) => arguments.add(at.map(Timestamp::nanos)),
            Value::Json(document) => arguments.add(document),
            Value::Bytes(bytes) => arguments.add(bytes),
            Value::Rows(batch) => {
                text = text.replace("{rows}", &unpack(&batch, index + 1));
                arguments.add(array(&batch))
            }
        }
        .map_err(|source| super::error::failed(sqlx::Error::Encode(source)))?;
    }
    Ok((text, arguments))
}

/// `(SELECT value ->> 0 AS key, … FROM jsonb_each($1))`. `->>` gives SQL text or integers, `->`
/// the text of a document.
fn unpack(batch: &Batch, parameter: usize) -> String {
    let columns = batch.names.iter().zip(&batch.columns).enumerate();
    let columns: Vec<String> = columns
        .map(|(index, (name, column))| match column {
            Column::Json(_) => format!("value -> '$[{index}][0]' AS {name}"),
            Column::Bytes(_) => format!("unhex(value ->> {index}) AS {name}"),
            Column::Text(_)
            | Column::Int(_)
            | Column::Bool(_)
            | Column::Time(_)
            | Column::Nanos(_) => format!("value ->> {index} AS {name}"),
        })
        .collect();
    format!(
        "(SELECT {} FROM jsonb_each(${parameter}))",
        columns.join(", ")
    )
}

fn array(batch: &Batch) -> String {
    let mut json = String::from("[");
    for row in 0..batch.count {
        json.push_str(if row == 0 { "[" } else { ",[" });
        for (index, column) in batch.columns.iter().enumerate() {
            if index > 0 {
                json.push(',');
            }
            push(&mut json, column, row);
        }
        json.push(']');
    }
    json.push(']');
    json
}

/// Writes the cell of this row.
fn push(json: &mut String, column: &Column, row: usize) {
    fn cell<T>(cells: &[Option<T>], row: usize) -> Option<&T> {
        cells.get(row).and_then(Option::as_ref)
    }
    let number = |at: &Timestamp| at.nanos().to_string();
    match column {
        Column::Text(cells) => match cell(cells, row) {
            Some(text) => push_text(json, text),
            None => json.push_str("null"),
        },
        Column::Json(cells) => match cell(cells, row) {
            Some(document) => json.extend(["[", document, "]"]),
            None => json.push_str("null"),
        },
        Column::Int(cells) => push_word(json, cell(cells, row).map(i64::to_string)),
        Column::Bool(cells) => push_word(json, cell(cells, row).map(bool::to_string)),
        Column::Time(cells) | Column::Nanos(cells) => {
            push_word(json, cell(cells, row).map(number));
        }
        Column::Bytes(cells) => {
            let quoted = |bytes: &Vec<u8>| format!("\"{}\"", hex::encode(bytes));
            push_word(json, cell(cells, row).map(quoted));
        }
    }
}

fn push_word(json: &mut String, word: Option<String>) {
    json.push_str(&word.unwrap_or_else(|| "null".to_owned()));
}

/// Writes a text in quotes. JSON asks for the escape of quotes, backslashes and control
/// characters. <https://www.rfc-editor.org/rfc/rfc8259#section-7>
fn push_text(json: &mut String, text: &str) {
    json.push('"');
    let mut rest = text;
    // All of these are single bytes of UTF-8, and no part of any other character.
    let is_escaped = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    while let Some(at) = rest.as_bytes().iter().position(is_escaped) {
        json.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => json.push_str("\\\""),
            b'\\' => json.push_str("\\\\"),
            control => json.extend(["\\u00", &hex::encode([control])]),
        }
        rest = &rest[at + 1..];
    }
    json.push_str(rest);
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{Bind as _, binds, keys, record};

    record! {
        struct Kinds<'a> {
            text: Option<&'a str>,
            number: i64,
            yes: bool,
            document: Option<crate::store::cell::Document>,
        }
    }

    fn kinds<'a>(text: Option<&'a str>, document: Option<&str>) -> Kinds<'a> {
        let document = document.map(|it| crate::store::cell::Document(it.to_owned()));
        Kinds {
            text,
            number: -1,
            yes: true,
            document,
        }
    }

    #[test]
    fn a_set_of_rows_is_one_array_with_documents_as_they_are() {
        let rows = [
            kinds(Some("a\"\\\n"), Some("{\"b\":[1]}")),
            kinds(None, None),
        ];
        let rows: crate::store::record::Rows<Kinds<'_>> = rows.into_iter().collect();
        let Value::Rows(batch) = rows.bind().unwrap() else {
            panic!("not a set");
        };
        assert_eq!(
            array(&batch),
            r#"[["a\"\\\u000a",-1,true,[{"b":[1]}]],[null,-1,true,null]]"#
        );
        assert_eq!(
            unpack(&batch, 2),
            "(SELECT value ->> 0 AS text, value ->> 1 AS number, value ->> 2 AS yes, \
             value -> '$[3][0]' AS document FROM jsonb_each($2))"
        );
    }

    #[test]
    fn every_text_is_written_as_json() {
        for text in [
            "",
            "plain",
            "\"",
            "\\",
            "\0\u{1f}\u{7f}",
            "ä\n\"ß\\\"",
            "{}",
        ] {
            let mut json = String::new();
            push_text(&mut json, text);
            let read: String = serde_json::from_str(&json).unwrap();
            assert_eq!(read, text);
        }
    }

    #[test]
    fn the_set_stands_where_the_statement_says() {
        let binds = binds!["a", keys(["b"])].unwrap();
        let (text, _) = translate("SELECT $1 FROM {rows} AS it", binds).unwrap();
        assert_eq!(
            text,
            "SELECT $1 FROM (SELECT value ->> 0 AS key FROM jsonb_each($2)) AS it"
        );
    }
}
