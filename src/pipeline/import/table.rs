//! Tables of comma-separated values: the header, the lines, and where in the file they stand.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Chain, Cursor, Read};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::line::{self, Column, Fault, Line};

/// Most bytes of one line. A quote that is never closed makes one line of the rest of the file. As
/// large as a body of the API, so that a value that is too long there is named here by its column.
const MAX_LINE: u64 = 1024 * 1024;

/// Follows the last byte of a file as a line of its own. Where it comes out as part of a value, the
/// file ended inside a quotation, which the library takes for its end without a word.
const END: &[u8] = b"\n\x01end of file\x01\n";

/// The most of a file that is looked at to find out what separates its columns.
const HEAD: usize = 4 * 1024;

/// How workbooks begin: a zip, as `.xlsx` and `.ods` are, and an old `.xls`.
const WORKBOOKS: [&[u8]; 2] = [b"PK\x03\x04", b"\xd0\xcf\x11\xe0"];

/// Why a table cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is empty.
    #[error("the file is empty; its first line must name the columns: {}", known())]
    Empty,
    /// It is UTF-16, as some spreadsheets write it.
    #[error("the file is UTF-16; save it as CSV in UTF-8")]
    Utf16,
    /// It is what a spreadsheet keeps its own tables in.
    #[error("the file is a spreadsheet's own format, not text; save it as CSV in UTF-8")]
    Workbook,
    /// The name of a column is in another encoding.
    #[error("the name of column {0} in the first line is not UTF-8; save the file as CSV in UTF-8")]
    NameNotUtf8(usize),
    /// A column has an unknown name.
    #[error("{name} is unknown; the columns are {}", known())]
    UnknownColumn {
        /// Its place, and its name if that is one.
        name: String,
    },
    /// A column is there twice.
    #[error("the column `{0}` is there twice")]
    Twice(&'static str),
    /// No column names customers.
    #[error("there is neither a column `email` nor `external_id` to name the customers by")]
    NoNames,
    /// A line is too long.
    #[error(
        "the line that begins at line {0} has more than {MAX_LINE} bytes; is a quotation mark not closed?"
    )]
    LongLine(u64),
    /// It ends inside quotation marks.
    #[error(
        "the file ends inside the quotation marks of the line that begins at line {0}; is it cut off?"
    )]
    OpenQuote(u64),
    /// It has too many lines.
    #[error("the file has more than 1,000,000 lines; import it in several files")]
    TooLong,
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
}

fn known() -> String {
    Column::ALL.map(Column::as_str).join(", ")
}

/// A table that is read line by line.
pub struct Table<R: Read> {
    reader: Reader<Lines<Chain<Cursor<Vec<u8>>, R>>>,
    record: ByteRecord,
    /// For each column of the file, its place in [`Column::ALL`]; of one without a name there is none.
    columns: Vec<Option<usize>>,
}

