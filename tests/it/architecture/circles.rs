//! No files use each other in a circle.
//!
//! The arrows are read from the paths in the code: of `use`, and of every path that starts with
//! `crate`, `super`, `self` or the name of a child module. Each is followed to the deepest file it
//! names, and through re-exports to the file that defines the name, so a module that only
//! re-exports its children may be used by them. The re-export itself is an arrow too. Declaring a
//! module is none, and neither comments, strings nor `#[cfg(test)]` count.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::sources;

type Path = Vec<String>;

/// A file as the detector sees it.
struct File {
    name: String,
    /// Imported paths, with the names under which they are known in the file.
    uses: Vec<(Path, String)>,
    /// Paths elsewhere in the code.
    paths: Vec<Path>,
}

/// Replaces comments, strings and characters with blanks.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' if is_raw_string(rest) && !code.ends_with(is_word) => raw_string(rest),
            '\'' => character(rest).unwrap_or(0),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text[1..].find(|char| {
        let is_end = char == '"' && !escaped;
        escaped = char == '\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}

fn is_raw_string(text: &str) -> bool {
    text[1..].trim_start_matches('#').starts_with('"')
}

fn raw_string(text: &str) -> usize {
    let hashes = text[1..].find('"').unwrap();
    let end = format!("\"{}", "#".repeat(hashes));
    let start = hashes + 2;
    text[start..]
        .find(&end)
        .map_or(text.len(), |at| start + at + end.len())
}

/// The length of a character literal; `None` for a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    if chars.next()?.1 == '\\' {
        let escape = text[3..].find('\'')?;
        return Some(3 + escape + 1);
    }
    let (at, char) = chars.next()?;
    (char == '\'').then_some(at + 1)
}

/// Cuts code into words, `::` and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|char| !is_word(char)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

const TEST_ONLY: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];

/// The tokens without items that only tests have, and the names of modules among those.
fn without_tests<'a>(tokens: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if !tokens[at..].starts_with(&TEST_ONLY) {
            kept.push(tokens[at]);
            at += 1;
            continue;
        }
        at += TEST_ONLY.len();
        let item = &tokens[at..];
        let length = item_length(item);
        if let [.., "mod", name, ";"] = &item[..length] {
            modules.push(*name);
        }
        at += length;
    }
    (kept, modules)
}

