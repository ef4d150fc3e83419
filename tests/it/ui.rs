//! Pages for browsers: what they show, to whom, and that nothing shown becomes a part of them.

mod doing;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{Token, Tokenizer};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::servers::Unpacked;
use crate::support::client::Api;
use crate::support::command::finish;
use crate::support::dev::Dev;
use crate::support::process::Process;
use crate::support::until::{SOON, until, within};
use crate::support::{paths, tls, tools};

/// What must stay text wherever it shows.
const CORPUS: [&str; 7] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></textarea></pre></code></svg><svg onload=alert(1)>",
    "javascript:alert(1)",
    "<!-- <style>*{display:none}</style>",
    "&lt;b&gt; \u{202e}gnihtyna",
];

/// Elements that pages are made of.
const ELEMENTS: &str = "html head meta title link script body a header nav main footer form label \
    input textarea button h1 h2 h3 p span div ul li dl dt dd b bdi code pre time table thead tbody \
    tr th td section details summary progress svg defs pattern rect path line text g circle marker";

/// A browser without scripts: it follows nothing by itself.
struct Browser {
    http: reqwest::Client,
    base: String,
    cookie: Option<String>,
}

/// A page as it came.
struct Page {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
    /// Each element with its attributes.
    elements: Vec<(String, BTreeMap<String, String>)>,
    /// All text outside of elements.
    words: String,
}

