//! `STRIPE_PRICE_MAPPING` and `PADDLE_PRICE_MAPPING`: what a price buys.
//!
//! The JSON is taken apart by hand, because a derived parser stops at the first fault and calls it
//! "did not match any variant".

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::PriceMapping;
use super::parse::{every, quoted};
use super::reader::FieldErrors;
use crate::domain::access::constraint::Constraint;
use crate::domain::access::plan::PackageGrant;
use crate::domain::validate;

pub(super) fn price_mapping(text: &str) -> Result<PriceMapping, FieldErrors> {
    let Pairs(pairs) = serde_json::from_str(text).map_err(|error| vec![fault_of(&error)])?;
    let mut mapping = PriceMapping::new();
    let mut faults = FieldErrors::new();
    for (price, packages) in pairs {
        if price.is_empty() || !price.chars().all(|c| c.is_ascii_graphic()) {
            faults.push(format!("{} is no price id", quoted(&price)));
        }
        match grants(&price, &packages) {
            Ok(grants) => {
                if mapping.insert(price.clone(), grants).is_some() {
                    faults.push(format!("{} is there twice", quoted(&price)));
                }
            }
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() {
        Ok(mapping)
    } else {
        Err(faults)
    }
}

fn grants(price: &str, packages: &Value) -> Result<Vec<PackageGrant>, FieldErrors> {
    let Some(packages) = packages.as_array() else {
        return Err(vec![format!("{} is not a list of packages", quoted(price))]);
    };
    every(packages.iter().enumerate().map(|(index, entry)| {
        grant(entry).map_err(|fault| format!("{}, package {}: {fault}", quoted(price), index + 1))
    }))
}

fn grant(entry: &Value) -> Result<PackageGrant, String> {
    let (package, constraint) = match entry {
        Value::String(package) => (package.as_str(), "*"),
        Value::Object(fields) => {
            if let Some(unknown) = fields.keys().find(|key| !is_field(key)) {
                return Err(format!("unknown field {}", quoted(unknown)));
            }
            let package = fields.get("package").and_then(Value::as_str);
            let constraint = fields.get("constraint").map_or(Some("*"), Value::as_str);
            (
                package.ok_or("`package` is not a string")?,
                constraint.ok_or("`constraint` is not a string")?,
            )
        }
        _ => return Err("neither a name nor an object".to_owned()),
    };
    if validate::package(package).is_err() {
        return Err(format!(
            "{} is not of the form vendor/package in lower case",
            quoted(package)
        ));
    }
    check_constraint(constraint)
        .map_err(|why| format!("constraint {}: {why}", quoted(constraint)))?;
    Ok(PackageGrant {
        package: package.to_owned(),
        constraint: constraint.to_owned(),
    })
}

fn is_field(key: &str) -> bool {
    matches!(key, "package" | "constraint")
}

fn check_constraint(text: &str) -> Result<(), String> {
    match Constraint::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn fault_of(error: &serde_json::Error) -> String {
    if error.is_data() {
        "JSON, but not an object of price ids".to_owned()
    } else {
        let (line, column) = (error.line(), error.column());
        format!("not JSON at line {line}, column {column}")
    }
}

/// An object as it was written: a map would silently drop the first of two equal keys, and with
/// it packages that somebody has paid for.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}
