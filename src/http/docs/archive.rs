//! The files of Swagger UI, out of its archive.
//!
//! The archive is a zip file, and ours to choose: what can be read here is what it uses, files
//! that are stored as they are or deflated. The format is described in
//! <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.

use std::collections::BTreeMap;

use axum::body::Bytes;

/// The folder with the files that a page may load, whatever the version in the path before it.
const FOLDER: &str = "/dist/";

const DIRECTORY_END: [u8; 4] = *b"PK\x05\x06";
const DIRECTORY_ENTRY: [u8; 4] = *b"PK\x01\x02";

/// Unpacks all files of the folder, by their names in it. Those that cannot be read are left out.
pub(super) fn unpack(archive: &[u8]) -> BTreeMap<String, Bytes> {
    let mut files = BTreeMap::new();
    // A comment may follow the end of the directory.
    let end = archive.windows(4).rposition(|it| it == DIRECTORY_END);
    let mut at = end.and_then(|end| number(archive, end + 16, 4));
    while let Some(entry) = at
        && archive.get(entry..entry + 4) == Some(&DIRECTORY_ENTRY[..])
    {
        if let Some((name, file)) = file(archive, entry) {
            files.insert(name, file);
        }
        at = next(archive, entry);
    }
    files
}

/// Where the entry after this one begins: behind its name, extra fields and comment.
fn next(archive: &[u8], entry: usize) -> Option<usize> {
    let mut end = entry + 46;
    for length in [28, 30, 32] {
        end += number(archive, entry + length, 2)?;
    }
    Some(end)
}

/// The file of an entry, and its name, if it is in the folder.
fn file(archive: &[u8], entry: usize) -> Option<(String, Bytes)> {
    let name_length = number(archive, entry + 28, 2)?;
    let path = archive.get(entry + 46..entry + 46 + name_length)?;
    let (root, name) = str::from_utf8(path).ok()?.split_once(FOLDER)?;
    if root.contains('/') || name.is_empty() {
        return None;
    }
    let method = number(archive, entry + 10, 2)?;
    let packed_length = number(archive, entry + 20, 4)?;
    let length = number(archive, entry + 24, 4)?;
    // The file's own head repeats its name, and may have other extra fields than the entry.
    let head = number(archive, entry + 42, 4)?;
    let start = head + 30 + number(archive, head + 26, 2)? + number(archive, head + 28, 2)?;
    let packed = archive.get(start..start + packed_length)?;
    let bytes = match method {
        0 => packed.to_vec(),
        8 => miniz_oxide::inflate::decompress_to_vec_with_limit(packed, length).ok()?,
        _ => return None,
    };
    Some((name.to_owned(), bytes.into()))
}

/// A number of so many bytes, the lowest first.
fn number(archive: &[u8], at: usize, length: usize) -> Option<usize> {
    let bytes = archive.get(at..at + length)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_folder_are_unpacked_and_no_others() {
        let files = unpack(utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED);
        let page = str::from_utf8(&files["index.html"]).unwrap();
        assert!(
            page.starts_with("<!-- HTML for static distribution bundle build -->"),
            "{page}"
        );
        assert!(page.trim_end().ends_with("</html>"), "{page}");
        // Stored as it is.
        assert!(files["favicon-16x16.png"].starts_with(b"\x89PNG"));
        assert!(
            files.keys().all(|name| !name.contains('/')),
            "{:?}",
            files.keys()
        );
    }

    #[test]
    fn what_is_no_archive_has_no_files() {
        let archive = utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
        for broken in [&b""[..], b"PK\x05\x06", &archive[..archive.len() / 2]] {
            assert_eq!(unpack(broken).len(), 0);
        }
    }
}
