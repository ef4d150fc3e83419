#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::{Rules, RulesError};
use crate::access::permission::Permission;
use crate::access::principal::{Method, Principal, Resource};

fn read(text: &str) -> Result<Rules, RulesError> {
    Rules::parse(text, Path::new("/etc/windlass"))
}

const ISSUER: &str =
    "[[issuer]]\nname = \"corp\"\nurl = \"https://id.example\"\naudiences = [\"w\"]\n";

#[test]
fn grants_are_for_those_of_one_issuer() {
    let text = format!(
        "{ISSUER}[certificates]\n\
         [[grant]]\nissuer = \"corp\"\nsubjects = [\"ada\"]\nrole = \"viewer\"\nnamespaces = [\"*\"]\n\
         [[grant]]\nissuer = \"corp\"\ngroups = [\"ops-*\"]\nrole = \"mine\"\nnamespaces = [\"shop\"]\n\
         [roles.mine]\npermissions = [\"instance.start\"]\n"
    );
    let rules = read(&text).unwrap();
    let ada = rules.grants("corp", "ada", &["ops-eu".into()]);
    assert_eq!(ada.len(), 2);
    let ada = Principal { grants: ada, method: Method::Jwt, ..Principal::anyone() };
    assert!(ada.may(Permission::InstanceStart, Resource::Workflow("shop", "a")));
    assert!(!ada.may(Permission::InstanceStart, Resource::Workflow("bank", "a")));
    // The same name elsewhere is somebody else, and a group is no subject.
    assert!(rules.grants("certificate", "ada", &[]).is_empty());
    assert!(rules.grants("corp", "ops-eu", &["ada".into()]).is_empty());
}

#[test]
fn what_a_certificate_calls_somebody_says_nothing_of_where_they_belong() {
    let rules = read(
        "[certificates]\n[[grant]]\nissuer = \"certificate\"\nsubjects = [\"CN=*,O=admins\"]\n\
         role = \"admin\"\nnamespaces = [\"*\"]\n",
    );
    let rules = rules.unwrap();
    assert_eq!(rules.grants("certificate", "CN=ada,O=admins", &[]).len(), 1);
    assert!(rules.grants("certificate", "CN=mallory\\,O=admins", &[]).is_empty());
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    let grant = "[[grant]]\nissuer = \"corp\"\nsubjects = [\"ada\"]\nnamespaces = [\"*\"]\n";
    let cases = [
        ("[[isuer]]\n".to_owned(), 1, "unknown field"),
        (format!("{ISSUER}extra = 1\n"), 5, "unknown field"),
        (ISSUER.replace("https", "http"), 3, "https"),
        (ISSUER.replace("\"w\"", ""), 4, "audiences"),
        (format!("{ISSUER}subject = \".a[\"\n"), 5, "not jq"),
        (format!("{ISSUER}algorithms = [\"HS256\"]\n"), 5, "RS256"),
        (format!("{ISSUER}{ISSUER}"), 6, "another issuer"),
        (ISSUER.replace("corp", "token"), 2, "another name"),
        (format!("{ISSUER}{grant}role = \"viewr\"\n"), 9, "did you mean `viewer`"),
        (format!("{grant}role = \"viewer\"\n"), 2, "no issuer is called `corp`"),
        (
            format!("{ISSUER}{}", grant.replace("subjects = [\"ada\"]\n", "role = \"viewer\"\n")),
            5,
            "`subjects` or `groups`",
        ),
        (format!("{ISSUER}{grant}role = \"viewer\"\nworkflows = []\n"), 9, "`workflows`"),
        ("[roles.viewer]\npermissions = []\n".to_owned(), 1, "is there already"),
        (
            "[roles.a]\npermissions = [\"instance.strat\"]\n".to_owned(),
            2,
            "did you mean `instance.start`",
        ),
        ("[[token]]\nname = \"a\"\nsha256 = \"12\"\ngrants = []\n".to_owned(), 3, "64 hexadecimal"),
    ];
    for (text, line, words) in cases {
        let error = read(&text).unwrap_err();
        assert!(error.line == line && error.reason.contains(words), "{text}\n{error}");
    }
}

#[test]
fn a_token_of_the_file_has_what_stands_with_it() {
    let hash = crate::access::sha256("wlt_x");
    let text = format!(
        "[[token]]\nname = \"ci\"\nsha256 = \"{hash}\"\nexpires = \"2030-01-01T00:00:00Z\"\n\
         grants = [{{ role = \"starter\", namespaces = [\"shop\"], workflows = [\"order*\"] }}]\n"
    );
    let rules = read(&text).unwrap();
    let token = rules.tokens.values().next().unwrap();
    assert_eq!((&*token.name, token.grants.len()), ("ci", 1));
    let ci = Principal { grants: token.grants.clone(), ..Principal::anyone() };
    assert!(ci.may(Permission::InstanceStart, Resource::Workflow("shop", "orders")));
    assert!(!ci.may(Permission::InstanceStart, Resource::Workflow("shop", "refund")));
}
