use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use windlass_proto::id::InstanceId;
use windlass_proto::limits;
use windlass_proto::problem::{Problem, Standard};
use windlass_proto::sealed::Sealed;
use windlass_proto::value::Value;
use zeroize::Zeroizing;

use super::{Content, SHOWN, Seal};
use crate::testing::json;

const CANARY: &str = "s3cr3t/\"käny+ ?~>";

fn seal() -> Seal {
    let mut seal = Seal::default();
    seal.add_value(&Value::object([
        ("password", Value::from(CANARY)),
        ("pin", Value::Int(9_876_543)),
        ("short", Value::from("ab")),
    ]));
    seal
}

fn some_sealed() -> Arc<Sealed> {
    Arc::new(Sealed {
        key: "k".into(),
        namespace: "n".into(),
        instance: InstanceId(uuid::Uuid::nil()),
        ciphertext: vec![1],
    })
}

/// The contents of what is found, as `value: secrets`.
fn contents(seal: &Seal, value: &Value) -> Vec<String> {
    let (contents, _) = seal.contents(&seal.find(value));
    let shown = |it: &Content| {
        let secrets: Vec<&str> = it.secrets.iter().map(|it| it.as_str()).collect();
        format!("{}: {}", it.value.to_json(), secrets.join(", "))
    };
    contents.iter().map(shown).collect()
}

#[test]
fn every_common_encoding_is_recognised() {
    let seal = seal();
    let quoted = Value::from(CANARY).to_json();
    let mut texts = vec![CANARY.to_owned(), quoted];
    for prefix in ["", "x", "xy", "user:"] {
        for suffix in ["", "z", "zz"] {
            let text = format!("{prefix}{CANARY}{suffix}");
            texts.push(STANDARD.encode(&text));
            texts.push(URL_SAFE_NO_PAD.encode(&text));
        }
    }
    for text in [
        "s3cr3t%2F%22k%C3%A4ny%2B%20%3F~%3E",
        "s3cr3t%2f%22k%c3%a4ny%2b+%3f%7e%3e",
        "s3cr3t\\/\\\"k\\u00e4ny+ ?~\\u003e",
        "s3cr3t/&quot;käny+ ?~&gt;",
        "s3cr3t/&#34;käny+ ?~&#62;",
    ] {
        texts.push(text.to_owned());
    }
    for text in texts {
        let sealed = seal.text(&format!("before {text} after"));
        assert!(sealed.contains(SHOWN), "{text}");
        assert!(sealed.starts_with("before ") && sealed.ends_with(" after"), "{sealed}");
    }
    assert_eq!(seal.text("ab is too short"), "ab is too short");
}

/// Encoders differ in what they escape: whole texts, or as little as they can.
#[test]
fn escapes_are_seen_through_however_a_program_writes_them() {
    let seal = seal();
    let each = |write: fn(char) -> String| CANARY.chars().map(write).collect::<String>();
    let bytes = |write: fn(u8) -> String| CANARY.bytes().map(write).collect::<String>();
    for text in [
        bytes(|it| format!("\\x{it:02x}")),
        bytes(|it| format!("\\x{it:02X}")),
        bytes(|it| format!("\\{it:03o}")),
        bytes(|it| format!("%{it:02x}")),
        each(|it| format!("\\u{:04x}", u32::from(it))),
        each(|it| format!("\\u{{{:x}}}", u32::from(it))),
        each(|it| format!("%u{:04X}", u32::from(it))),
        each(|it| format!("&#{};", u32::from(it))),
        each(|it| format!("&#x{:x};", u32::from(it))),
        // Rust, Python and a shell quote what they must.
        CANARY.escape_default().to_string(),
        "s3cr3t/\"k\\xc3\\xa4ny+ ?~>".to_owned(),
        "s3cr3t/\\\"k$'\\303\\244'ny+\\ \\?\\~\\>".replace("$'", "").replace('\'', ""),
        // JSON in JSON, and that in the query of a URL in a page.
        Value::from(Value::from(CANARY).to_json()).to_json(),
        "s3cr3t%2F%5C%22k%C3%A4ny+%20?~&gt;".to_owned(),
        // The start of a path and of a code that are not meant.
        format!("C:\\n{}", bytes(|it| format!("%{it:02X}"))),
    ] {
        assert!(seal.found_in(&text), "{text}");
        let shown = seal.text(&format!("é{text}é"));
        assert!(shown.starts_with('é') && shown.ends_with('é'), "{shown}");
        assert!(
            shown.contains(SHOWN) && shown.len() < SHOWN.len() + 12,
            "{text} is shown as {shown}"
        );
    }
    // Base32 of what stands anywhere in a text, whose end depends on what follows.
    for before in ["", "u", "us", "use", "user", "user:"] {
        let text = data_encoding::BASE32.encode(format!("{before}{CANARY} etc.").as_bytes());
        assert!(seal.found_in(&text), "{text}");
        let query = STANDARD.encode(format!("{before}{CANARY}?>?>")).replace('+', "%2B");
        assert!(seal.found_in(&query.replace('/', "%2f")), "{query}");
    }
    assert!(!seal.found_in("\\x73\\x33 100% &amp; \\u0073"), "parts are none");
}

