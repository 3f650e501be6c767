//! Figures that are read when somebody asks.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// How all names begin.
pub(super) const PREFIX: &str = "tollgate";

/// A figure that can be read: its name without prefix and without what counters end in, its unit
/// included; and what it says, without a full stop.
#[derive(Debug, PartialEq, Eq)]
pub struct Figure {
    /// The name.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// True if it only grows, so that its rate is what counts.
    pub grows: bool,
}

impl Figure {
    /// A figure that goes up and down.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            grows: false,
        }
    }

    /// A figure that only grows while the process lives.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            grows: true,
        }
    }

    /// Reads it.
    pub const fn is(&'static self, value: f64) -> Reading {
        Reading {
            figure: self,
            labels: Vec::new(),
            value,
        }
    }

    /// Reads a count.
    pub fn counts(&'static self, value: u64) -> Reading {
        // Exact up to 2^53.
        #[expect(
            clippy::cast_precision_loss,
            reason = "such a count is beyond any queue"
        )]
        self.is(value as f64)
    }
}

/// One value of a figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    figure: &'static Figure,
    labels: Vec<(&'static str, &'static str)>,
    value: f64,
}

impl Reading {
    /// Adds a label.
    #[must_use]
    pub fn of(mut self, label: &'static str, value: &'static str) -> Self {
        self.labels.push((label, value));
        self
    }

    fn write(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        if self.figure.grows {
            encoder.encode_counter::<NoLabelSet, _, f64>(&self.value, None)
        } else {
            encoder.encode_gauge(&self.value)
        }
    }
}

/// Makes a registry of readings. Those of one figure must follow each other.
pub(super) fn registry(readings: Vec<Reading>) -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Readings(readings)));
    registry
}

#[derive(Debug)]
struct Readings(Vec<Reading>);

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for of_one in self.0.chunk_by(|one, next| one.figure == next.figure) {
            let figure = of_one[0].figure;
            let kind = if figure.grows {
                MetricType::Counter
            } else {
                MetricType::Gauge
            };
            let help = format!("{}.", figure.help);
            let mut family = encoder.encode_descriptor(figure.name, &help, None, kind)?;
            for reading in of_one {
                if reading.labels.is_empty() {
                    reading.write(&mut family)?;
                } else {
                    reading.write(&mut family.encode_family(&reading.labels)?)?;
                }
            }
        }
        Ok(())
    }
}
