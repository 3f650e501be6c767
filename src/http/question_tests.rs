//! Questions in headers, as tables of cases.

use axum::http::{HeaderName, HeaderValue};

use super::*;

// As they are sent: tables of tests hold texts.
const ORIGINAL: &str = "x-original-uri";
const FORWARDED: &str = "x-forwarded-uri";

fn asked(lines: &[(&str, &str)]) -> Result<Option<Asked>, &'static str> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    of_headers(&headers, None).map_err(|error| error.code())
}

fn about(lines: &[(&str, &str)]) -> Result<Option<About>, &'static str> {
    asked(lines).map(|asked| asked.map(|it| it.about))
}

fn tool(version: Option<&str>) -> About {
    About::Package(Wanted {
        package: "acme/tool".into(),
        version: version.map(str::to_owned),
        reference: None,
    })
}

/// A description, headers, and what they ask.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Result<Option<About>, &'static str>,
);

const COMMIT: &str = "5d41402abc4b2a76b9719d911017c592ae1f3c25";

#[test]
fn the_path_of_a_file_says_what_it_is_about() {
    for (uri, expected) in [
        ("/packages.json", Some(About::Anything)),
        ("/a/b/packages.json?x=1", Some(About::Anything)),
        ("/p2/acme/tool.json", Some(tool(None))),
        ("/sub/p2/acme/tool~dev.json", Some(tool(None))),
        ("/dist/acme/tool/1.0.0.zip", Some(tool(Some("1.0.0")))),
        (
            "/dist/acme/tool/1.0.0+build.tar.gz",
            Some(tool(Some("1.0.0+build"))),
        ),
        (
            "/dist/acme/tool/1.0.0%2Bbuild.zip",
            Some(tool(Some("1.0.0+build"))),
        ),
        ("/dist/acme/tool/dev-main.zip", Some(tool(Some("dev-main")))),
        ("/dist/acme/tool/1.x-dev.zip", Some(tool(Some("1.x-dev")))),
        ("/dist/acme%2ftool/1.0.0.zip", Some(tool(Some("1.0.0")))),
        // No version, so nobody may have it.
        ("/dist/acme/tool/readme.zip", Some(tool(Some("readme")))),
        ("/dist/acme/tool/1.0.0", None),
        ("/dist/acme/tool/1.0.0/../2.0.0.zip", None),
        ("/dist/acme/tool/%2e%2e/1.0.0.zip", None),
        ("/dist/acme/tool//1.0.0.zip", None),
        ("/dist/acme/tool/1.0.0%5c..%5c2.0.0.zip", None),
        ("/dist/tool/1.0.0.zip", None),
        ("/p2/acme/tool.json%00", None),
        ("/p2/acme/%ff.json", None),
        ("/other", None),
        ("", None),
    ] {
        let found = about(&[(ORIGINAL, uri)]);
        let expected = match expected {
            Some(expected) => Ok(Some(expected)),
            None => Err("question_unclear"),
        };
        assert_eq!(found, expected, "{uri}");
        assert_eq!(about(&[(FORWARDED, uri)]), found, "{uri}");
    }
}

/// The names that Composer 2.5 gives for its `archive` command, which Satis calls.
#[test]
fn archives_may_be_named_as_satis_names_them() {
    let made_of = |reference: &str| {
        About::Package(Wanted {
            package: "acme/tool".into(),
            reference: Some(reference.to_owned()),
            version: None,
        })
    };
    let long = format!("{COMMIT}{}", &COMMIT[..24]);
    for (name, expected) in [
        (
            "acme-tool-1.0.0-abc123.zip".to_owned(),
            Some(tool(Some("1.0.0"))),
        ),
        ("acme-tool-1.0.0.zip".to_owned(), Some(tool(Some("1.0.0")))),
        (
            "acme-tool-1.0.0-beta2-abc123.zip".to_owned(),
            Some(tool(Some("1.0.0-beta2"))),
        ),
        // Not the alpha version 12345.
        (
            "acme-tool-1.0.0-a12345.zip".to_owned(),
            Some(tool(Some("1.0.0"))),
        ),
        (
            "1.0.0-a12345.zip".to_owned(),
            Some(tool(Some("1.0.0-a12345"))),
        ),
        (
            "acme-tool-dev-main-abc123.tar".to_owned(),
            Some(tool(Some("dev-main"))),
        ),
        (
            "acme-tool-1.0.0+b-abc123.tar".to_owned(),
            Some(tool(Some("1.0.0+b"))),
        ),
        (
            format!("acme-tool-{COMMIT}-zip-abc123.zip"),
            Some(made_of(COMMIT)),
        ),
        (format!("acme-tool-{COMMIT}-zip.zip"), Some(made_of(COMMIT))),
        (format!("{COMMIT}.tar.gz"), Some(made_of(COMMIT))),
        (format!("{long}.tar.gz"), Some(made_of(&long))),
    ] {
        let uri = format!("/satis/dist/acme/tool/{name}");
        assert_eq!(about(&[(ORIGINAL, &uri)]), Ok(expected), "{name}");
    }
    // A dot in a name is a dash there.
    let uri = "/dist/acme/tool.x/acme-tool-x-1.0.0-abc123.zip";
    let found = about(&[(ORIGINAL, uri)]).unwrap();
    let expected = Wanted {
        package: "acme/tool.x".into(),
        version: Some("1.0.0".into()),
        reference: None,
    };
    assert_eq!(found, Some(About::Package(expected)));
}

