//! Positions of walks, over lists of a store and over those in memory.

use std::cmp::Reverse;
use std::sync::LazyLock;

use tokio::runtime::Runtime;
use tollgate::domain::access::token::{AdminToken, TokenHash};
use tollgate::domain::id::AdminTokenId;
use tollgate::domain::id::AppSlug;
use tollgate::domain::role::Role;
use tollgate::domain::time::Timestamp;
use tollgate::store::{Actor, AuditEntry, AuditFilter, Listed, Store, StoreError, Window};

const ROWS: u128 = 20;

struct Stage {
    runtime: Runtime,
    store: Store,
}

static STAGE: LazyLock<Stage> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let store = runtime.block_on(filled());
    Stage { runtime, store }
});

/// A store with some admin tokens and some entries of the audit.
async fn filled() -> Store {
    let folder = tempfile::tempdir().unwrap().keep();
    let store = Store::open_sqlite(&folder.join("t.db")).await.unwrap();
    store.migrate().await.unwrap();
    let now = Timestamp::from_nanos(1);
    let mut tx = store.begin().await.unwrap();
    tx.app_ensure_default(now).await.unwrap();
    for number in 0..ROWS {
        let token = AdminToken {
            id: AdminTokenId::from_uuid(uuid::Uuid::from_u128(number)),
            app: None,
            name: "t".to_owned(),
            role: Role::Viewer,
            prefix: String::new(),
            created_at: now,
            expires_at: None,
            last_used_at: None,
        };
        let hash = TokenHash::of(&number.to_string());
        tx.admin_token_add(&token, &hash).await.unwrap();
        tx.audit_add(&[entry(now)]).await.unwrap();
    }
    tx.commit().await.unwrap();
    store
}

fn entry(at: Timestamp) -> AuditEntry {
    AuditEntry {
        app: AppSlug::default_app(),
        at,
        actor: Actor::Root,
        customer: None,
        operation: "suspend".to_owned(),
        details: serde_json::Value::Null,
    }
}

/// The first byte is the size of a part, the rest the cursor.
pub(crate) fn target(data: &[u8]) {
    let Some((&size, cursor)) = data.split_first() else {
        return;
    };
    let Ok(cursor) = std::str::from_utf8(cursor) else {
        return;
    };
    let size = u32::from(size % 100) + 1;
    let window = Window::Walk {
        after: Some(cursor.to_owned()).filter(|it| !it.is_empty()),
        size,
    };
    let stage = &*STAGE;
    stage.runtime.block_on(async {
        let mut tx = stage.store.read().await.unwrap();
        let tokens = tx.admin_token_list(None, &window).await;
        let ids = |it: &AdminToken| it.id.to_string();
        check(tokens, cursor, size, ids, |one, other| one > other);
        let app = AppSlug::default_app();
        let audit = tx.audit_list(&app, &AuditFilter::default(), &window).await;
        let by_number =
            |one: &str, other: &str| one.parse::<i64>().unwrap() > other.parse::<i64>().unwrap();
        check(audit, cursor, size, |it| it.seq.to_string(), by_number);
    });
    let all: Vec<u32> = (0..50).rev().collect();
    let listed = Listed::of(all, &window, |row| Reverse(*row));
    check(listed, cursor, size, u32::to_string, |one, other| {
        let number = |text: &str| text.trim().parse::<u32>().unwrap();
        number(one) > number(other)
    });
}

/// Rows come newest first, behind the cursor, and no more than were asked for.
fn check<T>(
    listed: Result<Listed<T>, StoreError>,
    cursor: &str,
    size: u32,
    key: impl Fn(&T) -> String,
    is_before: impl Fn(&str, &str) -> bool,
) {
    let listed = match listed {
        Ok(listed) => listed,
        Err(StoreError::Cursor) => return,
        Err(error) => panic!("{error:?}"),
    };
    assert!(listed.rows.len() <= size as usize);
    assert_eq!(listed.total, None);
    let keys: Vec<String> = listed.rows.iter().map(&key).collect();
    assert!(
        keys.windows(2).all(|pair| is_before(&pair[0], &pair[1])),
        "{keys:?}"
    );
    if let Some(next) = &listed.next {
        assert_eq!(keys.last(), Some(next));
    }
    if let Some(first) = keys.first().filter(|_| !cursor.is_empty()) {
        assert!(is_before(cursor, first), "{first} is not behind {cursor}");
    }
}