#[test]
fn a_secret_that_is_too_short_is_told_of() {
    let mut seal = Seal::default();
    assert!(seal.add("ab") && seal.add_value(&Value::from(vec![Value::Int(12)])));
    assert!(!seal.add("") && !seal.add("abc") && !seal.add_value(&Value::Bool(true)));
}

#[test]
fn whole_strings_and_numbers_are_found_and_keys_are_made_unreadable() {
    let seal = seal();
    let value = Value::object([
        (CANARY, Value::from(vec![Value::Int(9_876_543), Value::Int(98_765_431)])),
        ("other", Value::from(format!("say {CANARY}!"))),
        ("again", Value::from(format!("say {CANARY}!"))),
        ("text", Value::from("9876543")),
    ]);
    let say = Value::from(format!("say {CANARY}!")).to_json();
    assert_eq!(
        contents(&seal, &value),
        ["9876543: ".to_owned(), format!("{say}: {CANARY}"), "\"9876543\": ".to_owned()]
    );
    let found = seal.find(&value);
    let (wanted, mut replacements) = seal.contents(&found);
    let sealed = (0..).map(|n| Sealed { ciphertext: vec![n], ..(*some_sealed()).clone() });
    replacements.add(&wanted, sealed.take(3).collect());
    let replaced = seal.replace(value.clone(), &found, &replacements);
    let shown = replaced.to_json();
    assert_eq!(
        shown,
        r#"{"«sealed»":["«sealed»",98765431],"other":"«sealed»","again":"«sealed»","text":"«sealed»"}"#
    );
    assert_eq!(replaced.get("other"), replaced.get("again"));
    assert_ne!(replaced.get("other"), replaced.get("text"));
    assert_eq!(
        seal.shown(value).to_json(),
        r#"{"«sealed»":["«sealed»",98765431],"other":"say «sealed»!","again":"say «sealed»!","text":"«sealed»"}"#
    );
}

