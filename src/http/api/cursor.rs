//! Cursors of walks, made and checked in one place.
//!
//! Inside is the position of the last row that was shown. It is sealed for its list: the app, the
//! path and the filters. So a cursor says nothing to its reader, goes on only where it was given,
//! and nobody can make one up; the database is never asked for a position that no list had. The
//! size of a page is no part of the list, so it may change during a walk.

use axum::extract::{FromRequestParts, OriginalUri};
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::domain::validate::FieldError;
use crate::http::input::pairs;
use crate::http::{Admin, ApiError, AppState};
use crate::vault::{SealedFor, Vault};

/// The parameters that say which part of a list is wanted, not which list.
pub(super) const PARAMETERS: [&str; 4] = ["page", "page_size", "per_page", "cursor"];

/// Says that a cursor is none of the list that it is sent to.
pub(in crate::http) fn refused() -> FieldError {
    let message = "must be `next_cursor` of an answer of the same list, with the same filters";
    FieldError::new("cursor", message)
}

/// The cursors of one list.
#[derive(Clone, Debug)]
pub(in crate::http) struct Cursors {
    vault: Vault,
    /// Names the list, at a fixed length.
    list: String,
}

impl Cursors {
    /// The cursors of whatever this tells from all other lists.
    pub(in crate::http) fn of(vault: Vault, list: &impl Serialize) -> Result<Self, ApiError> {
        let text = serde_json::to_vec(list).map_err(ApiError::internal)?;
        let list = hex::encode(Sha256::digest(text));
        Ok(Self { vault, list })
    }

    /// The cursors of a part of this list: the part that something says which is not in the query.
    pub(in crate::http) fn within(self, filter: &impl Serialize) -> Result<Self, ApiError> {
        Self::of(self.vault, &(self.list, filter))
    }

    /// Returns the position in a cursor, `None` at the start of a walk.
    pub(in crate::http) fn open(&self, cursor: &str) -> Result<Option<String>, FieldError> {
        if cursor.is_empty() {
            return Ok(None);
        }
        let sealed = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| refused())?;
        let position = self.vault.open(self.purpose(), &sealed);
        let position = position.map_err(|_| refused())?;
        Ok(Some(position.expose_secret().to_owned()))
    }

    /// Makes the cursor of a position; `None` at the end of a walk.
    pub(in crate::http) fn seal(&self, position: Option<&str>) -> Result<Option<String>, ApiError> {
        let Some(position) = position else {
            return Ok(None);
        };
        let sealed = self.vault.seal(self.purpose(), position)?;
        Ok(Some(URL_SAFE_NO_PAD.encode(sealed)))
    }

    fn purpose(&self) -> SealedFor<'_> {
        SealedFor::Cursor { list: &self.list }
    }
}

impl FromRequestParts<AppState> for Cursors {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        // Handlers take the caller first, and that leaves it here.
        let caller = parts.extensions.get::<Admin>();
        let caller = caller.ok_or_else(|| ApiError::internal("a list is shown to nobody"))?;
        let app = caller.app_or_default();
        let whole = parts.extensions.get::<OriginalUri>();
        let path = whole.map_or(parts.uri.path(), |uri| uri.path());
        let mut filters = pairs(&parts.uri);
        filters.retain(|(name, _)| !PARAMETERS.contains(&name.as_str()));
        filters.sort();
        Self::of(state.vault.clone(), &(app, path, filters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors(key: u8, list: &str) -> Cursors {
        Cursors::of(Vault::new(&[key; 32]), &list).unwrap()
    }

    #[test]
    fn a_cursor_goes_on_only_in_the_list_that_gave_it() {
        let list = cursors(1, "a");
        let cursor = list.seal(Some("cust_1")).unwrap().unwrap();
        assert!(!cursor.contains("cust_1"), "{cursor}");
        assert_eq!(list.open(&cursor), Ok(Some("cust_1".to_owned())));
        assert_eq!(cursors(1, "b").open(&cursor), Err(refused()));
        assert_eq!(cursors(2, "a").open(&cursor), Err(refused()));
        let narrower = cursors(1, "a").within(&"x").unwrap();
        assert_eq!(narrower.open(&cursor), Err(refused()));
    }

    #[test]
    fn a_walk_begins_with_an_empty_cursor_and_ends_without_one() {
        let list = cursors(1, "a");
        assert_eq!(list.open(""), Ok(None));
        assert_eq!(list.seal(None).unwrap(), None);
    }

    #[test]
    fn what_is_changed_or_made_up_is_refused() {
        let list = cursors(1, "a");
        let cursor = list.seal(Some("7")).unwrap().unwrap();
        let shorter = cursor[..cursor.len() - 2].to_owned();
        let longer = format!("{cursor}AA");
        let padded = format!("{cursor}=");
        let mut turned = cursor.clone();
        let tail = turned.split_off(turned.len() - 5);
        turned.push(if tail.starts_with('A') { 'Q' } else { 'A' });
        turned.push_str(&tail[1..]);
        for made_up in [
            "7", "x", "cust_1", "%", "ä", &shorter, &longer, &padded, &turned,
        ] {
            if *made_up != cursor {
                assert_eq!(list.open(made_up), Err(refused()), "{made_up}");
            }
        }
    }
}
