//! Where `.proto` files come from, and what is wrong with some.

use serde_json::json;

use crate::support::command::windlass;
use crate::support::dev::Dev;
use crate::support::grpc::{PROTO, Server, definition, ended, error, output, run};
use crate::support::paths;
use crate::support::stub::{Reply, Stub};

/// The files of the service over HTTP, and some that are none.
pub(super) async fn serve() -> Stub {
    let folder = paths::root().join("tests/it/grpc/protos");
    Stub::http(move |seen| match seen.path.as_str() {
        "/elsewhere/moved.proto" => Reply::Redirect(302, "/acme/echo/v1/echo.proto".to_owned()),
        "/edition.proto" => text("edition = \"2023\";\nservice Echo { }"),
        "/broken.proto" => text("syntax = \"proto3\";\nservice Echo { rpc }"),
        "/lost.proto" => text("syntax = \"proto3\"; import \"no/such.proto\";"),
        "/up.proto" => text("syntax = \"proto3\"; import \"../x.proto\";"),
        "/out.proto" => text("syntax = \"proto3\"; import \"%2e%2e/up.proto\";"),
        "/circle.proto" => text("syntax = \"proto3\"; import \"circle.proto\";"),
        "/deep.proto" => text(&format!("syntax = \"proto3\"; {}", "message M { ".repeat(60))),
        "/large.proto" => text(&format!("// {}", "x".repeat(5 << 20))),
        "/chain/0.proto" => text("syntax = \"proto3\"; import \"1.proto\";"),
        path => {
            if let Some(at) = path.strip_prefix("/chain/").and_then(|it| it.strip_suffix(".proto"))
            {
                let next = at.parse::<u32>().map_or(0, |it| it + 1);
                return text(&format!("syntax = \"proto3\"; import \"{next}.proto\";"));
            }
            match std::fs::read_to_string(folder.join(path.trim_start_matches('/'))) {
                Ok(found) => text(&found),
                Err(_) => Reply::Text(404, "no such file".to_owned()),
            }
        }
    })
    .await
}

fn text(text: &str) -> Reply {
    Reply::Raw(200, "text/plain; charset=utf-8", text.as_bytes().to_vec())
}

#[tokio::test]
async fn files_are_fetched_with_their_imports_and_compiled_once() {
    let (server, stub, dev) = (Server::start().await, serve().await, Dev::start().await);
    let call = server.call("Say", "{text: a}");
    let call = call.replace(PROTO, &stub.url("/acme/echo/v1/echo.proto"));
    let workflow = dev.api.deploy(&definition("fetched", &call)).await;
    for _ in 0..3 {
        assert_eq!(output(&dev.api.run(&workflow, &json!({})).await), &json!({"text": "a"}));
    }
    for path in ["acme/echo/v1/echo.proto", "acme/echo/v1/kinds.proto", "acme/common/color.proto"] {
        assert_eq!(stub.count(&format!("/{path}")), 1, "{path}");
    }
}

#[tokio::test]
async fn imports_are_looked_for_where_redirects_have_led() {
    let (server, stub, dev) = (Server::start().await, serve().await, Dev::start().await);
    let call = server.call("Say", "{text: a}").replace(PROTO, &stub.url("/elsewhere/moved.proto"));
    assert_eq!(output(&ended(&dev.api, "moved", &call).await), &json!({"text": "a"}));
    assert_eq!(stub.count("/acme/echo/v1/kinds.proto"), 1);
}

#[tokio::test]
async fn what_cannot_be_compiled_or_is_not_there_is_said() {
    let (server, stub, dev) = (Server::start().await, serve().await, Dev::start().await);
    let chain = "chain/0.proto";
    for (name, path, expected) in [
        ("edition", "edition.proto", "it is written in an edition"),
        ("broken", "broken.proto", "broken.proto:2:"),
        ("lost", "lost.proto", "imports \"no/such.proto\": it is not at"),
        ("up", "up.proto", "an import is a path below a folder that is searched, without `..`"),
        ("out", "out.proto", "an import is a path below"),
        ("circle", "circle.proto", "import cycle detected"),
        ("deep", "deep.proto", "nested more than 48 levels deep"),
        ("chain", chain, "imports more than 256 files"),
        ("service", "acme/echo/v1/kinds.proto", "no service acme.echo.v1.Echo; it has: none"),
    ] {
        let call = server.call("Say", "{text: a}").replace(PROTO, &stub.url(&format!("/{path}")));
        let (kind, status, detail) = error(&ended(&dev.api, name, &call).await);
        assert_eq!((kind.as_str(), status), ("configuration", 400), "{name}: {detail}");
        assert!(detail.contains(expected), "{name}: {detail}");
    }
    let large = server.call("Say", "{}").replace(PROTO, &stub.url("/large.proto"));
    let (kind, _, detail) = error(&run(&dev.api, "large", &large).await);
    assert_eq!(kind, "communication");
    assert!(detail.contains("larger than 4194304 bytes"), "{detail}");

    for (name, method, arguments, kind, expected) in [
        ("method", "Shout", "{}", "configuration", "has no method Shout; it has: Say, All, Fail"),
        (
            "unknown",
            "Say",
            "{words: a}",
            "validation",
            "Words: .words is no field of acme.echo.v1.Words",
        ),
        (
            "wrong",
            "Count",
            "{upTo: much}",
            "validation",
            "Range: .upTo must be an integer of 64 bits",
        ),
        ("list", "Say", "'${ [{}] }'", "validation", "Words: must be an object, not an array"),
        ("element", "Sum", "'${ [{}, {value: []}] }'", "validation", "Number: [1].value must be"),
        ("required", "All", "{paint: {color: RED}}", "validation", ".paint.name is missing"),
    ] {
        let (found, status, detail) =
            error(&run(&dev.api, name, &server.call(method, arguments)).await);
        assert_eq!((found.as_str(), status), (kind, 400), "{name}: {detail}");
        assert!(detail.contains(expected), "{name}: {detail}");
    }
    assert!(server.told_now("call", "Say").is_empty(), "nothing was sent");
}

/// With `run` as with `dev`: beside the definition, wherever the command is started; what is
/// deployed otherwise has no file.
#[tokio::test]
async fn files_begin_in_the_folder_of_the_definition() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let file = "syntax = \"proto3\"; package acme.echo.v1; import \"words.proto\"; \
                service Echo { rpc Say(Words) returns (Words); }";
    let words = "syntax = \"proto3\"; package acme.echo.v1; message Words { string text = 1; }";
    std::fs::write(folder.path().join("Echo.proto"), file).unwrap();
    std::fs::write(folder.path().join("words.proto"), words).unwrap();
    let call = server.call("Say", "{text: a}").replace(PROTO, "file://Echo.proto");
    let path = folder.path().join("beside.yaml").display().to_string();
    std::fs::write(&path, definition("beside", &call)).unwrap();

    let told = windlass(&["run", &path]).await.exits(0);
    assert_eq!(told.json(), json!({"text": "a"}));
    let dev = Dev::with(&[path]).await;
    let beside = json!({"namespace": "rpc", "name": "beside", "version": "1.0.0"});
    assert_eq!(output(&dev.api.run(&beside, &json!({})).await), &json!({"text": "a"}));
    let (kind, _, detail) = error(&run(&dev.api, "elsewhere", &call).await);
    assert_eq!(kind, "communication");
    let expected = paths::root().canonicalize().unwrap().join("Echo.proto").display().to_string();
    assert!(detail.contains(&format!("cannot read the file {expected}: ")), "{detail}");
}