impl<R: Read> Table<R> {
    /// Opens a table and reads its header. The delimiter is found in the first line unless given; a line
    /// `sep=;` before the header, by which Excel knows it, is passed over.
    ///
    /// # Errors
    /// See [`TableError`].
    pub fn open(mut read: R, delimiter: Option<u8>) -> Result<Self, TableError> {
        let mut head = Vec::new();
        let bound = u64::try_from(HEAD).unwrap_or(u64::MAX);
        read.by_ref().take(bound).read_to_end(&mut head)?;
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
            return Err(TableError::Utf16);
        }
        if WORKBOOKS.iter().any(|mark| head.starts_with(mark)) {
            return Err(TableError::Workbook);
        }
        if head.starts_with("\u{feff}".as_bytes()) {
            head.drain(..3);
        }
        let mut passed = 0;
        let mut said = None;
        if let Some((separator, length)) = separator_line(&head) {
            head.drain(..length);
            (passed, said) = (1, Some(separator));
        }
        let delimiter = delimiter.or(said);
        let delimiter = delimiter.unwrap_or_else(|| found_delimiter(&head));
        let lines = Lines {
            read: Cursor::new(head).chain(read),
            taken: 0,
            newlines: VecDeque::new(),
            passed,
            limit: MAX_LINE,
            last: None,
            end: END,
        };
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(lines);
        let mut record = ByteRecord::new();
        if read_record(&mut reader, &mut record)?.is_none() {
            return Err(TableError::Empty);
        }
        let columns = columns(&record)?;
        Ok(Self {
            reader,
            record,
            columns,
        })
    }

    /// Reads the next line; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read any further.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator over results of results would read worse"
    )]
    pub fn next(&mut self) -> Result<Option<Result<Line, Vec<Fault>>>, TableError> {
        while let Some(number) = read_record(&mut self.reader, &mut self.record)? {
            // Spreadsheets end with lines of nothing but separators.
            let is_blank = self.record.iter().all(|it| it.trim_ascii().is_empty());
            if !is_blank {
                return Ok(Some(self.line(number)));
            }
        }
        Ok(None)
    }

    fn line(&self, number: u64) -> Result<Line, Vec<Fault>> {
        let (found, wanted) = (self.record.len(), self.columns.len());
        if found != wanted {
            let message = format!("has {found} values, and the first line has {wanted}");
            return Err(vec![Fault {
                line: number,
                column: None,
                message,
            }]);
        }
        let mut values: [Option<String>; 10] = Default::default();
        let mut faults = Vec::new();
        for (index, (value, place)) in self.record.iter().zip(&self.columns).enumerate() {
            let Some(place) = *place else {
                if !value.trim_ascii().is_empty() {
                    faults.push(Fault {
                        line: number,
                        column: None,
                        message: format!("has a value in column {}, which has no name", index + 1),
                    });
                }
                continue;
            };
            match str::from_utf8(value) {
                Ok(text) => {
                    let text = text.trim();
                    values[place] = (!text.is_empty()).then(|| text.to_owned());
                }
                Err(_) => faults.push(Fault {
                    line: number,
                    column: Some(Column::ALL[place]),
                    message: "is not UTF-8; save the file as CSV in UTF-8".to_owned(),
                }),
            }
        }
        if faults.is_empty() {
            line::read(number, values)
        } else {
            Err(faults)
        }
    }
}

/// The line `sep=;` at the beginning, with or without quotation marks around it: the separator that it
/// names, and its length.
fn separator_line(head: &[u8]) -> Option<(u8, usize)> {
    let ended = head.iter().position(|byte| *byte == b'\n');
    let length = ended.map_or(head.len(), |at| at + 1);
    let line = head[..length]
        .strip_suffix(b"\n")
        .unwrap_or(&head[..length]);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let quoted = line
        .strip_prefix(b"\"")
        .and_then(|it| it.strip_suffix(b"\""));
    match quoted.unwrap_or(line) {
        [s, e, p, b'=', separator @ (b'\t' | b',' | b';' | b'|')]
            if [*s, *e, *p].eq_ignore_ascii_case(b"sep") =>
        {
            Some((*separator, length))
        }
        _ => None,
    }
}

/// The separator that the first line has most of; the comma if it has none.
fn found_delimiter(head: &[u8]) -> u8 {
    let end = head.iter().position(|byte| b"\r\n".contains(byte));
    let first = &head[..end.unwrap_or(head.len())];
    let count = |wanted: &u8| first.split(|byte| byte == wanted).count();
    // The last of those with the same number is taken.
    *b"\t;,".iter().max_by_key(|it| count(it)).unwrap_or(&b',')
}

fn columns(header: &ByteRecord) -> Result<Vec<Option<usize>>, TableError> {
    let mut columns: Vec<Option<usize>> = Vec::new();
    for (index, name) in header.iter().enumerate() {
        // Spreadsheets pad the first line to the width of the longest.
        if name.trim_ascii().is_empty() {
            columns.push(None);
            continue;
        }
        let text = str::from_utf8(name).map_err(|_| TableError::NameNotUtf8(index + 1))?;
        let text = text.trim();
        // `Email`, as most systems write it.
        let is_it = |it: &Column| it.as_str().eq_ignore_ascii_case(text);
        let place = Column::ALL.iter().position(is_it);
        let Some(place) = place else {
            return Err(TableError::UnknownColumn {
                name: shown_name(index, text),
            });
        };
        if columns.contains(&Some(place)) {
            return Err(TableError::Twice(Column::ALL[place].as_str()));
        }
        columns.push(Some(place));
    }
    let names = |column| {
        let mut named = columns.iter().flatten();
        named.any(|place| Column::ALL[*place] == column)
    };
    if names(Column::Email) || names(Column::ExternalId) {
        Ok(columns)
    } else {
        Err(TableError::NoNames)
    }
}

