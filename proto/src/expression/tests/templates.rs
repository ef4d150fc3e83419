//! Value fields, expression fields, secrets in texts, URI templates.

use super::{Budget, NOW, Names, Program, Value, Variables, json, names};
use crate::expression::{EvaluationError, Template, UriTemplate};

fn scope() -> Variables {
    Variables(vec![
        ("context", json(r#"{"y":2}"#)),
        (
            "secrets",
            json(
                r#"{"api-key-secret":"s3cret","api-key":"k","token":{"value":"t0k"},"db":{"user":"u",
                "password":"p"},"undeclared-one":"x","a":5,"one":{"only":"1"}}"#,
            ),
        ),
        ("color", json(r#""red""#)),
    ])
}

fn fill(template: &str, input: &str) -> Result<Value, EvaluationError> {
    let template = Template::compile(&json(template), &names()).expect("a template");
    template.evaluate(&json(input), &scope(), Budget::at(NOW))
}

fn text(template: &str) -> String {
    let template = Value::from(template).to_json();
    let value = fill(&template, r#"{"name":"Ann","n":1.5,"o":{"a":[1]},"t":"${ .name }"}"#);
    value.expect("a text").to_text()
}

#[test]
fn whole_expressions_keep_their_type() {
    assert_eq!(fill(r#""${ .a }""#, r#"{"a":[1]}"#), Ok(json("[1]")));
    assert_eq!(fill(r#"" ${.a}\n""#, r#"{"a":1}"#), Ok(json("1")));
    assert_eq!(fill(r#""${\n  .a\n  | . + 1\n}""#, r#"{"a":1}"#), Ok(json("2")));
    assert_eq!(fill(r#""${ {a: {b: \"}\"}} }""#, "null"), Ok(json(r#"{"a":{"b":"}"}}"#)));
    assert_eq!(fill(r#""${ $context.y }""#, "null"), Ok(json("2")));
    assert_eq!(fill(r#""${ $color }""#, "null"), Ok(json(r#""red""#)));
    assert_eq!(fill(r#""${ $input }""#, "null"), Ok(Value::Null));
}

#[test]
fn only_marked_strings_are_expressions_and_keys_never() {
    let plain = r#"{"${ .a }":".a","b":["1 + 1",5,null,true],"c":"$context.y"}"#;
    assert_eq!(fill(plain, "null"), Ok(json(plain)));
    assert!(matches!(
        Template::compile(&json(plain), &names()),
        Ok(Template::Constant(Value::Object(_)))
    ));
    let mixed = r#"{"k":"${ .a }","l":{"m":[1,"${ .a + 1 }"]},"n":[2]}"#;
    assert_eq!(fill(mixed, r#"{"a":1}"#), Ok(json(r#"{"k":1,"l":{"m":[1,2]},"n":[2]}"#)));
}

#[test]
fn embedded_expressions_become_text() {
    assert_eq!(text("Hello ${ .name }!"), "Hello Ann!");
    assert_eq!(text("${ .n } and ${ .o }"), r#"1.5 and {"a":[1]}"#);
    assert_eq!(text("${.missing}-${ true }"), "null-true");
    assert_eq!(text("a ${ \"}\" } b ${ {x: 1}.x } ${ \"\\(\"}\")\" }"), "a } b 1 }");
    assert_eq!(text("x ${ .name # a comment with }\n } y"), "x Ann y");
    assert_eq!(text("literal $${ .name } and ${ .name }"), "literal ${ .name } and Ann");
    assert_eq!(text("$ $x $5.00 {name} ${ 1 }"), "$ $x $5.00 {name} 1");
}

#[test]
fn data_is_never_evaluated() {
    assert_eq!(text("${ .t }"), "${ .name }");
    assert_eq!(text("<${ .t }>"), "<${ .name }>");
}

#[test]
fn errors_say_where_they_are() {
    let broken = json(r#"{"a":"${ .x | }","b":["ok","x ${ $nope } y","${ 'x' }"],"c/d":"${ .a "}"#);
    let errors = Template::compile(&broken, &names()).expect_err("errors");
    let places: Vec<(&str, usize)> =
        errors.iter().map(|it| (it.pointer.as_str(), it.error.offset)).collect();
    assert_eq!(places, [("/a", 8), ("/b/1", 5), ("/b/2", 3), ("/c~1d", 0)]);
    assert!(errors[2].error.hint.as_deref().is_some_and(|it| it.contains("double quotes")));
}

#[test]
fn expression_fields_need_no_marks() {
    let field = |text: &str| {
        let template = Template::compile_expression_field(&json(text), &names()).expect("a field");
        template.evaluate(&json(r#"{"a":1}"#), &scope(), Budget::at(NOW))
    };
    assert_eq!(field(r#"".a""#), Ok(json("1")));
    assert_eq!(field(r#""${ .a }""#), Ok(json("1")));
    assert_eq!(field(r#"{"b":"${ .a }","c":".a"}"#), Ok(json(r#"{"b":1,"c":".a"}"#)));
    assert_eq!(field(r#"".a + \"${}\"""#).ok(), None);
}

#[test]
fn secrets_are_found_in_every_spelling() {
    for program in [
        "$secrets[\"api-key-secret\"]",
        "$secret[\"api-key-secret\"]",
        "$SECRET.\"api-key-secret\"",
        "$SECRETS.api-key-secret",
        "$secrets.api-key-secret",
        "$secret.api-key-secret | .",
        "${ $SECRETS.api-key-secret }",
        "\"\\($SECRETS.api-key-secret)\"",
    ] {
        let program = Program::compile(program, &names()).expect(program);
        let value = program.evaluate(Value::Null, &scope(), Budget::at(NOW));
        assert_eq!(value, Ok(Value::from("s3cret")), "{}", program.source());
        assert!(program.uses_secrets());
        let variables: Vec<&str> = program.variables().iter().map(|it| &**it).collect();
        assert_eq!(variables, ["secrets"]);
        let secrets = program.secret_names();
        assert!(!secrets.dynamic, "{}", program.source());
        assert!(secrets.names.iter().map(|it| &**it).eq(["api-key-secret"]));
    }
}

#[test]
fn subtraction_stays_subtraction() {
    let run = |program: &str| {
        let program = Program::compile(program, &names()).expect(program);
        program.evaluate(Value::Null, &scope(), Budget::at(NOW))
    };
    assert_eq!(run("$secrets.a - $secrets.a"), Ok(json("0")));
    assert_eq!(run("$SECRETS.a-1"), Ok(json("4")));
    assert_eq!(run("$SECRETS.db.password"), Ok(json(r#""p""#)));
    // Not declared, and not jq either: the name is taken as it stands, to be refused at the task.
    assert_eq!(run("$SECRETS.undeclared-one"), Ok(json(r#""x""#)));
    assert!(Program::compile("$secrets.undeclared-one", &names()).is_err());
}

#[test]
fn computed_names_of_secrets_are_dynamic() {
    for (program, dynamic) in [
        ("$secrets[$color]", true),
        ("$secrets | keys", true),
        ("$SECRETS[.name]", true),
        ("$secrets.db.password", false),
        (". as $secrets | $secrets | keys", false),
        ("$secrets.db, $secrets[\"token\"]", false),
    ] {
        let program = Program::compile(program, &names()).expect(program);
        assert_eq!(program.secret_names().dynamic, dynamic, "{}", program.source());
    }
    let template =
        Template::compile(&json(r#"{"a":"${ $secrets.db }","b":"x $SECRETS.token"}"#), &names())
            .expect("a template");
    assert!(template.uses_secrets());
    assert!(template.secret_names().names.iter().map(|it| &**it).eq(["db", "token"]));
}

#[test]
fn secrets_stand_in_texts_without_marks() {
    assert_eq!(text("Bearer $SECRETS.api-key-secret"), "Bearer s3cret");
    assert_eq!(text("$SECRETS.api-key-secret"), "s3cret");
    assert_eq!(text("$secrets.api-key/$SECRET.api-key"), "k/k");
    assert_eq!(text("u=$SECRETS.db.user&p=$SECRETS.db.password."), "u=u&p=p.");
    assert_eq!(text("a map with a value: $SECRETS.token"), "a map with a value: t0k");
    assert_eq!(text("a map with one key: $SECRETS.one"), "a map with one key: 1");
    assert_eq!(
        text("not declared: $secrets.other $secret.x"),
        "not declared: $secrets.other $secret.x"
    );
    assert_eq!(text("escaped: $$SECRETS.api-key $$x"), "escaped: $SECRETS.api-key $$x");
    assert_eq!(text("${ .name }: $SECRETS.api-key"), "Ann: k");
    let map = fill(r#""x $SECRETS.db""#, "null").unwrap_err();
    assert!(map.message.contains("name one of its keys"), "{}", map.message);
    assert!(!map.message.contains("password"));
}

#[test]
fn messages_show_no_secret() {
    for program in [
        "$secrets.token.value | error",
        "$secrets.token.value.x",
        "$secrets.db | .[0]",
        "$secrets.db.user + 1",
        "$secrets.db.password | tonumber",
        "$secrets.db.password | fromjson",
        "$secrets.db.password | strptime(\"%Y\")",
        "{} | .[$secrets.db.password].x | error",
        "try error($secrets.db) catch error(.)",
        "[1] | .[$secrets.db.user]",
        "$secrets | error",
        "error({a: $secrets.db.user})",
        "$secrets.db.user | {(.): 1} | {(tojson): 2} | {(.): 1}",
        "[$secrets.db.password] | implode",
        "$secrets.db.password | .[] = 1",
        "$secrets.db.password | @base64d | tojson | test(\"(\")",
        "\"x\" | test($secrets.db.password + \"(\")",
        "$authorization.parameter | error",
    ] {
        let program = Program::compile(program, &names()).expect(program);
        let long = json(
            r#"{"token":{"value":"VERYSECRET"},"db":{"user":"VERYSECRET","password":"VERYSECRET"}}"#,
        );
        let authorization = json(r#"{"parameter":"VERYSECRET"}"#);
        let scope = Variables(vec![("secrets", long), ("authorization", authorization)]);
        let input = json(r#"{"note":"VERYSECRET"}"#);
        let error = program.evaluate(input, &scope, Budget::at(NOW)).expect_err(program.source());
        assert!(!error.message.contains("VERYSECRET"), "{}", error.message);
    }
}

#[test]
fn messages_show_program_and_input() {
    let error = fill(r#""${ .a | keys }""#, r#"{"a":5}"#).unwrap_err();
    assert_eq!(
        error.message,
        "cannot evaluate `${ .a | keys }`: number (5) has no keys; the input was {\"a\":5}"
    );
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
    let error = fill(r#""${ .a | keys }""#, &long).unwrap_err();
    assert!(error.message.len() < 1000, "{}", error.message.len());
}

#[test]
fn shells_keep_their_own_variables() {
    let command = |text: &str| {
        let template = Template::compile_shell(text, &names()).expect(text);
        template.evaluate(&json(r#"{"a":"x"}"#), &scope(), Budget::at(NOW)).expect(text).to_text()
    };
    assert_eq!(
        command("echo ${HOME} ${X:-y} ${#x} $1 $$ ${1}"),
        "echo ${HOME} ${X:-y} ${#x} $1 $$ ${1}"
    );
    assert_eq!(command("echo ${ .a } ${.a} ${\"q\"} ${HOME}"), "echo x x q ${HOME}");
    assert_eq!(command("${ .a }"), "x");
    assert_eq!(command("${HOME}"), "${HOME}");
    assert_eq!(command("echo $SECRETS.api-key"), "echo $SECRETS.api-key");
}

#[test]
fn uris_are_expanded_in_literal_text_only() {
    let expand = |uri: &str, input: &str| {
        let template = UriTemplate::compile(uri, &names()).expect(uri);
        template.expand(&json(input), &scope(), Budget::at(NOW))
    };
    let input = r#"{"id":7,"name":"a b/ü","no":null,"ok":true,"t":"{id}","list":[1]}"#;
    for (uri, expected) in [
        ("http://x/{id}?q={name}&b={ok}", "http://x/7?q=a%20b%2F%C3%BC&b=true"),
        ("http://x/{missing}/{no}.", "http://x//."),
        ("${ \"http://x/{id}\" }", "http://x/{id}"),
        ("http://x/{id}/${ .t }", "http://x/7/%7Bid%7D"),
        ("http://x/{t}", "http://x/%7Bid%7D"),
        ("http://$SECRETS.api-key/{id}", "http://k/7"),
    ] {
        assert_eq!(expand(uri, input), Ok(expected.to_owned()), "{uri}");
    }
    assert_eq!(expand("http://x/{id}", "5"), Ok("http://x/".to_owned()));
    assert!(expand("http://x/{list}", input).unwrap_err().message.contains("list"));
    let kept = UriTemplate::compile("urn:{id}:{other}", &Names::default()).expect("a template");
    let kept = kept.expand_known(&json(input), &scope(), Budget::at(NOW));
    assert_eq!(kept, Ok("urn:7:{other}".to_owned()));
}

#[test]
fn templates_cannot_build_more_than_a_payload() {
    let huge = r#"["${ \"x\" * 6e6 }","${ \"x\" * 6e6 }","${ \"x\" * 6e6 }"]"#;
    assert!(fill(huge, "null").unwrap_err().message.contains("larger than"));
    let text = r#""a ${ \"x\" * 6e6 } ${ \"x\" * 6e6 } ${ \"x\" * 6e6 }""#;
    assert!(fill(text, "null").unwrap_err().message.contains("larger than"));
    let deep = r#"{"a":"${ (\"[\" * 256) + (\"]\" * 256) | fromjson }"}"#;
    assert!(fill(deep, "null").unwrap_err().message.contains("deeper"));
}

#[test]
fn data_in_a_uri_stays_data_behind_the_authority() {
    let input = r#"{"q":"a b&c=d?e#f/g%h+ü\\","base":"https://h:1/r?x=1","host":"h:80","port":81,"s":"http","empty":""}"#;
    let encoded = "a%20b%26c%3Dd%3Fe%23f%2Fg%25h%2B%C3%BC%5C";
    for (uri, expected) in [
        ("http://x/${ .q }/y", format!("http://x/{encoded}/y")),
        ("http://x?q=${ .q }", format!("http://x?q={encoded}")),
        (
            "http://x/p?a=${ .q }&b=${ .port }#${ .q }",
            format!("http://x/p?a={encoded}&b=81#{encoded}"),
        ),
        ("/x/${ .q }", format!("/x/{encoded}")),
        // Before the authority is complete data is what the author makes it.
        ("${ .base }&q=${ .q }", format!("https://h:1/r?x=1&q={encoded}")),
        ("${ .s }://${ .host }/p", "http://h:80/p".to_owned()),
        ("http://x:${ .port }/p", "http://x:81/p".to_owned()),
        // Three ways to put it in as it is.
        ("${ \"http://x/\" + .q }", "http://x/a b&c=d?e#f/g%h+ü\\".to_owned()),
        ("http://x/${ .q | @uri }", format!("http://x/{encoded}")),
        ("http://x/${ @uri \"p=\\(.port)&q=\\(.q)\" }", format!("http://x/p=81&q={encoded}")),
        ("http://x/a${ .empty }/b", "http://x/a/b".to_owned()),
        ("http://x/?k=$SECRETS.api-key", "http://x/?k=k".to_owned()),
    ] {
        let template = UriTemplate::compile(uri, &names()).expect(uri);
        assert_eq!(template.expand(&json(input), &scope(), Budget::at(NOW)), Ok(expected), "{uri}");
    }
}

#[test]
fn data_in_a_uri_calls_no_other_host_and_no_other_path() {
    let expand = |uri: &str, text: &str| {
        let template = UriTemplate::compile(uri, &names()).expect(uri);
        let input = Value::object([("x", Value::from(text))]);
        template.expand(&input, &scope(), Budget::at(NOW))
    };
    for (uri, text) in [
        ("http://x/${ .x }/y", ".."),
        ("http://x/a/${ .x }", "."),
        ("http://x/.${ .x }?q", "."),
        ("/a/${ .x }", ".."),
        ("http://x/{x}/y", ".."),
        ("http://x/a{/x}", ".."),
        ("http://x/.{x}", "."),
        ("http://${ .x }.example.com/y", "evil.example/"),
        ("http://example.com${ .x }/y", "@evil.example"),
        ("http://${ .x }:80/y", "evil.example#"),
        ("http://${ .x }.example.com/y", "evil.example\\"),
        ("http://{+x}.example.com/y", "evil.example/"),
    ] {
        assert!(expand(uri, text).is_err(), "{uri} {text}");
    }
    // The author's own dots, and a host that is all data, are the author's.
    assert_eq!(expand("http://x/../${ .x }", "y"), Ok("http://x/../y".to_owned()));
    assert_eq!(expand("http://x/${ .x }", "..."), Ok("http://x/...".to_owned()));
    assert_eq!(expand("http://x{?x}", "a/@b"), Ok("http://x?x=a%2F%40b".to_owned()));
    assert_eq!(expand("http://x{/x}", "a/b"), Ok("http://x/a%2Fb".to_owned()));
    assert_eq!(expand("http://x{#x}", "a/@b"), Ok("http://x#a/@b".to_owned()));
    assert_eq!(expand("http://x/?p=${ .x }", ".."), Ok("http://x/?p=..".to_owned()));
    assert_eq!(expand("http://${ .x }/y", "h/p"), Ok("http://h/p/y".to_owned()));
    assert!(expand("http://x/${ .x | @uri }", "..").is_err());
    let kind = UriTemplate::compile("urn:x/${ .x }", &names()).expect("a template");
    let kind = kind.expand_known(&json(r#"{"x":"a/../b"}"#), &scope(), Budget::at(NOW));
    assert_eq!(kind, Ok("urn:x/a/../b".to_owned()));
}