impl Page {
    /// Reads it as browsers do.
    fn of(status: StatusCode, headers: HeaderMap, text: String) -> Self {
        let (mut elements, mut words) = (Vec::new(), String::new());
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let read = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        for Ok(token) in Tokenizer::new_with_emitter(&text, emitter) {
            match token {
                Token::StartTag(tag) => {
                    let attributes = tag.attributes.iter();
                    let attributes = attributes.map(|(name, it)| (read(name), read(&it.value)));
                    elements.push((read(&tag.name), attributes.collect()));
                }
                Token::String(it) => words.push_str(&read(&it.value)),
                Token::Comment(it) => panic!("a comment: {}", read(&it.value)),
                Token::EndTag(_) | Token::Doctype(_) | Token::Error(_) => {}
            }
        }
        Self { status, headers, text, elements, words }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    fn all(&self, element: &str) -> impl Iterator<Item = &BTreeMap<String, String>> {
        self.elements.iter().filter(move |(it, _)| it == element).map(|(_, it)| it)
    }

    /// Where the forms that change something send to.
    fn orders(&self) -> Vec<&str> {
        let posts = self.all("form").filter(|it| it["method"] == "post");
        posts.map(|it| it["action"].as_str()).filter(|it| *it != "/ui/sign-out").collect()
    }

    /// The token of its forms.
    fn token(&self) -> String {
        let hidden = self.all("input").find(|it| it.get("name").is_some_and(|it| it == "form"));
        hidden.expect("a form")["value"].clone()
    }

    /// Asserts what holds for every page: nothing on it is a script or a style, and nothing that
    /// somebody else has written is an element.
    fn is_whole(&self, path: &str) {
        assert!(self.header("content-type").starts_with("text/html"), "{path}");
        let policy = self.header("content-security-policy");
        assert!(policy.starts_with("default-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(self.header("cache-control"), "no-store", "{path}");
        let known: BTreeSet<String> = ELEMENTS.split_whitespace().map(str::to_owned).collect();
        for (element, attributes) in &self.elements {
            assert!(known.contains(element), "{path}: <{element}> {attributes:?}");
            for (name, value) in attributes {
                assert!(!name.starts_with("on") && name != "style", "{path}: {element} {name}");
                let led = ["href", "src", "action", "formaction"].contains(&name.as_str());
                let here = value.starts_with('/') && !value.starts_with("//");
                assert!(!led || here || value.starts_with('#'), "{path}: {element} {name}={value}");
            }
            let script = element == "script";
            assert!(!script || attributes["src"].starts_with("/ui/static/"), "{path}: a script");
        }
        assert_eq!(self.all("script").count(), 1, "{path}");
        assert_eq!(self.all("main").count(), 1, "{path}");
        assert_eq!(self.all("h1").count(), 1, "{path}");
        // Each label belongs to something that is there, and ids are one element's each.
        let ids: Vec<&String> = self.elements.iter().filter_map(|(_, it)| it.get("id")).collect();
        let unique: BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "{path}: {ids:?}");
        for label in self.all("label") {
            assert!(ids.contains(&&label["for"]), "{path}: {label:?}");
        }
    }
}

impl Browser {
    fn of(api: &Api) -> Self {
        tls::provider();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(SOON)
            .no_proxy()
            .build()
            .unwrap();
        Self { http, base: api.base(), cookie: None }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Page {
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        Page::of(status, headers, answer.text().await.unwrap())
    }

    /// What is at a path, whatever it is.
    async fn at(&self, path: &str) -> Page {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    /// A page that must be there.
    async fn page(&self, path: &str) -> Page {
        let page = self.at(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.words);
        page.is_whole(path);
        page
    }

    /// Sends a form.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Page {
        self.send(self.http.post(format!("{}{path}", self.base)).form(form)).await
    }

    /// Signs in with a token, as by the page for it.
    async fn signed_in(api: &Api, token: &str) -> Self {
        let mut browser = Self::of(api);
        let kept = browser.post("/ui/sign-in", &[("token", token), ("to", "/ui/audit")]).await;
        assert_eq!(kept.status, StatusCode::SEE_OTHER, "{}", kept.words);
        assert_eq!(kept.header("location"), "/ui/sign-in?kept=1&to=%2Fui%2Faudit");
        let cookie = kept.header("set-cookie");
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
        let lost = browser.page(kept.header("location")).await;
        assert!(lost.words.contains("did not keep the cookie"), "{}", lost.words);
        browser.cookie = cookie.split(';').next().map(str::to_owned);
        let led = browser.at(kept.header("location")).await;
        assert_eq!((led.status, led.header("location")), (StatusCode::SEE_OTHER, "/ui/audit"));
        browser
    }
}

/// A definition with odd texts wherever texts may be.
fn odd() -> String {
    let raise = json!({"error": {"type": "https://example.com/<b>", "status": 500,
        "title": CORPUS[0], "detail": CORPUS[1]}});
    let mut tasks = vec![];
    for (at, text) in CORPUS.iter().enumerate() {
        tasks.push(json!({format!("{at} {text}"): {"set": {*text: *text}}}));
    }
    tasks.push(json!({"fails": {"raise": raise}}));
    json!({
        "document": {"dsl": "1.0.3", "namespace": "odd", "name": "texts", "version": "1.0.0",
            "title": CORPUS[0], "summary": CORPUS[1]},
        "input": {"schema": {"format": "json", "document": {"properties": {
            CORPUS[3]: {"default": CORPUS[0]}}}}},
        "do": tasks,
    })
    .to_string()
}

/// A workflow that listens for an event which never comes.
const WAITS: &str = "
document: { dsl: '1.0.3', namespace: odd, name: waits, version: '1.0.0' }
input: { schema: { format: json, document: { properties: { order: { type: integer } } } } }
do:
- waits: { listen: { to: { one: { with: { type: \"<script>alert(1)</script>\" } } } } }
";

/// A workflow of which there is no instance.
const LATE: &str = "
document: { dsl: '1.0.3', namespace: odd, name: late, version: '1.0.0' }
do:
- waits: { listen: { to: { one: { with: { type: '<b>late</b>' } } } } }
";

const TICK: &str = "
document: { dsl: '1.0.3', namespace: odd, name: tick, version: '1.0.0' }
schedule: { every: { days: 300 } }
do:
- tick: { set: { a: 1 } }
";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_stays_text_and_pages_are_whole() {
    let dev = Dev::start().await;
    let api = &dev.api;
    for text in [&odd(), WAITS, LATE, TICK] {
        api.deploy(text).await;
    }
    let labels: BTreeMap<String, &str> = CORPUS
        .iter()
        .enumerate()
        .map(|(at, it)| (format!("l{at}{}", it.replace('=', "")), *it))
        .collect();
    let body = json!({"workflow": {"namespace": "odd", "name": "texts"}, "labels": labels,
        "input": {CORPUS[3]: CORPUS[3], "large": "x".repeat(100_000)}});
    let failed = api.post("/v1/instances?wait=30s", &body).await.ok();
    let failed = failed["id"].as_str().unwrap().to_owned();
    let waits = json!({"namespace": "odd", "name": "waits"});
    let open = api.start(&waits, &json!({"order": 1, "note": CORPUS[0]})).await;
    api.reaches(&open, "waiting").await;
    let event = |kind: &str| json!({"specversion": "1.0", "id": CORPUS[4], "source": "/x\"><img/src=x>", "type": kind});
    api.event(&event(CORPUS[0])).await;
    api.ends(&open).await;
    // Kept, as somebody may listen for it.
    api.event(&event("<b>late</b>")).await;
    let late = api.start(&waits, &json!({})).await;
    let job = json!({"action": "cancel", "filter": "name=none", "reason": CORPUS[1]});
    let job = api.post("/v1/bulk", &job).await.ok();
    let job = format!("/ui/bulk/{}", job["id"].as_str().unwrap());
    api.post("/v1/schedules/odd/tick/pause", &json!({"reason": CORPUS[3]})).await.ok();
    let browser = Browser::of(api);
    let (failed, late) = (format!("/ui/instances/{failed}"), format!("/ui/instances/{late}"));
    let paths = [
        "/ui/instances",
        "/ui/instances?filter=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/ui/instances?label=a%3D%22%3E%3Cimg%20src%3Dx%3E",
        &failed,
        &format!("{failed}/history"),
        &format!("{failed}/history?from=3&limit=2"),
        &late,
        "/ui/definitions",
        "/ui/definitions/odd/texts",
        "/ui/definitions/odd/texts?version=1.0.0",
        "/ui/definitions/odd/waits",
        "/ui/schedules",
        "/ui/workers",
        "/ui/events",
        "/ui/events/odd",
        "/ui/events/odd?state=dead",
        "/ui/audit",
        "/ui/bulk",
        &job,
        "/ui/approvals?namespace=%3Cscript%3E",
        "/ui/schedules/odd/tick",
        "/ui/schedules/odd/tick?started=2",
        "/ui/definitions/odd/waits/diff?from=1.0.0&to=1.0.0",
        "/ui/events/odd?consumed=1&kept=1",
        &format!("{failed}?to=%22%3E%3Cimg%20src%3Dx%3E"),
        "/ui/secrets",
        "/ui/who",
    ];
    let mut words = String::new();
    for path in paths {
        words.push_str(&browser.page(path).await.words);
    }
    for text in CORPUS {
        assert!(words.contains(text), "{text} is shown nowhere as it is");
    }
    // Refusals are pages as well, and nothing is at other paths.
    for (path, status) in [
        ("/ui/instances/00000000-0000-7000-8000-000000000000", 404),
        ("/ui/instances/%3Cscript%3Ealert(1)%3C%2Fscript%3E", 400),
        ("/ui/definitions/none/%3Cimg%20src=x%3E", 404),
        ("/ui/static/none.js", 404),
        ("/ui/nowhere", 404),
        ("/ui/instances?limit=x", 400),
        ("/ui/events/odd?consumed=%3Cscript%3E", 400),
        ("/ui/definitions/odd/waits/diff?from=%3Cscript%3E", 404),
        ("/ui/bulk/%3Cscript%3E", 400),
        ("/ui/schedules/odd/none", 404),
    ] {
        let page = browser.at(path).await;
        assert_eq!(page.status.as_u16(), status, "{path}: {}", page.words);
        page.is_whole(path);
        assert!(page.words.contains("windlass explain WL"), "{path}: {}", page.words);
    }
    let home = browser.at("/ui").await;
    assert_eq!((home.status, home.header("location")), (StatusCode::SEE_OTHER, "/ui/instances"));
    the_first_page_is_small(&browser).await;
    large_pages_are_compressed(api, &browser).await;
}

/// One that is larger than what is sent at once.
async fn large_pages_are_compressed(api: &Api, browser: &Browser) {
    let large = LATE.replace("late,", "large,");
    api.deploy(&format!("{large}# {}\n", "x".repeat(300_000))).await;
    let plain = reqwest::Client::builder().no_gzip().no_proxy().build().unwrap();
    let request = plain.get(format!("{}/ui/definitions/odd/large", browser.base));
    let answer = request.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let bytes = answer.bytes().await.unwrap();
    let mut unpacked = flate2::write::GzDecoder::new(Vec::new());
    unpacked.write_all(&bytes).unwrap();
    let unpacked = unpacked.finish().unwrap();
    assert!(unpacked.len() > 300_000 && bytes.len() < 50_000, "{} {}", unpacked.len(), bytes.len());
}

/// The page with all that it loads, as browsers get it.
async fn the_first_page_is_small(browser: &Browser) {
    let page = browser.page("/ui/instances").await;
    let loaded =
        page.all("link").map(|it| &it["href"]).chain(page.all("script").map(|it| &it["src"]));
    let plain = reqwest::Client::builder().no_gzip().no_proxy().build().unwrap();
    let mut all = 0;
    for path in loaded.map(String::as_str).chain(["/ui/instances"]) {
        let request = plain.get(format!("{}{path}", browser.base));
        let answer = request.header("accept-encoding", "gzip").send().await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], "gzip", "{path}");
        let cached = answer.headers()["cache-control"].to_str().unwrap().to_owned();
        let bytes = answer.bytes().await.unwrap();
        let mut unpacked = flate2::write::GzDecoder::new(Vec::new());
        unpacked.write_all(&bytes).unwrap();
        let unpacked = unpacked.finish().unwrap();
        println!("{path}: {} bytes, {} compressed", unpacked.len(), bytes.len());
        assert_eq!(cached.contains("immutable"), path.starts_with("/ui/static/"), "{path}");
        all += bytes.len();
    }
    println!("the first page: {all} bytes");
    assert!(all <= 60 << 10, "the first page has {all} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_read_page_by_page() {
    let dev = Dev::start().await;
    dev.api.deploy(TICK).await;
    let start = |label: &'static str| {
        let body = json!({"workflow": {"namespace": "odd", "name": "tick"},
            "labels": {"of": label}});
        let api = &dev.api;
        async move { api.post("/v1/instances?wait=30s", &body).await.ok() }
    };
    for label in ["a", "b", "a", "b", "a"] {
        start(label).await;
    }
    let browser = Browser::of(&dev.api);
    let rows = |page: &Page| {
        page.all("a").filter(|it| it.get("class").is_some_and(|it| it == "id")).count()
    };
    let first = browser.page("/ui/instances?limit=2&filter=label.of%3Da").await;
    assert_eq!(rows(&first), 2);
    assert!(first.words.contains("windlass list --limit 2 --filter label.of=a"), "{}", first.words);
    let next = |page: &Page| {
        let next = page.all("a").find(|it| it.get("rel").is_some_and(|it| it == "next"));
        next.map(|it| it["href"].clone())
    };
    let second = browser.page(&next(&first).expect("there are more")).await;
    assert_eq!(rows(&second), 1, "the filter goes along");
    let all = browser.page("/ui/instances?status=completed").await;
    assert_eq!(rows(&all), 5);
    assert!(all.words.contains("completed5"), "{}", all.words);
    assert_eq!(rows(&browser.page("/ui/instances?status=faulted").await), 0);
    // What is wrong with a filter is said beside it, with what was written.
    let wrong = browser.page("/ui/instances?filter=color%3Dred").await;
    assert!(wrong.words.contains("no key color"), "{}", wrong.words);
    let filter = wrong.all("input").find(|it| it["name"] == "filter").unwrap();
    assert_eq!(filter["value"], "color=red");
    // A history, page by page.
    let link = all.all("a").find(|it| it.get("class").is_some_and(|it| it == "id")).unwrap();
    let history = browser.page(&format!("{}/history?limit=1", link["href"])).await;
    let after = browser.page(&next(&history).expect("there is more")).await;
    assert!(after.elements.iter().any(|(_, it)| it.get("id").is_some_and(|it| it == "e1")));
}

/// A workflow that fails, and does not when its input says so.
const FAILS: &str = "
document: { dsl: '1.0.3', namespace: odd, name: fails, version: '1.0.0' }
do:
- fails: { raise: { error: { type: 'https://example.com/errors/odd', status: 500, title: Odd } } }
";

#[tokio::test(flavor = "multi_thread")]
async fn what_forms_order_is_done_and_told() {
    let dev = Dev::start().await;
    let api = &dev.api;
    api.deploy(WAITS).await;
    api.deploy(FAILS).await;
    let browser = Browser::of(api);
    // Started by a form: sent twice, it starts one.
    let page = browser.page("/ui/definitions/odd/waits").await;
    let hidden = |name: &str| {
        let it = page.all("input").find(|it| it.get("name").is_some_and(|it| it == name));
        it.unwrap()["value"].clone()
    };
    let (form, key, version) = (hidden("form"), hidden("key"), hidden("version"));
    assert!(page.words.contains("\"order\": 0"), "the input to begin with: {}", page.words);
    let fields = [
        ("form", form.as_str()),
        ("key", &key),
        ("version", &version),
        ("input", "{\"order\": 4711}"),
        ("labels", "customer=42 by=form"),
    ];
    let started = browser.post("/ui/definitions/odd/waits/start", &fields).await;
    let again = browser.post("/ui/definitions/odd/waits/start", &fields).await;
    assert_eq!(started.status, StatusCode::SEE_OTHER, "{}", started.words);
    let path = started.header("location").to_owned();
    assert_eq!(again.header("location"), path);
    let id = path.rsplit('/').next().unwrap();
    let view = api.reaches(id, "waiting").await;
    assert_eq!(view["labels"], json!({"customer": "42", "by": "form"}));
    let bad = [("form", form.as_str()), ("input", "{")];
    let bad = browser.post("/ui/definitions/odd/waits/start", &bad).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST, "{}", bad.words);

    let order = |name: &'static str, reason: &'static str| {
        let (browser, path) = (&browser, &path);
        async move {
            let form = browser.page(path).await.token();
            let action = format!("{path}/{name}");
            browser.post(&action, &[("form", &form), ("reason", reason)]).await
        }
    };
    assert_eq!(order("suspend", "looked at").await.header("location"), path);
    api.reaches(id, "suspended").await;
    assert!(!browser.page(&path).await.orders().contains(&&*format!("{path}/suspend")));
    // What does not fit its state is refused as by the API.
    let refused = order("suspend", "").await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.words);
    order("resume", "").await;
    api.reaches(id, "waiting").await;
    order("cancel", "ordered twice").await;
    api.reaches(id, "cancelled").await;
    let left = [format!("{path}/reset"), "/ui/definitions/odd/waits/start".to_owned()];
    assert_eq!(browser.page(&path).await.orders(), left);
    let told = api.history(id).await;
    let reasons: Vec<&Value> = told.iter().map(|it| &it["data"]["reason"]).collect();
    assert!(reasons.contains(&&json!("looked at")) && reasons.contains(&&json!("ordered twice")));
    // The trail has what came of it, and the page shows that.
    until(SOON, "the end of an order in the audit trail", || async {
        let trail = api.get("/v1/audit").await.ok();
        let told = trail["items"].as_array().unwrap().clone();
        let of = |what: &str, outcome: &str| {
            let about = |it: &&Value| it["detail"].as_str().is_some_and(|it| it.contains(what));
            told.iter().filter(about).any(|it| it["outcome"] == outcome)
        };
        let done = of("looked at", "done") && of("ordered twice", "done");
        assert!(!of("ordered twice", "failed"), "{told:?}");
        done.then_some(())
    })
    .await;
    let page = browser.page(&path).await;
    let trail = page.all("a").find(|it| it["href"].starts_with("/ui/audit?namespace="));
    let trail = browser.page(&trail.unwrap()["href"]).await;
    assert!(trail.words.contains("ordered twice") && trail.words.contains(id), "{}", trail.words);

    // One that has failed goes on as another one.
    let failed = api.start(&json!({"namespace": "odd", "name": "fails"}), &json!({})).await;
    api.ends(&failed).await;
    let path = format!("/ui/instances/{failed}");
    let page = browser.page(&path).await;
    assert!(page.words.contains("Odd"), "{}", page.words);
    let form = page.token();
    let retried = browser.post(&format!("{path}/retry"), &[("form", &form)]).await;
    let successor = retried.header("location").to_owned();
    assert_ne!(successor, path, "{}", retried.words);
    let page = until(SOON, "the successor on the page", || async {
        let page = browser.page(&path).await;
        let linked = page.all("a").any(|it| it["href"] == successor);
        linked.then_some(page)
    })
    .await;
    assert!(page.words.contains("Went on as"));
}

/// Real pages in a real browser, which has nothing to complain of: only where `WINDLASS_BROWSER` is
/// set, as it takes a while. Where that names a folder, it gets pictures of all pages.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_browser_has_nothing_to_complain_of() {
    let Some(pictures) = std::env::var_os("WINDLASS_BROWSER") else { return };
    let name = "a_real_browser_has_nothing_to_complain_of";
    let Some(chromium) = Unpacked::get(name, &["chromium"]).await else { return };
    let source = paths::root().join("tests/it/access/browser");
    let packages = tools::node_modules(&source).await.join("node_modules");
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&packages, folder.path().join("node_modules")).unwrap();
    std::fs::copy(source.join("pages.mjs"), folder.path().join("pages.mjs")).unwrap();
    let dev = Dev::start().await;
    for text in [&odd(), WAITS, LATE, TICK, &doing::asks()] {
        dev.api.deploy(text).await;
    }
    dev.api.start(&json!({"namespace": "odd", "name": "texts"}), &json!({})).await;
    let asks = dev.api.start(&json!({"namespace": "odd", "name": "asks"}), &json!({})).await;
    let question = dev.api.reaches(&asks, "waiting").await["open"][0]["approval"].clone();
    let number = question.as_str().unwrap().split_once('.').unwrap().1.to_owned();
    let axe = tools::npm_file("axe-core@4.14.1", "axe.min.js").await;
    let id = dev.api.start(&json!({"namespace": "odd", "name": "waits"}), &json!({})).await;
    dev.api.reaches(&id, "waiting").await;
    let mut command = tokio::process::Command::new("node");
    command.arg(folder.path().join("pages.mjs")).arg(dev.api.base());
    command.arg(chromium.at("usr/lib/chromium/chromium")).arg(chromium.libraries()).arg(&id);
    command.arg(format!("instances/{asks}/approvals/{number}")).arg(axe);
    command.env("HOME", folder.path());
    if std::path::Path::new(&pictures).is_dir() {
        command.arg(pictures);
    }
    within(10 * SOON, "the browser", finish(Process::spawn(command))).await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_no_pages_nothing_is_there() {
    let dev = Dev::with(&["--ui=false".to_owned()]).await;
    for path in ["/ui", "/ui/instances", "/ui/sign-in"] {
        dev.api.get(path).await.problem(404);
    }
}
