//! How pages and single answers are read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::ApiError;
use crate::domain::id::Provider;
use crate::provider::STRIPE;

/// Finds the objects of a page, and the place from which the list goes on.
pub(super) fn read(
    provider: Provider,
    body: &str,
) -> Result<(Vec<Box<RawValue>>, Option<String>), ApiError> {
    let page: Page = serde_json::from_str(body).map_err(ApiError::not_understood)?;
    let next = if provider == STRIPE.name {
        let last = page.data.last().filter(|_| page.has_more);
        last.map(|object| id_of(object)).transpose()?
    } else {
        let pagination = page.meta.and_then(|meta| meta.pagination);
        let pagination = pagination.filter(|it| it.has_more && !page.data.is_empty());
        let next = pagination.and_then(|it| it.next);
        // Only the place is taken from the address: the key goes nowhere but to the base.
        next.map(|next| {
            after(&next).ok_or_else(|| ApiError::not_understood("`next` has no `after`"))
        })
        .transpose()?
    };
    Ok((page.data, next))
}

/// Finds the object of an answer about one. Paddle's may be a list of one.
pub(super) fn read_one(provider: Provider, body: &str) -> Result<Box<RawValue>, ApiError> {
    if provider == STRIPE.name {
        return serde_json::from_str(body).map_err(ApiError::not_understood);
    }
    let one: One = serde_json::from_str(body).map_err(ApiError::not_understood)?;
    match one.data {
        Data::Many(many) => many.into_iter().next().ok_or(ApiError::NotFound),
        Data::One(one) => Ok(one),
    }
}

/// Finds the id of an object.
pub(super) fn id_of(object: &RawValue) -> Result<String, ApiError> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    let named: Named = serde_json::from_str(object.get()).map_err(ApiError::not_understood)?;
    Ok(named.id)
}

#[derive(Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    has_more: bool,
    meta: Option<Meta>,
}

struct One {
    data: Data,
}

enum Data {
    Many(Vec<Box<RawValue>>),
    One(Box<RawValue>),
}

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw {
            data: Box<RawValue>,
        }
        let Raw { data } = Raw::deserialize(deserializer)?;
        if !data.get().starts_with('[') {
            return Ok(Self {
                data: Data::One(data),
            });
        }
        let many = serde_json::from_str(data.get()).map_err(serde::de::Error::custom)?;
        Ok(Self {
            data: Data::Many(many),
        })
    }
}

#[derive(Deserialize)]
struct Meta {
    pagination: Option<Pagination>,
}

#[derive(Deserialize)]
struct Pagination {
    next: Option<String>,
    #[serde(default)]
    has_more: bool,
}

fn after(next: &str) -> Option<String> {
    let url = reqwest::Url::parse(next).ok()?;
    let mut pairs = url.query_pairs();
    let (_, after) = pairs.find(|(name, _)| name == "after")?;
    Some(after.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::PADDLE;

    #[test]
    fn the_next_page_is_found_as_each_provider_says_it() {
        let stripe = r#"{"object":"list","data":[{"id":"a"},{"id":"b"}],"has_more":true}"#;
        let (objects, next) = read(STRIPE.name, stripe).unwrap();
        assert_eq!((objects.len(), next.as_deref()), (2, Some("b")));
        let end = r#"{"data":[{"id":"a"}],"has_more":false}"#;
        assert_eq!(read(STRIPE.name, end).unwrap().1, None);
        let paddle = r#"{"data":[{"id":"a"}],"meta":{"pagination":{"has_more":true,
            "next":"https://elsewhere.example/customers?after=ctm_1&per_page=200"}}}"#;
        assert_eq!(
            read(PADDLE.name, paddle).unwrap().1.as_deref(),
            Some("ctm_1")
        );
        for wrong in ["[]", "{}", r#"{"data":[{}],"has_more":true}"#] {
            assert!(read(STRIPE.name, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_of_one_is_one_and_an_empty_one_is_none() {
        let of = |body: &str| read_one(PADDLE.name, body);
        assert_eq!(of(r#"{"data":{"id":"a"}}"#).unwrap().get(), r#"{"id":"a"}"#);
        assert_eq!(
            of(r#"{"data":[{"id":"a"}]}"#).unwrap().get(),
            r#"{"id":"a"}"#
        );
        assert!(matches!(of(r#"{"data":[]}"#), Err(ApiError::NotFound)));
    }
}