/// The number of tokens up to the end of an item: its `;`, or the bracket that closes its body.
fn item_length(tokens: &[&str]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" | "(" | "[" => depth += 1,
            // The end of what the item stands in, such as an enum's body.
            "}" | ")" | "]" if depth == 0 => return at,
            "}" | ")" | "]" => {
                depth -= 1;
                if depth == 0 && *token == "}" {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// Reads a tree of imports up to its end, and adds its leaves.
fn read_tree(tokens: &mut &[&str], prefix: &[String], uses: &mut Vec<(Path, String)>) {
    let mut path = prefix.to_vec();
    while let Some((first, rest)) = tokens.split_first() {
        match *first {
            "::" => *tokens = rest,
            "{" => {
                *tokens = rest;
                while !matches!(tokens.first(), Some(&"}") | None) {
                    read_tree(tokens, &path, uses);
                    if tokens.first() == Some(&",") {
                        *tokens = &tokens[1..];
                    }
                }
                *tokens = tokens.get(1..).unwrap_or_default();
                return;
            }
            "as" => {
                uses.push((path, rest[0].to_owned()));
                *tokens = &rest[1..];
                return;
            }
            "}" | "," | ";" => break,
            name => {
                // `a::{self}` imports `a`.
                if name != "self" || path.is_empty() {
                    path.push(name.to_owned());
                }
                *tokens = rest;
            }
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    uses.push((path, name));
}

fn is_name(token: &str) -> bool {
    token.starts_with(is_word)
}

fn read(name: &str, tokens: &[&str]) -> File {
    let (mut uses, mut paths) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        match rest {
            // The reach of a `pub` is no use of it.
            ["pub", "(", "in", ..] => {
                at += rest.iter().position(|it| *it == ")").unwrap_or(0);
            }
            // Not the `use<'a>` of a type.
            ["use", next, ..] if *next != "<" => {
                let mut tree = &rest[1..];
                read_tree(&mut tree, &[], &mut uses);
                at = tokens.len() - tree.len();
            }
            [first, "::", ..] if is_name(first) && (at == 0 || tokens[at - 1] != "::") => {
                let mut path = vec![(*first).to_owned()];
                while let ["::", next, ..] = &tokens[at + 1..]
                    && is_name(next)
                {
                    path.push((*next).to_owned());
                    at += 2;
                }
                paths.push(path);
            }
            _ => {}
        }
        at += 1;
    }
    File {
        name: name.to_owned(),
        uses,
        paths,
    }
}

/// The path of the module in a file: `a/b.rs` and `a/b/mod.rs` are `a::b`, `lib.rs` is the root.
fn module(file: &str) -> Path {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    let parts = path.split('/').filter(|part| *part != "lib");
    parts.map(str::to_owned).collect()
}

struct Files(BTreeMap<Path, File>);

impl Files {
    /// Reads files, given by name below the source's folder and text.
    fn of<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut files = BTreeMap::new();
        let mut only_tests = BTreeSet::new();
        for (name, text) in sources {
            // The binary is a crate of its own.
            if name == "main.rs" {
                continue;
            }
            let code = code_of(text);
            let (tokens, test_modules) = without_tests(&tokens(&code));
            let path = module(name);
            for child in test_modules {
                only_tests.insert([&path[..], &[child.to_owned()]].concat());
            }
            files.insert(path, read(name, &tokens));
        }
        let is_test = |path: &Path| only_tests.iter().any(|test| path.starts_with(test));
        files.retain(|path, _| !is_test(path));
        Self(files)
    }

    /// The module whose file defines what a path in the module `from` names.
    fn resolve(&self, from: &Path, path: &[String], seen: &mut Vec<Path>) -> Option<Path> {
        let first = path.first()?;
        let mut module = from.clone();
        let mut names = path;
        if first == "crate" {
            module.clear();
            names = &path[1..];
        } else if first == "self" || first == "super" {
            while let [first, rest @ ..] = names
                && (first == "self" || first == "super")
            {
                if first == "super" {
                    module.pop();
                }
                names = rest;
            }
        } else if !self.0.contains_key(&child(from, first)) {
            return None;
        }
        for name in names {
            let deeper = child(&module, name);
            if self.0.contains_key(&deeper) {
                module = deeper;
                continue;
            }
            let file = self.0.get(&module)?;
            let import = file.uses.iter().find(|(_, known_as)| known_as == name);
            if let Some((path, _)) = import
                && !seen.contains(&deeper)
            {
                seen.push(deeper);
                let defined_in = self.resolve(&module, path, seen);
                return defined_in.or(Some(module));
            }
            break;
        }
        Some(module)
    }

    /// The modules that each module uses.
    fn arrows(&self) -> BTreeMap<&Path, BTreeSet<Path>> {
        let arrows_of = |(module, file): (_, &File)| {
            let imports = file.uses.iter().map(|(path, _)| path);
            let used = imports
                .chain(&file.paths)
                .filter_map(|path| self.resolve(module, path, &mut Vec::new()))
                .filter(|used| used != module && self.0.contains_key(used));
            (module, used.collect())
        };
        self.0.iter().map(arrows_of).collect()
    }

    /// The groups of files that use each other in a circle, each with its arrows.
    fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let reachable: BTreeMap<&Path, BTreeSet<&Path>> = arrows
            .keys()
            .map(|module| (*module, reachable(&arrows, module)))
            .collect();
        let mut circles = Vec::new();
        let mut done = BTreeSet::new();
        for (module, reached) in &reachable {
            let circle: BTreeSet<&Path> = reached
                .iter()
                .copied()
                .filter(|other| reachable[*other].contains(module))
                .collect();
            if !circle.is_empty() && done.insert(circle.clone()) {
                circles.push(self.describe(&arrows, &circle));
            }
        }
        circles
    }

    fn describe(
        &self,
        arrows: &BTreeMap<&Path, BTreeSet<Path>>,
        circle: &BTreeSet<&Path>,
    ) -> String {
        let mut text = format!("a circle of {} files:\n", circle.len());
        for from in circle {
            for to in arrows[*from].iter().filter(|to| circle.contains(to)) {
                let (from, to) = (&self.0[*from].name, &self.0[to].name);
                writeln!(text, "  {from} -> {to}").unwrap();
            }
        }
        text
    }
}

fn child(module: &[String], name: &str) -> Path {
    [module, &[name.to_owned()]].concat()
}

/// The modules that can be reached from one, in one step or several.
fn reachable<'a>(arrows: &'a BTreeMap<&Path, BTreeSet<Path>>, from: &Path) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Path> = arrows[from].iter().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(&arrows[module]);
        }
    }
    reached
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let sources = sources();
    let texts = sources
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let files = Files::of(texts);
    let arrows: usize = files.arrows().values().map(BTreeSet::len).sum();
    assert!(arrows > 1_000, "only {arrows} arrows were read");
    let circles = files.circles();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn a_circle_of_files_would_be_found() {
    let lib = ("lib.rs", "mod a; mod b; mod c;");
    for (description, files) in [
        (
            "imports",
            [
                ("a.rs", "use crate::b::B; pub struct A;"),
                ("b.rs", "use crate::a::{self as first, A}; pub struct B;"),
            ],
        ),
        (
            "paths in the code",
            [
                ("a.rs", "fn a() { crate::b::b() }"),
                ("b/mod.rs", "fn b() -> super::a::A { let it = '\"'; }"),
            ],
        ),
        (
            "a parent that re-exports a child which uses the parent",
            [
                (
                    "a/mod.rs",
                    "mod cart; pub use cart::Cart; pub struct Price;",
                ),
                ("a/cart.rs", "use super::Price;"),
            ],
        ),
        (
            "a parent that calls a child which uses the parent",
            [
                (
                    "a/mod.rs",
                    "mod cart; fn total() { cart::sum() } fn price() {}",
                ),
                ("a/cart.rs", "fn sum() { super::price() }"),
            ],
        ),
        (
            "a grandchild's path to the root's sibling",
            [
                ("a.rs", "mod deep; use crate::b::B;"),
                ("b.rs", "fn b(r: &'static str) { crate::a::run(r#\"//\"#) }"),
            ],
        ),
    ] {
        let circles = Files::of([lib].into_iter().chain(files)).circles();
        assert_eq!(circles.len(), 1, "{description}");
        for (name, _) in files {
            assert!(circles[0].contains(name), "{description}: {}", circles[0]);
        }
    }
}

#[test]
fn a_circle_of_three_is_one_circle() {
    let files = [
        ("a.rs", "use crate::b::B;"),
        ("b.rs", "use crate::c::C;"),
        ("c.rs", "use crate::a::A;"),
        ("d.rs", "use crate::a::A;"),
    ];
    let expected = "a circle of 3 files:\n  a.rs -> b.rs\n  b.rs -> c.rs\n  c.rs -> a.rs\n";
    assert_eq!(Files::of(files).circles(), [expected]);
}

#[test]
fn files_without_a_circle_are_let_through() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        // A facade: its children know each other through it.
        (
            "a/mod.rs",
            "mod cart; mod price; pub use cart::Cart; pub use price::Price;",
        ),
        (
            "a/cart.rs",
            "use super::Price; use crate::b::B; pub struct Cart;",
        ),
        (
            "a/price.rs",
            "pub(in crate::a) struct Price; fn of() -> impl Sized + use<'_> {}",
        ),
        // Neither comments, strings nor tests are arrows, and tests may be files.
        (
            "b.rs",
            "// use crate::a::Cart;\n/* crate::a::Cart /* */ crate::a */\n\
             const B: &str = \"crate::a::Cart\"; const C: char = '\\'';\n\
             #[cfg(test)]\nmod tests { use crate::a::Cart; }\n\
             #[cfg(test)]\nmod b_tests;",
        ),
        ("b/b_tests.rs", "use crate::a::Cart; use super::B;"),
        ("c.rs", "use crate::a::Cart; use std::fmt;"),
        ("main.rs", "use tollgate::a;"),
    ];
    assert_eq!(Files::of(files).circles(), [""; 0]);
}
