//! The fields of spans, as JSON.
//!
//! They are written whenever a span begins, which every request does, and read only where a line is
//! written within it. The library's own writer makes a tree of them first, and reads and writes all of
//! it again for each field that is added later; here they are written once, as they come.

use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};

/// Writes the fields of a span as one JSON object.
pub(super) struct SpanFields;

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut object = Object::begin(writer)?;
        fields.record(&mut object);
        object.end()
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        // The object is opened again. A name that is written twice counts as it was written last.
        let is_open = current.fields.pop() == Some('}');
        let is_empty = current.fields.len() <= 1;
        let mut object = if is_open {
            Object {
                writer: current.as_writer(),
                is_empty,
                result: Ok(()),
            }
        } else {
            current.fields.clear();
            Object::begin(current.as_writer())?
        };
        fields.record(&mut object);
        object.end()
    }
}

struct Object<'w> {
    writer: Writer<'w>,
    is_empty: bool,
    result: fmt::Result,
}

impl<'w> Object<'w> {
    fn begin(mut writer: Writer<'w>) -> Result<Self, fmt::Error> {
        writer.write_char('{')?;
        Ok(Self {
            writer,
            is_empty: true,
            result: Ok(()),
        })
    }

    fn end(mut self) -> fmt::Result {
        self.result?;
        self.writer.write_char('}')
    }

    fn put(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'w>) -> fmt::Result) {
        if self.result.is_err() {
            return;
        }
        let comma = if self.is_empty { "" } else { "," };
        self.is_empty = false;
        self.result = write!(self.writer, "{comma}\"{}\":", field.name())
            .and_then(|()| write(&mut self.writer));
    }
}

impl Visit for Object<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        if value.is_finite() {
            self.put(field, |writer| write!(writer, "{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |writer| write_text(writer, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |writer| {
            writer.write_char('"')?;
            write!(Escaping(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }
}

fn write_text(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    Escaping(writer).write_str(text)?;
    writer.write_char('"')
}

/// Escapes what JSON wants escaped. <https://www.rfc-editor.org/rfc/rfc8259#section-7>
struct Escaping<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|it: char| matches!(it, '"' | '\\' | '\0'..='\u{1f}')) {
            self.0.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'"' => self.0.write_str("\\\"")?,
                b'\\' => self.0.write_str("\\\\")?,
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::tests::Lines;
    use super::*;

    #[test]
    fn a_line_has_the_fields_of_its_spans_early_and_late_ones() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(SpanFields)
            .event_format(super::super::lines::json())
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let text = "a \"quoted\" \\ line\n\u{1}\u{fc}";
            let span = tracing::info_span!(
                "work",
                text,
                shown = %text,
                debugged = ?Some("x"),
                number = -5,
                yes = true,
                part = 0.5,
                late = tracing::field::Empty,
            );
            let bare = tracing::info_span!(parent: &span, "bare", late = tracing::field::Empty);
            span.record("late", "first");
            span.record("late", text);
            bare.record("late", 7);
            bare.in_scope(|| tracing::info!("seen"));
        });
        let line: Value = serde_json::from_str(lines.text().trim()).unwrap();
        let text = "a \"quoted\" \\ line\n\u{1}\u{fc}";
        let expected = json!([
            {
                "name": "work", "text": text, "shown": text, "debugged": "Some(\"x\")",
                "number": -5, "yes": true, "part": 0.5, "late": text,
            },
            { "name": "bare", "late": 7 },
        ]);
        assert_eq!(line["spans"], expected, "{line}");
    }
}
