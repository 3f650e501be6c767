//! How objects and lists are wrapped.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::ApiError;
use crate::http::api::list::Paging;
use crate::store::{Listed, Window};

/// One object.
#[derive(Serialize, ToSchema)]
pub(super) struct Data<T> {
    data: T,
}

impl<T> Data<T> {
    /// Wraps an answer of the admin API.
    pub(super) fn of(Json(data): Json<T>) -> Json<Self> {
        Json(Self { data })
    }
}

/// Part of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct DataList<T> {
    data: Vec<T>,
    meta: DataMeta,
}

/// The part of the list that this is: a page, or a step of a walk by `?cursor=`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum DataMeta {
    Page {
        total: u64,
        page: u32,
        per_page: u32,
    },
    Walk {
        per_page: u32,
        next_cursor: Option<String>,
    },
}

impl<T> DataList<T> {
    /// Wraps a part that the store cut.
    pub(super) fn of(paging: &Paging, part: Listed<T>) -> Result<Json<Self>, ApiError> {
        let meta = match paging.window {
            Window::Page { number, size } => DataMeta::Page {
                total: part.total.unwrap_or_default(),
                page: number,
                per_page: size,
            },
            Window::Walk { size, .. } => DataMeta::Walk {
                per_page: size,
                next_cursor: paging.next(&part)?,
            },
        };
        Ok(Json(Self {
            data: part.rows,
            meta,
        }))
    }
}
