//! Finds the text of each setting, environment first and file second, and collects the problems.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::problem::{ConfigErrors, Origin, Problem, ProblemKind, Warning};
use super::setting::{self, Setting, Shape};
use super::{Config, Loaded, Source};

/// Everything that a parser found wrong with one value. Never repeats a secret.
pub(super) type ValueErrors = Vec<String>;

/// Reads settings one by one, without stopping at a problem.
pub(super) struct Reader<'a> {
    environment: &'a BTreeMap<OsString, OsString>,
    file: Option<ConfigFile>,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

struct ConfigFile {
    path: PathBuf,
    table: toml::Table,
}

impl<'a> Reader<'a> {
    /// Opens the sources: reads the file, refuses its unknown keys, warns about unknown variables.
    pub(super) fn open(source: &'a Source) -> Self {
        let mut reader = Self {
            environment: &source.environment,
            file: None,
            problems: Vec::new(),
            warnings: unknown_variables(&source.environment),
        };
        if let Some(path) = &source.file {
            reader.open_file(path);
        }
        reader
    }

    fn open_file(&mut self, path: &Path) {
        match read_table(path) {
            Ok(table) => {
                let unknown = table.keys().filter(|key| !is_known_key(key));
                self.problems.extend(unknown.map(|key| Problem {
                    // The key is quoted text in TOML, and may hold a line break.
                    variable: key.escape_debug().to_string(),
                    origin: Origin::ConfigFile(path.to_owned()),
                    kind: ProblemKind::UnknownKey(nearest_key(key)),
                    expected: "the name of a setting in lower case, such as tollgate_listen",
                }));
                self.file = Some(ConfigFile {
                    path: path.to_owned(),
                    table,
                });
            }
            Err(kind) => self.problems.push(Problem {
                variable: "--config".to_owned(),
                origin: Origin::ConfigFile(path.to_owned()),
                kind,
                expected: "the path of a TOML file",
            }),
        }
    }

    /// Reads a setting whose parser reports one error at most. `None` when it is not set or wrong.
    pub(super) fn read<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.read_all(setting, |text| parse(text).map_err(|error| vec![error]))
    }

    /// Reads a setting whose parser can report several errors. `None` when it is not set or wrong.
    pub(super) fn read_all<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, ValueErrors>,
    ) -> Option<T> {
        let (origin, text) = match self.find(setting)? {
            (origin, Ok(text)) => (origin, text),
            (origin, Err(kind)) => {
                self.problem(setting, origin, kind);
                return None;
            }
        };
        // An empty variable is more often a value missing in an orchestrator than a wish for the
        // default; for a secret the difference is whether anybody may sign.
        let text = text.trim();
        let parsed = if text.is_empty() {
            Err(vec!["empty".to_owned()])
        } else {
            without_quotes(text, parse(text))
        };
        match parsed {
            Ok(value) => Some(value),
            Err(errors) => {
                for error in errors {
                    self.problem(setting, origin.clone(), ProblemKind::Malformed(error));
                }
                None
            }
        }
    }

    /// Adds a problem with a setting.
    pub(super) fn problem(&mut self, setting: &Setting, origin: Origin, kind: ProblemKind) {
        self.problems.push(Problem {
            variable: setting.name.to_owned(),
            origin,
            kind,
            expected: setting.expected,
        });
    }

    /// Adds a problem with the value of a setting that is right by itself, but not beside another.
    pub(super) fn contradicted(&mut self, setting: &Setting, detail: String) {
        let found = self.find(setting);
        let origin = found.map_or(Origin::Environment, |(origin, _)| origin);
        self.problem(setting, origin, ProblemKind::Malformed(detail));
    }

    /// Adds a warning about a setting.
    pub(super) fn warn(&mut self, setting: &Setting, detail: impl Into<String>) {
        self.warnings.push(Warning {
            variable: setting.name.to_owned(),
            detail: detail.into(),
        });
    }

    /// Reports whether a setting is given, rightly or wrongly.
    pub(super) fn is_set(&self, setting: &Setting) -> bool {
        self.find(setting).is_some()
    }

    /// Reports whether a problem with this setting is already known.
    pub(super) fn is_wrong(&self, setting: &Setting) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.variable == setting.name)
    }

    /// Returns the settings if there was no problem.
    pub(super) fn finish(self, config: Config) -> Result<Loaded, ConfigErrors> {
        let Self {
            problems, warnings, ..
        } = self;
        if problems.is_empty() {
            Ok(Loaded { config, warnings })
        } else {
            Err(ConfigErrors { problems, warnings })
        }
    }

    /// Returns the text of a setting from the first source that has it.
    fn find(&self, setting: &Setting) -> Option<(Origin, Result<String, ProblemKind>)> {
        self.find_in_environment(setting)
            .or_else(|| self.find_in_file(setting))
    }

    fn find_in_environment(
        &self,
        setting: &Setting,
    ) -> Option<(Origin, Result<String, ProblemKind>)> {
        let value = self.environment.get(OsStr::new(setting.name));
        let path = setting
            .file_variable()
            .and_then(|variable| self.environment.get(OsStr::new(&variable)));
        match (value, path) {
            (None, None) => None,
            (Some(_), Some(_)) => Some((Origin::Environment, Err(ProblemKind::SetTwice))),
            (Some(value), None) => {
                let text = value.to_str().ok_or(ProblemKind::NotUnicode);
                Some((Origin::Environment, text.map(str::to_owned)))
            }
            // As an empty variable is none of its setting's values, it is none of its files.
            (None, Some(path)) if path.is_empty() => {
                let error = format!("{}_FILE is empty", setting.name);
                Some((Origin::Environment, Err(ProblemKind::Malformed(error))))
            }
            (None, Some(path)) => Some(read_secret(Path::new(path))),
        }
    }

    fn find_in_file(&self, setting: &Setting) -> Option<(Origin, Result<String, ProblemKind>)> {
        let ConfigFile { path, table } = self.file.as_ref()?;
        let origin = Origin::ConfigFile(path.clone());
        let value = table.get(&setting.name.to_ascii_lowercase());
        let secret = setting
            .file_variable()
            .and_then(|variable| table.get(&variable.to_ascii_lowercase()));
        match (value, secret) {
            (None, None) => None,
            (Some(_), Some(_)) => Some((origin, Err(ProblemKind::SetTwice))),
            (Some(value), None) => Some((origin, text_of(value, setting.shape))),
            (None, Some(toml::Value::String(path))) => Some(read_secret(Path::new(path))),
            (None, Some(_)) => {
                let error = "the path of its file is not a string".to_owned();
                Some((origin, Err(ProblemKind::Malformed(error))))
            }
        }
    }
}

