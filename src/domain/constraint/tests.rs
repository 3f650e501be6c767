use super::normalise::normalise;
use super::{Constraint, Stability};
const REPEATED: [&str; 36] = [
    " ", ".", "-", "_", "|", ",", "#", "@", "+", "=", "~", "*", "x", "1", "1.", ".1", "-1", "a",
    "p1", "-p", "dev", "-dev", " -", "- ", " ,", " as", "alpha.1", "é","a1", "alpha", "p.1", ", ", "  ,", "1 ", "1,", "-alpha-1",
];
const HEADS: [&str; 12] = [
    "", "1", "1.0", "1.0-beta", "^1.0-rc", "~1", ">=1.0-p", "dev-", "1.0 - ", "20230131", "a as ", "=",
];
const TAILS: [&str; 8] = ["", "2", "!", "-dev", "@dev", " 1", "|", "as"];
fn read(text: &str) -> u128 {
    let t = std::time::Instant::now();
    let _ = Constraint::parse_any_length(text);
    let _ = normalise(text);
    let _ = Stability::of_text(text);
    t.elapsed().as_micros()
}
#[test]
fn reading_is_linear_in_the_length_of_the_text() {
    let mut worst = 0.0_f64; let mut max=0;
    for p in REPEATED { for h in HEADS { for t in TAILS {
        let mk = |n: usize| format!("{h}{}{t}", p.repeat(n / p.len()));
        let (a,b)=(mk(1<<13),mk(1<<16));
        let x = read(&a).min(read(&a)); let y = read(&b);
        let r = y as f64 / (x.max(20)) as f64; max=max.max(y);
        if r > 16.0 { eprintln!("{p:?} {h:?} {t:?} {x} {y} {r}"); }
        worst = worst.max(r);
    }}}
    eprintln!("worst {worst} max {max}");
}
