//! The fields of spans, as JSON.
//!
//! They are written whenever a span begins: at every request, where there is a collector or a filter that
//! names spans. They are read only where a line is written within it. The library's own writer makes a tree of them first, and reads and writes all of
//! it again for each field that is added later; here they are written once, as they come.

use std::cell::Cell;
use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FormatFields, FormattedFields};

thread_local! {
    /// Where fields are put together, so that the text that stays is made once and in its own length.
    static DRAFT: Cell<String> = const { Cell::new(String::new()) };
}

/// The longest text for which the draft's memory is kept, in bytes.
const MOST_KEPT: usize = 4_096;

/// Writes the fields of a span as one JSON object.
pub(super) struct SpanFields;

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        // Taken, not borrowed: what writes a field may begin a span itself.
        let mut draft = DRAFT.take();
        draft.clear();
        draft.push('{');
        let written = Object::written(&mut draft, &fields).and_then(|()| writer.write_str(&draft));
        if draft.capacity() <= MOST_KEPT {
            DRAFT.set(draft);
        }
        written
    }

    fn add_fields(
        &self,
        current: &'w mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        // The object is opened again. A name that is written twice counts as it was written last.
        if current.fields.pop() != Some('}') {
            current.fields.clear();
            current.fields.push('{');
        }
        Object::written(&mut current.fields, fields)
    }
}

struct Object<'t> {
    text: &'t mut String,
    is_empty: bool,
    result: fmt::Result,
}

impl<'t> Object<'t> {
    /// Writes fields into an open object, and closes it.
    fn written(text: &'t mut String, fields: &impl RecordFields) -> fmt::Result {
        let is_empty = text.len() <= 1;
        let mut object = Self {
            text,
            is_empty,
            result: Ok(()),
        };
        fields.record(&mut object);
        object.result?;
        object.text.push('}');
        Ok(())
    }

    fn put(&mut self, field: &Field, write: impl FnOnce(&mut String) -> fmt::Result) {
        if self.result.is_err() {
            return;
        }
        if !self.is_empty {
            self.text.push(',');
        }
        self.is_empty = false;
        self.text.push('"');
        self.text.push_str(field.name());
        self.text.push_str("\":");
        self.result = write(self.text);
    }
}

impl Visit for Object<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        if value.is_finite() {
            self.put(field, |text| write!(text, "{value}"));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, |text| write!(text, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |text| write!(text, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, |text| write!(text, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |text| {
            text.push('"');
            Escaping(text).write_str(value)?;
            text.push('"');
            Ok(())
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, |text| {
            text.push('"');
            write!(Escaping(text), "{value:?}")?;
            text.push('"');
            Ok(())
        });
    }
}

/// Escapes what JSON wants escaped. <https://www.rfc-editor.org/rfc/rfc8259#section-7>
struct Escaping<'t>(&'t mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let escaped = |byte: u8| matches!(byte, b'"' | b'\\' | b'\0'..=b'\x1f');
        let mut rest = text;
        // All of these are ASCII, so none is a part of another character.
        while let Some(at) = rest.bytes().position(escaped) {
            self.0.push_str(&rest[..at]);
            match rest.as_bytes()[at] {
                b'"' => self.0.push_str("\\\""),
                b'\\' => self.0.push_str("\\\\"),
                control => write!(self.0, "\\u{control:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        self.0.push_str(rest);
        Ok(())
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
