//! `TOLLGATE_LOG`: a tracing filter.

use tracing_subscriber::EnvFilter;

use super::parse::quoted;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What other programs call levels.
const OTHER_WORDS: [(&str, &str); 10] = [
    ("warning", "warn"),
    ("err", "error"),
    ("critical", "error"),
    ("fatal", "error"),
    ("notice", "info"),
    ("verbose", "debug"),
    ("all", "trace"),
    ("none", "off"),
    ("quiet", "off"),
    ("silent", "off"),
];

/// Checks that the filter parses. It stays text, because a parsed one cannot be cloned.
///
/// A word alone that is no level is refused, although the syntax has a meaning for it: all of the part
/// of this name, and nothing of any other. Whoever writes `warning` would have no line at all.
pub(super) fn parse(text: &str) -> Result<String, String> {
    // The fields of a span may hold commas of their own.
    if !text.contains('[') {
        text.split(',').map(str::trim).try_for_each(check_word)?;
    }
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Checks a part of the filter if it is a word alone.
fn check_word(word: &str) -> Result<(), String> {
    let lower = word.to_ascii_lowercase();
    let is_level =
        LEVELS.contains(&lower.as_str()) || matches!(word, "0" | "1" | "2" | "3" | "4" | "5");
    // A path of modules is meant as one.
    if word.is_empty() || is_level || word.contains('=') || word.contains("::") {
        return Ok(());
    }
    let near = match nearest(&lower) {
        Some(level) => format!(" (did you mean `{level}`?)"),
        None => String::new(),
    };
    Err(format!(
        "{} is no level{near}: the levels are {}; one of a single part is written `part=level`",
        quoted(word),
        LEVELS.join(", ")
    ))
}

fn nearest(word: &str) -> Option<&'static str> {
    if let Some((_, level)) = OTHER_WORDS.iter().find(|(other, _)| *other == word) {
        return Some(level);
    }
    let measured = LEVELS
        .iter()
        .map(|level| (strsim::osa_distance(level, word), *level));
    let (distance, level) = measured.min()?;
    // Of a short word, two letters are most of it.
    (distance <= if level.len() < 4 { 1 } else { 2 }).then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_must_be_a_level() {
        for right in [
            "info",
            "WARN",
            "0",
            "warn,tollgate=debug",
            "tollgate=debug",
            "info,sqlx=debug,",
            "tollgate::worker",
            "warn,tollgate[pipeline.event.process{app=a}]=trace",
        ] {
            assert_eq!(parse(right), Ok(right.to_owned()), "{right}");
        }
        for (wrong, near) in [
            ("warning", Some("warn")),
            ("WARNING", Some("warn")),
            ("verbose", Some("debug")),
            ("inof", Some("info")),
            ("debg,sqlx=info", Some("debug")),
            ("info,tracing", None),
            ("chatty", None),
            ("6", None),
        ] {
            let told = parse(wrong).unwrap_err();
            assert!(told.contains("is no level"), "{wrong}: {told}");
            let said = near.map(|level| format!("(did you mean `{level}`?)"));
            match said {
                Some(said) => assert!(told.contains(&said), "{wrong}: {told}"),
                None => assert!(!told.contains("did you mean"), "{wrong}: {told}"),
            }
        }
    }
}
