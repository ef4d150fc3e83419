//! What can be done on pages beside the simple orders: each is done as by the command line.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Browser, CORPUS, Page, TICK, WAITS};
use crate::support::client::Api;
use crate::support::dev::Dev;

impl Page {
    /// The hidden fields of the form that sends to `action`: those before the next form.
    pub(super) fn hidden(&self, action: &str) -> Vec<(String, String)> {
        let begins = |(name, it): &(String, _)| name == "form" && is(it, "action", action);
        let at = self.elements.iter().position(begins);
        let rest = &self.elements[at.unwrap_or_else(|| panic!("{action}: {}", self.words)) + 1..];
        let of_it = rest.iter().take_while(|(name, _)| name != "form");
        let hidden = of_it.filter(|(name, it)| name == "input" && is(it, "type", "hidden"));
        hidden.map(|(_, it)| (it["name"].clone(), it["value"].clone())).collect()
    }

    fn links(&self, text: &str) -> Option<&str> {
        self.all("a").map(|it| it["href"].as_str()).find(|it| it.contains(text))
    }
}

fn is(attributes: &std::collections::BTreeMap<String, String>, name: &str, value: &str) -> bool {
    attributes.get(name).is_some_and(|it| it == value)
}

impl Browser {
    /// Sends the form of a page, with fields as somebody would fill them in.
    async fn fills(&self, page: &Page, action: &str, fields: &[(&str, &str)]) -> Page {
        let hidden = page.hidden(action);
        let hidden = hidden.iter().map(|(name, it)| (name.as_str(), it.as_str()));
        let all: Vec<_> = hidden.chain(fields.iter().copied()).collect();
        let answer = self.post(action, &all).await;
        if answer.status != StatusCode::SEE_OTHER {
            answer.is_whole(action);
        }
        answer
    }