#[test]
fn whoever_passes_the_answer_on_is_told_apart() {
    let path = "/p2/acme/tool.json";
    for (lines, expected) in [
        (&[(ORIGINAL, path)][..], false),
        (&[(FORWARDED, path)], true),
        (&[(ORIGINAL, path), (FORWARDED, path)], true),
        (&[("x-tollgate-package", "acme/tool")], false),
        (&[(FORWARDED, "/dist/acme/tool/1.0.0.zip")], false),
        (&[(FORWARDED, "/packages.json")], false),
    ] {
        let asked = asked(lines).unwrap().unwrap();
        assert_eq!(asked.is_for_metadata, expected, "{lines:?}");
    }
}

#[test]
fn a_client_cannot_change_the_question() {
    const PATH: (&str, &str) = (ORIGINAL, "/dist/acme/tool/2.0.0.zip");
    let cases: [Case; 8] = [
        ("nothing", &[], Ok(None)),
        (
            "a version of nothing",
            &[("x-tollgate-version", "1.0")],
            Ok(None),
        ),
        ("a path", &[PATH], Ok(Some(tool(Some("2.0.0"))))),
        (
            "headers",
            &[
                ("x-tollgate-package", "Acme/Tool"),
                ("x-tollgate-version", "1+a b"),
            ],
            Ok(Some(tool(Some("1+a b")))),
        ),
        (
            "the same twice over",
            &[
                PATH,
                ("x-tollgate-package", "acme/tool"),
                ("x-tollgate-version", "2.0.0"),
            ],
            Ok(Some(tool(Some("2.0.0")))),
        ),
        (
            "another package",
            &[PATH, ("x-tollgate-package", "acme/other")],
            Err("question_unclear"),
        ),
        (
            "another path",
            &[PATH, (FORWARDED, "/dist/acme/tool/1.0.0.zip")],
            Err("question_unclear"),
        ),
        (
            "a second line",
            &[PATH, (ORIGINAL, "/dist/acme/tool/1.0.0.zip")],
            Err("question_unclear"),
        ),
    ];
    for (description, lines, expected) in cases {
        assert_eq!(about(lines), expected, "{description}");
    }
}

#[test]
fn a_query_is_one_voice_among_the_headers() {
    for (description, name, uri, expected) in [
        ("the same", FORWARDED, "/dist/acme/tool/1.0.0.zip", true),
        (
            "another version",
            FORWARDED,
            "/dist/acme/tool/2.0.0.zip",
            false,
        ),
        ("any version", ORIGINAL, "/p2/acme/tool.json", false),
        ("anything at all", ORIGINAL, "/packages.json", false),
        ("nothing that can be told", FORWARDED, "/other", false),
        ("the question itself", ORIGINAL, "/access?package=x/y", true),
        ("the same path elsewhere", ORIGINAL, "/a/access", false),
        ("another path", FORWARDED, "/access/packages", false),
        ("another package", "x-tollgate-package", "acme/other", false),
        (
            "the package alone",
            "x-tollgate-package",
            "acme/tool",
            false,
        ),
    ] {
        let headers = HeaderMap::from_iter([(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_static(uri),
        )]);
        let query = Wanted::new("Acme/Tool", Some("1.0.0"));
        let found = of_headers(&headers, Some(query)).map(|asked| asked.unwrap().about);
        let found = found.map_err(|error| error.code());
        let expected = if expected {
            Ok(tool(Some("1.0.0")))
        } else {
            Err("question_unclear")
        };
        assert_eq!(found, expected, "{description}");
    }
    // Nobody asks by this alone: a client may have asked a proxy for such a file.
    assert_eq!(about(&[(FORWARDED, "/access")]), Err("question_unclear"));
    let nothing = of_headers(&HeaderMap::new(), Some(Wanted::new("acme/tool", Some(""))));
    assert_eq!(nothing.unwrap().unwrap().about, tool(None));
}
