//! The table: figures of ours and of the bare programs, round by round.

use std::path::Path;

use serde_json::{Value, json};

/// One row: a figure of each round.
pub(crate) struct Row {
    what: String,
    unit: &'static str,
    ours: Vec<f64>,
    /// Empty if there is nothing to compare with.
    bare: Vec<f64>,
}

/// The rows, printed as they come.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    pub(crate) fn add(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        ours: Vec<f64>,
        bare: Vec<f64>,
    ) {
        if self.0.is_empty() {
            println!(
                "{:<46}{:>10}{:>8}{:>10}{:>8}{:>8}",
                "", "ours", "spread", "bare", "spread", "ratio"
            );
        }
        let row = Row {
            what: what.into(),
            unit,
            ours,
            bare,
        };
        row.print();
        self.0.push(row);
    }

    /// Writes all figures, for programs.
    pub(crate) fn write(&self, path: &Path) {
        let rows: Vec<Value> = self.0.iter().map(Row::json).collect();
        std::fs::write(path, format!("{:#}\n", json!({ "rows": rows }))).unwrap();
        println!("written to {}", path.display());
    }
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        (!self.bare.is_empty()).then(|| median(&self.ours) / median(&self.bare))
    }

    fn print(&self) {
        let digits = usize::from(median(&self.ours) < 100.0) * 2;
        let what = format!("{}, {}", self.what, self.unit);
        let ours = median(&self.ours);
        print!("{what:<46}{ours:>10.digits$}{:>7.0}%", spread(&self.ours));
        if let Some(ratio) = self.ratio() {
            let bare = median(&self.bare);
            print!("{bare:>10.digits$}{:>7.0}%{ratio:>8.2}", spread(&self.bare));
        }
        println!();
    }

    fn json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit,
            "ours": median(&self.ours),
            "bare": (!self.bare.is_empty()).then(|| median(&self.bare)),
            "ratio": self.ratio(),
            "rounds": { "ours": self.ours, "bare": self.bare },
        })
    }
}

pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The distance from the least to the greatest, in percent of the median.
fn spread(figures: &[f64]) -> f64 {
    let most = figures.iter().copied().fold(f64::MIN, f64::max);
    let least = figures.iter().copied().fold(f64::MAX, f64::min);
    (most - least) / median(figures) * 100.0
}
