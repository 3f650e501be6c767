//! `STRIPE_PRICE_MAPPING` and `PADDLE_PRICE_MAPPING`: what a price buys.
//!
//! The JSON is read by hand, because a derived parser stops at the first error and calls it "did
//! not match any variant".

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::PriceMapping;
use super::parse::{every, quoted};
use super::reader::ValueErrors;
use crate::domain::access::plan::{PackageGrant, check_plan_id};
use crate::domain::access::versions::Scheme;
use crate::domain::id::Provider;

/// A mapping, and the packages in it that are read by SemVer.
#[derive(Default)]
pub(super) struct Prices {
    pub(super) mapping: PriceMapping,
    pub(super) semver: BTreeSet<String>,
}

pub(super) fn price_mapping(provider: Provider, text: &str) -> Result<Prices, ValueErrors> {
    let Entries(entries) = serde_json::from_str(text).map_err(|error| vec![json_error(&error)])?;
    let mut mapping = PriceMapping::new();
    let mut schemes = BTreeMap::new();
    let mut errors = ValueErrors::new();
    for (price, packages) in entries {
        if let Err(error) = check_plan_id(&price) {
            errors.push(format!("{} is no price id: {error}", quoted(&price)));
        }
        if let Some(other) = other_provider(provider, &price) {
            errors.push(format!(
                "{} is an id of {other}, not of {provider}",
                quoted(&price)
            ));
        }
        match grants(&price, &packages) {
            Ok(grants) => {
                for (grant, scheme) in &grants {
                    let known = schemes.insert(grant.package.clone(), *scheme);
                    if known.is_some_and(|known| known != *scheme) {
                        errors.push(format!(
                            "{} is read in two ways; say its \"versions\" wherever it is named",
                            quoted(&grant.package)
                        ));
                    }
                }
                let grants = grants.into_iter().map(|(grant, _)| grant).collect();
                if mapping.insert(price.clone(), grants).is_some() {
                    errors.push(format!("{} is there twice", quoted(&price)));
                }
            }
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() {
        schemes.retain(|_, scheme| *scheme == Scheme::Semver);
        Ok(Prices {
            mapping,
            semver: schemes.into_keys().collect(),
        })
    } else {
        Err(errors)
    }
}

/// The ids of prices and products of the two providers, by how they begin:
/// <https://docs.stripe.com/api/prices/object>, <https://developer.paddle.com/api-reference/about/paddle-ids>.
const PREFIXES: [(&str, &str); 4] = [
    ("price_", "stripe"),
    ("prod_", "stripe"),
    ("pri_", "paddle"),
    ("pro_", "paddle"),
];

/// The provider whose id it is, if that is another one: such a plan would never be bought.
fn other_provider(provider: Provider, price: &str) -> Option<&'static str> {
    let found = PREFIXES
        .iter()
        .find(|(prefix, _)| price.starts_with(prefix));
    let (_, owner) = found?;
    (*owner != provider.as_str()).then_some(owner)
}

fn grants(price: &str, packages: &Value) -> Result<Vec<(PackageGrant, Scheme)>, ValueErrors> {
    let Some(packages) = packages.as_array() else {
        return Err(vec![format!("{} is not a list of packages", quoted(price))]);
    };
    every(packages.iter().enumerate().map(|(index, entry)| {
        grant(entry).map_err(|error| format!("{}, package {}: {error}", quoted(price), index + 1))
    }))
}

fn grant(entry: &Value) -> Result<(PackageGrant, Scheme), String> {
    let (package, constraint, scheme) = match entry {
        Value::String(package) => (package.as_str(), "*", Scheme::default()),
        Value::Object(fields) => {
            if let Some(unknown) = fields.keys().find(|key| !is_field(key)) {
                return Err(format!("unknown field {}", quoted(unknown)));
            }
            let package = fields.get("package").and_then(Value::as_str);
            let constraint = fields.get("constraint").map_or(Some("*"), Value::as_str);
            let scheme = fields.get("versions").map(scheme).transpose()?;
            (
                package.ok_or("`package` is not a string")?,
                constraint.ok_or("`constraint` is not a string")?,
                scheme.unwrap_or_default(),
            )
        }
        _ => return Err("neither a name nor an object".to_owned()),
    };
    let name = scheme.package(package);
    name.map_err(|wrong| format!("{} {wrong}", quoted(package)))?;
    let read = scheme.constraint(constraint);
    read.map_err(|why| format!("constraint {}: {why}", quoted(constraint)))?;
    let grant = PackageGrant {
        package: package.to_owned(),
        constraint: constraint.to_owned(),
    };
    Ok((grant, scheme))
}

fn scheme(value: &Value) -> Result<Scheme, String> {
    let word = value.as_str().and_then(|word| word.parse().ok());
    word.ok_or_else(|| "`versions` is neither \"composer\" nor \"semver\"".to_owned())
}

fn is_field(key: &str) -> bool {
    matches!(key, "package" | "constraint" | "versions")
}

fn json_error(error: &serde_json::Error) -> String {
    if error.is_data() {
        "JSON, but not an object of price ids".to_owned()
    } else {
        let (line, column) = (error.line(), error.column());
        format!("not JSON at line {line}, column {column}")
    }
}

/// The entries of an object in their written order, duplicates included: a map would silently drop
/// the first of two equal keys, and with it packages that somebody has paid for.
struct Entries(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}