/// No setting begins and ends with quotation marks. A shell takes them away, and what reads such files in
/// its place (`docker run --env-file`, `EnvironmentFile` of some versions) does not: a folder would be
/// made whose name begins with one. What a parser says of them itself is more exact.
fn without_quotes<T>(text: &str, parsed: Result<T, ValueErrors>) -> Result<T, ValueErrors> {
    const SAID: &str = "has quotation marks around it";
    let is_quoted = ['"', '\'']
        .into_iter()
        .any(|quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote));
    let is_said = |errors: &ValueErrors| errors.iter().any(|it| it.contains(SAID));
    match parsed {
        Err(errors) if is_said(&errors) => Err(errors),
        _ if is_quoted => Err(vec![format!("{SAID}: leave them out")]),
        parsed => parsed,
    }
}

/// Warns about unknown variables. Orchestrators add variables of their own, named after the
/// service, so an unknown one is no reason to refuse a start.
fn unknown_variables(environment: &BTreeMap<OsString, OsString>) -> Vec<Warning> {
    environment
        .keys()
        .map(|name| name.to_string_lossy())
        .filter(|name| !setting::is_known(name))
        .filter_map(|name| {
            let nearest = setting::nearest(&name);
            let detail = match nearest {
                Some(nearest) => format!("no such setting; did you mean {nearest}?"),
                None if name.starts_with("TOLLGATE_") => "no such setting; ignored".to_owned(),
                None => return None,
            };
            Some(Warning {
                variable: name.escape_debug().to_string(),
                detail,
            })
        })
        .collect()
}

/// The key of the setting whose name is nearest to this one.
fn nearest_key(key: &str) -> Option<String> {
    let name = key.to_ascii_uppercase();
    if setting::is_known(&name) {
        return Some(key.to_ascii_lowercase());
    }
    // In a file of Tollgate's the first word seems to be one too many.
    let whole = format!("TOLLGATE_{name}");
    if setting::is_known(&whole) {
        return Some(whole.to_ascii_lowercase());
    }
    setting::nearest(&name).map(|it| it.to_ascii_lowercase())
}

fn is_known_key(key: &str) -> bool {
    !key.contains(|c: char| c.is_ascii_uppercase()) && setting::is_known(&key.to_ascii_uppercase())
}

/// Reads a file of settings. The error names line and column but not the text, which may be a
/// secret.
fn read_table(path: &Path) -> Result<toml::Table, ProblemKind> {
    let text = read_text(path)?;
    text.parse::<toml::Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        ProblemKind::Malformed(match before {
            Some(before) => {
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
                format!("not TOML at line {line}, column {column}")
            }
            None => "not TOML".to_owned(),
        })
    })
}

fn read_secret(path: &Path) -> (Origin, Result<String, ProblemKind>) {
    (Origin::SecretFile(path.to_owned()), read_text(path))
}

/// Reads a text without the mark that some editors put before it, which nobody sees.
fn read_text(path: &Path) -> Result<String, ProblemKind> {
    let read = fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => ProblemKind::NotUnicode,
        _ => ProblemKind::Unreadable(error),
    });
    read.map(|text| match text.strip_prefix('\u{feff}') {
        Some(marked) => marked.to_owned(),
        None => text,
    })
}

/// Converts a value of the file to the text that an environment variable would have.
fn text_of(value: &toml::Value, shape: Shape) -> Result<String, ProblemKind> {
    let wrong = || ProblemKind::Malformed(format!("of type {}", value.type_str()));
    match (value, shape) {
        (toml::Value::String(text), _) => Ok(text.clone()),
        (toml::Value::Boolean(on), Shape::Switch) => Ok(on.to_string()),
        (toml::Value::Integer(number), Shape::Scalar | Shape::Switch) => Ok(number.to_string()),
        (toml::Value::Array(items), Shape::List) => items
            .iter()
            .map(toml::Value::as_str)
            .collect::<Option<Vec<_>>>()
            .map(|items| items.join(","))
            .ok_or_else(|| ProblemKind::Malformed("a list with other things than strings".into())),
        (toml::Value::Table(table), Shape::Table) => {
            serde_json::to_string(table).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}