    /// The same, of a form that leads on; gives where to.
    async fn led(&self, page: &Page, action: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.fills(page, action, fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{action}: {}", answer.words);
        answer.header("location").to_owned()
    }
}

fn id_of(location: &str) -> &str {
    location.rsplit('/').next().unwrap()
}

/// A workflow that asks people, in odd words.
pub(super) fn asks() -> String {
    let form = json!({"type": "object", "required": ["costCentre"], "properties": {
        "costCentre": {"type": "integer", "title": CORPUS[0]}}});
    json!({
        "document": {"dsl": "1.0.3", "namespace": "odd", "name": "asks", "version": "1.0.0"},
        "do": [{"sign": {"call": "windlass.approval", "with": {
            "title": CORPUS[1], "description": CORPUS[3], "form": form}}}],
    })
    .to_string()
}

const HELD: &str = "
document: { dsl: '1.0.3', namespace: odd, name: held, version: '1.0.0',
  metadata: { windlass: { onFault: suspend } } }
do:
- fails: { raise: { error: { type: 'https://example.com/errors/odd', status: 500, title: Odd } } }
- after: { set: { seen: '${ .paid }' } }
";

#[tokio::test(flavor = "multi_thread")]
async fn what_pages_do_beyond_simple_orders_is_done() {
    let dev = Dev::start().await;
    for text in [WAITS, TICK, HELD, &asks()] {
        dev.api.deploy(text).await;
    }
    let browser = Browser::of(&dev.api);
    approvals(&dev.api, &browser).await;
    events(&dev.api, &browser).await;
    repairs(&dev.api, &browser).await;
    definitions(&browser).await;
    schedules(&dev.api, &browser).await;
    bulk(&dev.api, &browser).await;
    for (path, words) in [
        ("/ui/secrets", "No definition that is deployed declares a secret"),
        ("/ui/who", "anonymous"),
    ] {
        let page = browser.page(path).await;
        assert!(page.words.contains(words), "{path}: {}", page.words);
    }
}

async fn approvals(api: &Api, browser: &Browser) {
    let id = api.start(&json!({"namespace": "odd", "name": "asks"}), &json!({})).await;
    api.reaches(&id, "waiting").await;
    let instance = browser.page(&format!("/ui/instances/{id}")).await;
    let path = instance.links("/approvals/").expect("what is pending leads there").to_owned();
    let list = browser.page("/ui/approvals?namespace=odd&mine=true").await;
    assert!(list.links(&path).is_some() && list.words.contains(CORPUS[1]), "{}", list.words);
    let none = browser.page("/ui/approvals?namespace=none").await;
    assert!(none.links(&path).is_none(), "{}", none.words);
    let page = browser.page(&path).await;
    for text in [CORPUS[0], CORPUS[1], CORPUS[3], "\"costCentre\": 0"] {
        assert!(page.words.contains(text), "{text}: {}", page.words);
    }
    let (approve, reject) = (format!("{path}/approve"), format!("{path}/reject"));
    let wrong = browser.fills(&page, &approve, &[("data", "{\"costCentre\": \"x\"}")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.words);
    let silent = browser.fills(&page, &reject, &[("reason", " ")]).await;
    assert_eq!(silent.status, StatusCode::BAD_REQUEST, "{}", silent.words);
    let data = [("data", "{\"costCentre\": 12}"), ("reason", "as agreed")];
    assert_eq!(browser.led(&page, &approve, &data).await, format!("/ui/instances/{id}"));
    let output = api.ends(&id).await["output"].clone();
    assert_eq!(output["data"], json!({"costCentre": 12}), "{output}");
    let late = browser.fills(&page, &reject, &[("reason", "too late")]).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.words);
}

async fn events(api: &Api, browser: &Browser) {
    let workflow = json!({"namespace": "odd", "name": "waits"});
    let id = api.start(&workflow, &json!({"order": 4711})).await;
    api.reaches(&id, "waiting").await;
    let path = format!("/ui/instances/{id}");
    let page = browser.page(&path).await;
    let kind = page.all("input").find(|it| is(it, "id", "event-type")).unwrap()["value"].clone();
    assert_eq!(kind, CORPUS[0], "the type that it listens for");
    let fields =
        [("type", &*kind), ("source", "/ui"), ("data", "{\"paid\": 1}"), ("more", "subject=7")];
    let twice = [("type", "a"), ("source", "/ui"), ("more", "id=2")];
    let wrong = browser.fills(&page, &format!("{path}/events"), &twice).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{}", wrong.words);
    assert_eq!(browser.led(&page, &format!("{path}/events"), &fields).await, path);
    api.ends(&id).await;

    // It is over: what it got is there to start another one with.
    let start = "/ui/definitions/odd/waits/start";
    let page = browser.page(&path).await;
    assert!(page.words.contains("\"order\": 4711"), "{}", page.words);
    let other = browser.led(&page, start, &[("input", "{\"order\": 4712}")]).await;
    let other = api.reaches(id_of(&other), "waiting").await;
    assert_eq!(other["input"], json!({"order": 4712}));

    // From the page of events, to whoever waits.
    let page = browser.page("/ui/events/odd").await;
    let led = browser.led(&page, "/ui/events", &fields).await;
    assert_eq!(led, "/ui/events/odd?consumed=1&kept=0");
    assert!(browser.page(&led).await.words.contains("1 instance took it"));
    api.ends(other["id"].as_str().unwrap()).await;
}

async fn repairs(api: &Api, browser: &Browser) {
    let id = api.start(&json!({"namespace": "odd", "name": "held"}), &json!({})).await;
    api.reaches(&id, "suspended").await;
    let path = format!("/ui/instances/{id}");
    let page = browser.page(&path).await;
    let output = [("output", "{\"paid\": true}"), ("reason", "by hand")];
    assert_eq!(browser.led(&page, &format!("{path}/skip"), &output).await, path);
    let ended = api.ends(&id).await;
    assert_eq!(ended["output"], json!({"seen": true}));

    // Reset to a visit: what it would do comes first.
    let page = browser.page(&path).await;
    let here = page.links("#order-reset").expect("visits lead to a reset").to_owned();
    let page = browser.page(here.split('#').next().unwrap()).await;
    let to = page.all("input").find(|it| is(it, "id", "reset-to")).unwrap()["value"].clone();
    assert_eq!(to, "/do/0/fails[1]");
    let reset = format!("{path}/reset");
    let none = browser.fills(&page, &reset, &[("to", "/do/7/none")]).await;
    assert_eq!(none.status, StatusCode::CONFLICT, "{}", none.words);
    let preview = browser.fills(&page, &reset, &[("to", "/do/1/after[1]")]).await;
    assert_eq!(preview.status, StatusCode::OK, "{}", preview.words);
    for text in ["Nothing is done yet", "/do/0/fails[1]", "/do/1/after[1]"] {
        assert!(preview.words.contains(text), "{text}: {}", preview.words);
    }
    assert_eq!(api.show(&id).await["successors"], Value::Null, "so far");
    let successor = browser.led(&preview, &reset, &[]).await;
    let again = browser.led(&preview, &reset, &[]).await;
    assert_eq!(successor, again, "sent twice, it is one");
    assert_ne!(successor, path);
    assert_eq!(api.ends(id_of(&successor)).await["output"], json!({"seen": true}));
}

async fn definitions(browser: &Browser) {
    let page = browser.page("/ui/definitions").await;
    let action = "/ui/definitions";
    let text = |more: &str| {
        format!(
            "document: {{ dsl: '1.0.3', namespace: odd, name: pasted, version: '1.0.0' }}\r\n\
             do:\r\n- one: {{ {more} }}\r\n"
        )
    };
    let wrong = text(&format!("sett: '{}'", CORPUS[0]));
    let refused = browser.fills(&page, action, &[("definition", &wrong)]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.words);
    assert!(refused.elements.iter().any(|(_, it)| is(it, "id", "line-3")), "{}", refused.words);
    assert!(refused.words.contains("explain WL01"), "{}", refused.words);
    let good = text("set: { a: 1 }");
    let path = "/ui/definitions/odd/pasted";
    let led = browser.led(&refused, action, &[("definition", &good)]).await;
    assert_eq!(led, format!("{path}?version=1.0.0"));
    // The same version with another text is refused, with how they differ.
    let other = text("set: { a: 2 }");
    let taken = browser.fills(&page, action, &[("definition", &other)]).await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "{}", taken.words);
    assert!(taken.words.contains("+- one: { set: { a: 2 } }"), "{}", taken.words);
    let second = other.replace("1.0.0", "1.1.0");
    browser.led(&page, action, &[("definition", &second)]).await;
    let page = browser.page(path).await;
    let diff = page.links("/diff?").expect("what has changed since").to_owned();
    assert_eq!(diff, format!("{path}/diff?from=1.0.0&to=1.1.0"));
    let diff = browser.page(&diff).await;
    assert!(diff.words.contains("-- one: { set: { a: 1 } }"), "{}", diff.words);
    // The first form is that of the version that starts take.
    let retire = format!("{path}/retire");
    assert_eq!(browser.led(&page, &retire, &[]).await, path);
    let page = browser.page(path).await;
    assert!(page.words.contains("retired"), "{}", page.words);
    browser.led(&page, &format!("{path}/restore"), &[]).await;
    assert!(!browser.page(path).await.words.contains("retired"));
}

