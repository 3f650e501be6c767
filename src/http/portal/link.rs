//! Links to customers' own pages: whose page it is and until when, sealed with the secret key.
//!
//! A sealed text can be neither read nor made up without the key, so the link names nobody, and it is
//! good for one customer of one app. Nothing is stored: a link ends by itself, soon.
//!
//! Refused: a signature beside readable text, which would put customers' ids into the histories of
//! their browsers; a cookie in exchange for the link, which every other page could have the browser
//! send along.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;

use super::place::PLACE;
use crate::domain::id::{AppSlug, CustomerId};
use crate::domain::time::Timestamp;
use crate::http::ApiError;
use crate::vault::{SealedFor, Vault};

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct Link {
    /// The app.
    pub(in crate::http) app: AppSlug,
    /// Whose page it leads to.
    pub(in crate::http) customer: CustomerId,
    /// From when on it leads nowhere.
    pub(in crate::http) ends_at: Timestamp,
}

impl Link {
    /// Returns the path of the page.
    ///
    /// # Errors
    /// When it cannot be sealed.
    pub(in crate::http) fn path(&self, vault: &Vault) -> Result<String, ApiError> {
        let Self {
            app,
            customer,
            ends_at,
        } = self;
        let text = format!("{app} {customer} {}", ends_at.nanos());
        let sealed = vault.seal(SealedFor::PortalLink, &text);
        let sealed = sealed.map_err(ApiError::internal)?;
        Ok(format!("{PLACE}/{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Reads a link, whether or not it has ended; `None` if nobody here made it.
    pub(super) fn open(text: &str, vault: &Vault) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let opened = vault.open(SealedFor::PortalLink, &sealed).ok()?;
        let mut parts = opened.expose_secret().split(' ');
        Some(Self {
            app: parts.next()?.parse().ok()?,
            customer: parts.next()?.parse().ok()?,
            ends_at: Timestamp::from_nanos(parts.next()?.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_nobody_and_cannot_be_made_up() {
        let vault = Vault::new(&[7; 32]);
        let link = Link {
            app: AppSlug::default_app(),
            customer: CustomerId::from_uuid(uuid::Uuid::from_u128(9)),
            ends_at: Timestamp::from_nanos(5),
        };
        let path = link.path(&vault).unwrap();
        let text = path.strip_prefix("/portal/").unwrap();
        assert!(!path.contains("cust_"), "{path}");
        assert_eq!(Link::open(text, &vault), Some(link));
        assert_eq!(Link::open(text, &Vault::new(&[8; 32])), None);
        for wrong in ["", "x", &text[1..], &text.to_uppercase()] {
            assert_eq!(Link::open(wrong, &vault), None, "{wrong}");
        }
        // What the same key sealed for something else opens nothing here.
        let session = vault.seal(SealedFor::Session, "default cust_1 5").unwrap();
        assert_eq!(Link::open(&URL_SAFE_NO_PAD.encode(session), &vault), None);
    }
}
