//! Reads a `curl` command as a shell and curl would: words, quotes, comments, and the options
//! that the pages use. Anything else ends the test.

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
}

/// Reads one command: of `curl`, or a bare request line such as `GET /path`.
pub(super) fn parse(command: &str) -> Request {
    let mut words = words(command).into_iter();
    let first = words.next().expect("a command");
    let mut request = Request {
        method: "GET".to_owned(),
        url: String::new(),
        headers: Vec::new(),
        body: None,
    };
    if first != "curl" {
        assert!(["GET", "DELETE"].contains(&first.as_str()), "{command}");
        request.method = first;
        request.url = words.next().expect("a path");
        assert_eq!(words.next(), None, "{command}");
        return request;
    }
    let mut is_said = false;
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("the option has a value");
        match word.as_str() {
            "-X" => {
                request.method = value();
                is_said = true;
            }
            "-H" => {
                let header = value();
                let (name, value) = header.split_once(':').expect("a header");
                let header = (name.to_owned(), value.trim().to_owned());
                request.headers.push(header);
            }
            "-d" => request.body = Some(value()),
            option if option.starts_with('-') => panic!("unknown option {option} in {command}"),
            _ => {
                assert_eq!(request.url, "", "one URL in {command}");
                request.url = word;
            }
        }
    }
    if request.body.is_some() && !is_said {
        "POST".clone_into(&mut request.method);
    }
    request
}

/// Splits into words: blanks part them, quotes and backslashes keep them together.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some('\''), letter) => word.get_or_insert_default().push(letter),
            (_, '\\') => match letters.next() {
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => {
                letters.by_ref().find(|&letter| letter == '\n');
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    assert_eq!(quote, None, "an open quote in {text}");
    words.extend(word);
    words
}

#[test]
fn commands_are_read_as_a_shell_would() {
    let read = parse(
        r#"# why
        curl -X PUT "http://h/a?b=c&d=e" \
          -H "Authorization: Bearer x" -H 'A:b # no comment' \
          -d '{"a": "b\"c",
          "d": 1}'"#,
    );
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        read,
        Request {
            method: "PUT".to_owned(),
            url: "http://h/a?b=c&d=e".to_owned(),
            headers: vec![
                header("Authorization", "Bearer x"),
                header("A", "b # no comment")
            ],
            body: Some("{\"a\": \"b\\\"c\",\n          \"d\": 1}".to_owned()),
        }
    );
    assert_eq!(parse("curl http://h -d x").method, "POST");
    assert_eq!(parse("curl http://h").method, "GET");
    let line = parse("DELETE /a/b");
    assert_eq!(
        (line.method.as_str(), line.url.as_str()),
        ("DELETE", "/a/b")
    );
}
