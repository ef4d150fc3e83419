//! Each form of a catalog's URL, and what cannot be one.

use super::Location;

fn of(endpoint: &str) -> String {
    Location::in_catalog(endpoint, "log:1.0.0").map(|it| it.to_string()).unwrap()
}

#[test]
fn pages_of_git_hosts_become_their_files() {
    let file = "functions/log/1.0.0/function.yaml";
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let raw = "https://raw.githubusercontent.com/o/r";
    let cases = [
        ("https://github.com/o/r/tree/main", format!("{raw}/refs/heads/main/{file}")),
        ("https://github.com/o/r/tree/main/", format!("{raw}/refs/heads/main/{file}")),
        ("https://github.com/o/r", format!("{raw}/refs/heads/main/{file}")),
        ("https://github.com/o/r.git", format!("{raw}/refs/heads/main/{file}")),
        ("https://github.com/o/r@v1.0.0", format!("{raw}/v1.0.0/{file}")),
        ("https://github.com/o/r/tree/1.2.3/sub/dir", format!("{raw}/1.2.3/sub/dir/{file}")),
        (&format!("https://github.com/o/r/tree/{commit}"), format!("{raw}/{commit}/{file}")),
        ("https://gitlab.com/g/s/p", format!("https://gitlab.com/g/s/p/-/raw/main/{file}")),
        ("https://git.here/g/p/-/tree/x", format!("https://git.here/g/p/-/raw/x/{file}")),
        ("http://127.0.0.1:80/c/?k=v#f", format!("http://127.0.0.1:80/c/{file}?k=v")),
        ("https://github.com.evil.test/o/r", format!("https://github.com.evil.test/o/r/{file}")),
        ("file:///catalog", format!("file:///catalog/{file}")),
    ];
    for (endpoint, expected) in cases {
        assert_eq!(of(endpoint), expected, "{endpoint}");
    }
}

#[test]
fn a_url_is_the_file_itself() {
    let at = |url| Location::at(url).map(|it| it.to_string()).unwrap();
    assert_eq!(
        at("https://github.com/o/r/blob/main/f.yaml"),
        "https://raw.githubusercontent.com/o/r/refs/heads/main/f.yaml"
    );
    assert_eq!(
        at("https://gitlab.com/g/p/-/blob/x/f.yaml"),
        "https://gitlab.com/g/p/-/raw/x/f.yaml"
    );
    assert_eq!(at("https://me@here/f@1.yaml"), "https://me@here/f@1.yaml");
    assert!(Location::at("https://here/a b").is_err());
}

#[test]
fn names_and_versions_stay_in_their_part_of_the_path() {
    for bad in
        ["log", "log:", ":1.0.0", "a/b:1", "log:../x", "log:..", "l%2fg:1", "log:1:2", "a b:1"]
    {
        assert!(Location::in_catalog("http://c", bad).is_err(), "{bad}");
        assert!(Location::of_default(bad).is_err(), "{bad}");
    }
    assert_eq!(Location::of_default("log:1.0.0").unwrap().key().as_ref(), "log:1.0.0@default");
}