/// What a type or a program makes of a number is the number.
#[test]
fn a_number_is_found_however_it_is_written() {
    let mut seal = Seal::default();
    seal.add_value(&json(r#"[815162342, -12.5, 1000, 123456789012345678901234, "4815162342"]"#));
    for text in [
        "815162342",
        "815162342.0",
        "8.15162342e8",
        "-12.50",
        "1e3",
        // The nearest double.
        "123456789012345678901234",
        "1.2345678901234569e23",
        "4815162342.0",
    ] {
        let value = json(text);
        assert_eq!(contents(&seal, &value).len(), 1, "{text}");
        assert_eq!(seal.shown(value), Value::from(SHOWN), "{text}");
    }
    // A single is another number, and so is each whose digits only begin as those of a secret do.
    for text in
        ["815162400.0", "815162343", "8151623420", "815162342.5", "12.5", "1001", "0", "-0.0"]
    {
        assert!(seal.find(&json(text)).is_empty(), "{text}");
    }
    for text in ["it is 815162342.0!", "8.15162342e+08", "8.15162342E8", "n=1.2345678901234569e+23"]
    {
        assert!(seal.found_in(text), "{text}");
    }
    // Whoever opens the float knows the secret in it.
    let found = contents(&seal, &json("815162342.0"));
    assert_eq!(found, ["815162342.0: 815162342"]);
    let mut short = Seal::default();
    short.add("1.0");
    assert!(short.find(&json("1")).is_empty(), "too short to be searched for");
}

/// A field of bytes is read and written again: in the other alphabet, with padding.
#[test]
fn base64_is_found_in_both_alphabets_with_padding_or_without() {
    const BYTES: &[u8] = b"\xfb\xff\xbf canary \xff\xee\xfe\x01";
    let all = |bytes: &[u8]| {
        let bare = [STANDARD_NO_PAD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)];
        let [standard, url] = bare.clone();
        [standard, url, STANDARD.encode(bytes), URL_SAFE.encode(bytes)]
    };
    for length in 4..BYTES.len() {
        let bytes = &BYTES[..length];
        for secret in all(bytes) {
            let mut seal = Seal::default();
            seal.add(&secret);
            for text in all(bytes) {
                assert_eq!(
                    contents(&seal, &Value::from(text.as_str())).len(),
                    1,
                    "{secret}: {text}"
                );
            }
            assert!(!seal.found_in(&STANDARD.encode(b"\xfb\xff other")), "{secret}");
        }
    }
}

#[test]
fn after_opening_the_whole_and_the_secrets_in_it_are_recognised() {
    let mut seal = Seal::default();
    let content = Content {
        value: Value::from("Bearer t0psecret"),
        secrets: vec![Zeroizing::new("t0psecret".to_owned())],
    };
    seal.add_content(&content, some_sealed());
    let find = |text: &str| contents(&seal, &Value::from(text));
    // The part alone, and more than the whole: what is kept does not grow on the way.
    assert_eq!(find("t0psecret"), ["\"t0psecret\": "]);
    assert_eq!(find("a Bearer t0psecret b"), ["\"a Bearer t0psecret b\": t0psecret"]);
    // Unchanged, it is what it was.
    let value = Value::from("Bearer t0psecret");
    let found = seal.find(&value);
    let (wanted, replacements) = seal.contents(&found);
    assert!(wanted.is_empty());
    assert_eq!(seal.replace(value, &found, &replacements), Value::Sealed(some_sealed()));
    // Where only the whole can be recognised, both are kept.
    let mut seal = Seal::default();
    let content = Content {
        value: Value::from("dG9rZW46"),
        secrets: vec![Zeroizing::new("t0psecret".to_owned())],
    };
    seal.add_content(&content, some_sealed());
    assert_eq!(
        contents(&seal, &Value::from("x dG9rZW46")),
        ["\"x dG9rZW46\": t0psecret, dG9rZW46"]
    );
}

#[test]
fn lines_of_a_key_are_recognised_but_not_its_frame() {
    let line = |n: u8| format!("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC{n}");
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n{}\nshort==\n-----END PRIVATE KEY-----\n",
        line(1),
        line(2)
    );
    let mut seal = Seal::default();
    seal.add(&key);
    assert_eq!(contents(&seal, &Value::from(line(2))), [format!("\"{}\": ", line(2))]);
    assert!(seal.found_in(&Value::from(key.as_str()).to_json()));
    assert!(!seal.found_in("-----BEGIN PRIVATE KEY-----\nother\n-----END PRIVATE KEY-----"));
    // The whole says it for its lines.
    let whole = contents(&seal, &Value::from(key.as_str()));
    assert_eq!(whole, [format!("{}: ", Value::from(key.as_str()).to_json())]);
    let mut later = Seal::default();
    let content = Content { value: Value::from(key.as_str()), secrets: Vec::new() };
    later.add_content(&content, some_sealed());
    assert!(later.found_in(&line(2)), "after opening, its lines are known as well");
}

#[test]
fn bytes_that_are_encoded_are_searched_before() {
    let mut seal = seal();
    let body = Value::object([("key", Value::from(CANARY))]).to_json();
    assert!(!seal.found_in(&STANDARD.encode(&body)), "nobody can tell");
    let text = seal.encoded(body.as_bytes());
    assert_eq!(contents(&seal, &Value::from(text.as_str())), [format!("\"{text}\": {CANARY}")]);
    let other = seal.encoded(b"nothing");
    assert!(!seal.found_in(&other));
}