async fn schedules(api: &Api, browser: &Browser) {
    let path = "/ui/schedules/odd/tick";
    let page = browser.page("/ui/schedules").await;
    let page = browser.page(page.links(path).expect("its page")).await;
    let pause = format!("{path}/pause");
    assert_eq!(browser.led(&page, &pause, &[("reason", CORPUS[0])]).await, path);
    let page = browser.page(path).await;
    assert!(page.words.contains(CORPUS[0]), "{}", page.words);
    assert_eq!(browser.led(&page, &format!("{path}/resume"), &[]).await, path);
    let started = browser.led(&page, &format!("{path}/trigger"), &[]).await;
    api.ends(id_of(&started)).await;
    // A backfill: how many are due is told before.
    let backfill = format!("{path}/backfill");
    let times = [("from", "2020-01-01T00:00:00Z"), ("to", "2020-12-31T00:00:00Z")];
    let preview = browser.fills(&page, &backfill, &times).await;
    assert!(preview.words.contains("Nothing is done yet"), "{}", preview.words);
    let fired = |it: &Value| it["fired"].as_u64().unwrap();
    let before = fired(&api.get("/v1/schedules/odd/tick").await.ok());
    let led = browser.led(&preview, &backfill, &[]).await;
    let count: u64 = led.strip_prefix(&format!("{path}?started=")).unwrap().parse().unwrap();
    assert!((1..=2).contains(&count), "every 300 days: {led}");
    assert!(preview.words.contains(&format!("{count} due time")), "{}", preview.words);
    assert!(browser.page(&led).await.words.contains("taken up"));
    crate::support::until::until(super::SOON, "what was due to be started", || async {
        let now = fired(&api.get("/v1/schedules/odd/tick").await.ok());
        (now == before + count).then_some(())
    })
    .await;
    let wrong = browser.fills(&page, &backfill, &[("from", "yesterday"), ("to", "")]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{}", wrong.words);
}

async fn bulk(api: &Api, browser: &Browser) {
    let body = json!({"workflow": {"namespace": "odd", "name": "waits"}, "labels": {"of": "a b"}});
    let mut ids = Vec::new();
    for _ in 0..2 {
        let started = api.post("/v1/instances", &body).await.ok();
        ids.push(started["id"].as_str().unwrap().to_owned());
    }
    let other = api.start(&json!({"namespace": "odd", "name": "waits"}), &json!({})).await;
    for id in ids.iter().chain([&other]) {
        api.reaches(id, "waiting").await;
    }
    let all = browser.page("/ui/instances").await;
    assert!(all.orders().is_empty(), "without a filter it would be for all");
    let page = browser.page("/ui/instances?label=of%3Da+b&status=waiting").await;
    // The first form is the one that cancels.
    let preview = browser.fills(&page, "/ui/bulk", &[("reason", "recalled")]).await;
    assert!(preview.words.contains("2 instances match"), "{}", preview.words);
    let job = browser.led(&preview, "/ui/bulk", &[]).await;
    for id in &ids {
        api.reaches(id, "cancelled").await;
    }
    assert_eq!(api.show(&other).await["status"], "waiting", "it does not match");
    let told = api.get(&job.replacen("/ui/", "/v1/", 1)).await.ok();
    assert_eq!((&told["reason"], &told["action"]), (&json!("recalled"), &json!("cancel")));
    crate::support::until::until(super::SOON, "the end of the job on its page", || async {
        let page = browser.page(&job).await;
        let done = page.words.contains("2 of 2") && page.orders().is_empty();
        (done && ids.iter().all(|it| page.links(it).is_some())).then_some(())
    })
    .await;
    assert!(browser.page("/ui/bulk").await.links(&job).is_some());
    let token = preview.hidden("/ui/bulk").into_iter().find(|it| it.0 == "form").unwrap().1;
    for (action, filter) in [("delete", "status=completed"), ("cancel", "")] {
        let form = [("form", &*token), ("action", action), ("filter", filter), ("confirm", "yes")];
        let refused = browser.post("/ui/bulk", &form).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{action}: {}", refused.words);
    }
}
