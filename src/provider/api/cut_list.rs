//! Lists inside of Stripe's objects, which end at ten elements.
//! <https://docs.stripe.com/api/invoices/object#invoice_object-lines>

use serde_json::Value;
use serde_json::value::RawValue;

use super::error::ApiError;

/// The most elements that are read: a list of more is left as it is, and is flagged as cut.
const MOST: usize = 2_000;

/// An object with a list of which something is missing.
pub(super) struct CutList {
    object: Value,
    list: String,
}

impl CutList {
    /// Looks at the list of an object; `None` if nothing of it is missing.
    pub(super) fn of(object: &RawValue, list: &str) -> Result<Option<Self>, ApiError> {
        let object: Value = serde_json::from_str(object.get()).map_err(ApiError::not_understood)?;
        let is_cut = object[list]["has_more"] == true;
        Ok(is_cut.then(|| Self {
            object,
            list: list.to_owned(),
        }))
    }

    /// The last element of the list so far; `None` when it is whole, or long enough.
    pub(super) fn next(&self) -> Result<Option<String>, ApiError> {
        let list = &self.object[&self.list];
        let elements = list["data"].as_array().map_or(&[][..], Vec::as_slice);
        if list["has_more"] != true || elements.len() >= MOST {
            return Ok(None);
        }
        let end = elements.last().and_then(|it| it["id"].as_str());
        let missing = || ApiError::not_understood("a list that goes on says not where");
        end.map(|end| Some(end.to_owned())).ok_or_else(missing)
    }

    /// Adds a page.
    pub(super) fn add(&mut self, page: Vec<Box<RawValue>>, has_more: bool) -> Result<(), ApiError> {
        let list = &mut self.object[&self.list];
        list["has_more"] = Value::Bool(has_more);
        if let Some(elements) = list["data"].as_array_mut() {
            for element in page {
                let element = serde_json::from_str(element.get());
                elements.push(element.map_err(ApiError::not_understood)?);
            }
        }
        Ok(())
    }

    /// The object with its list.
    pub(super) fn whole(self) -> Result<Box<RawValue>, ApiError> {
        serde_json::value::to_raw_value(&self.object).map_err(ApiError::not_understood)
    }
}