#[test]
fn many_bytes_are_searched_at_once_and_learned_within_bounds() {
    assert!(Seal::default().bytes_search().is_none());
    let mut seal = seal();
    let body = |n: usize| format!("{n:05} {CANARY}").into_bytes();
    let search = seal.bytes_search().unwrap();
    // Each counts once, however often it is there.
    let mut all = vec![body(1); limits::SECRET_TEXTS + 10];
    all.extend([body(2), b"nothing".to_vec()]);
    let hidden = search.hidden(&all);
    assert_eq!(hidden.len(), 2);
    seal.learn_hidden(hidden);
    assert!(!seal.is_overfull());
    for number in [1, 2] {
        let text = STANDARD.encode(body(number));
        assert_eq!(contents(&seal, &Value::from(text.as_str())), [format!("\"{text}\": {CANARY}")]);
    }
    let all: Vec<_> = (0..limits::SECRET_TEXTS + 10).map(body).collect();
    let hidden = search.hidden(&all);
    assert_eq!(hidden.len(), limits::SECRET_TEXTS + 1);
    seal.learn_hidden(hidden);
    assert!(seal.is_overfull());
}

#[test]
fn a_long_secret_is_found_by_its_beginning_and_hidden_to_its_end() {
    let long: String = (0..5_000).map(|n| char::from(b'a' + (n * 7 % 26) as u8)).collect();
    let mut seal = Seal::default();
    seal.add(&long);
    assert_eq!(seal.text(&format!("<{long}>")), "<«sealed»>");
    assert_eq!(seal.text(&format!("<{}>", &long[..1_000])), "<«sealed»>");
    assert_eq!(seal.text(&format!("<{}=>", STANDARD.encode(&long))), {
        // The last characters depend on what follows.
        let rest = &STANDARD.encode(&long)[long.len() * 8 / 6..];
        format!("<«sealed»{rest}=>")
    });
}

#[test]
fn lines_do_not_take_the_room_of_other_secrets_and_values_none_that_they_do_not_need() {
    let line = |n: usize| format!("line number {n:05} of a long secret");
    let mut seal = Seal::default();
    seal.add(&(0..5_000).map(line).collect::<Vec<_>>().join("\n"));
    assert!(!seal.is_overfull() && seal.found_in(&line(100)));
    for number in 0..5_000 {
        let content = Content {
            value: Value::from(format!("Bearer t0psecret {number}")),
            secrets: vec![Zeroizing::new("t0psecret".to_owned())],
        };
        seal.add_content(&content, some_sealed());
    }
    assert!(!seal.is_overfull());
    (0..1_000).for_each(|number| {
        seal.add(&format!("part {number}"));
    });
    assert!(seal.is_overfull());
}

#[test]
fn overlapping_secrets_leave_nothing_over() {
    let mut seal = Seal::default();
    ["abcdef", "defghi", "bcd1", "ghij"].iter().for_each(|it| {
        seal.add(it);
    });
    assert_eq!(seal.text("-abcdefghij-abcdef abcd1"), "-«sealed»-«sealed» a«sealed»");
}

#[test]
fn a_large_result_is_searched_in_one_pass() {
    let mut seal = Seal::default();
    for number in 0..200 {
        seal.add(&format!("secret-number-{number}-of/many"));
    }
    let text = "all work and no play makes a dull log line\n".repeat(100_000);
    let value = Value::object((0..5).map(|n| (format!("k{n}"), Value::from(text.as_str()))));
    let begun = std::time::Instant::now();
    assert!(seal.find(&value).is_empty());
    // 21 megabytes, without optimisation: one pass takes seconds, one for each form takes minutes.
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[test]
fn the_cut_off_beginning_of_a_secret_in_a_message_is_sealed() {
    for cut in ["cannot index s3cr3t/", "cannot index s3cr3t... with", "at s3cr… (string)"] {
        let problem = seal().problem(Problem::new(Standard::Expression, cut));
        let detail = problem.detail.unwrap();
        assert!(!detail.contains("s3cr"), "{detail}");
    }
    let plain = Problem::new(Standard::Expression, "s3cret is a word");
    assert_eq!(seal().problem(plain.clone()), plain);
}