/// The name of a column as it may be shown. In a file without a header it is a value.
fn shown_name(index: usize, text: &str) -> String {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"_- ".contains(&b);
    if (1..32).contains(&text.len()) && text.bytes().all(is_name) {
        format!(
            "the column `{text}` (number {} of the first line)",
            index + 1
        )
    } else {
        format!("the name of column {} in the first line", index + 1)
    }
}

/// Reads a record and returns the number of its first line; `None` at the end.
fn read_record<R: Read>(
    reader: &mut Reader<Lines<R>>,
    record: &mut ByteRecord,
) -> Result<Option<u64>, TableError> {
    let read = reader.read_byte_record(record);
    let end = reader.position().byte();
    let lines = reader.get_mut();
    match read {
        Ok(false) => Ok(None),
        Ok(true) => {
            // The library's own count is wrong after blank lines and where lines end in CRLF.
            let last = lines.pass(end.saturating_sub(1));
            let within = record.as_slice().iter().filter(|byte| **byte == b'\n');
            let within = u64::try_from(within.count()).unwrap_or(u64::MAX);
            let number = last.saturating_sub(within);
            let end = END.trim_ascii();
            if record.len() == 1 && record.iter().all(|value| value == end) {
                return Ok(None);
            }
            if record.iter().any(|value| value.ends_with(END)) {
                // Its last byte is the newline of [`END`], which was not passed.
                return Err(TableError::OpenQuote(number + 1));
            }
            Ok(Some(number))
        }
        Err(error) => match error.into_kind() {
            csv::ErrorKind::Io(error) if is_long(&error) => {
                Err(TableError::LongLine(lines.begun()))
            }
            csv::ErrorKind::Io(error) => Err(error.into()),
            other => Err(TableError::Io(io::Error::other(format!("{other:?}")))),
        },
    }
}

/// The bytes of a file, with the places of its lines and a limit to how long one is.
struct Lines<R> {
    read: R,
    /// Bytes that were read.
    taken: u64,
    /// Where lines end that were read and not passed.
    newlines: VecDeque<u64>,
    /// Lines that were passed.
    passed: u64,
    /// The number of bytes at which the present line has been too long.
    limit: u64,
    /// The last byte of the line that was read last.
    last: Option<u64>,
    /// What is still to follow the bytes of the file.
    end: &'static [u8],
}

impl<R> Lines<R> {
    /// Returns the number of the line that begins behind the one that was read last.
    fn begun(&self) -> u64 {
        let Some(last) = self.last else {
            return self.passed + 1;
        };
        // The last byte of a line that ends in CRLF is the one before its newline.
        let ended = self.newlines.iter().take_while(|at| **at <= last + 1);
        self.passed + 1 + u64::try_from(ended.count()).unwrap_or_default()
    }

    /// Passes the bytes before this one; returns the number of the line that it is in.
    fn pass(&mut self, byte: u64) -> u64 {
        while self.newlines.front().is_some_and(|at| *at < byte) {
            self.newlines.pop_front();
            self.passed += 1;
        }
        self.limit = byte + MAX_LINE;
        self.last = Some(byte);
        self.passed + 1
    }
}

/// Marks the error of a line that is too long.
#[derive(Debug, thiserror::Error)]
#[error("the line is too long")]
struct TooLong;

fn is_long(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn Error + Send + Sync>::is::<TooLong>)
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken > self.limit {
            return Err(io::Error::other(TooLong));
        }
        let mut read = self.read.read(buffer)?;
        if read == 0 {
            read = self.end.read(buffer)?;
        }
        for (at, byte) in (self.taken..).zip(&buffer[..read]) {
            if *byte == b'\n' {
                self.newlines.push_back(at);
            }
        }
        self.taken += u64::try_from(read).unwrap_or_default();
        Ok(read)
    }
}
