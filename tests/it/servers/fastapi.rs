//! FastAPI under uvicorn, called by the description that it makes of itself.

use serde_json::json;
use tokio::process::Command;

use super::{Server, calls};
use crate::support::dev::Dev;
use crate::support::{paths, tools};

const PACKAGES: [&str; 3] = ["fastapi==0.165.0", "uvicorn==0.54.0", "python-multipart==0.0.34"];

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_fastapi_is_called_by_its_own_description() {
    let python = tools::python(&PACKAGES).await;
    let server = Server::start(|port, _| {
        let mut command = Command::new(&python);
        command.current_dir(paths::root().join("tests/it/servers/fastapi"));
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.args(["-m", "uvicorn", "app:app", "--port", &port.to_string()]);
        command
    })
    .await;
    let dev = Dev::start().await;
    let call = |operation: &str, parameters: &str| {
        format!(
            "{{ document: {{ endpoint: BASE/openapi.json }}, operationId: {operation}, \
             parameters: {parameters} }}"
        )
    };
    let item = "{ item_id: 7, q: [a b, c], x-trace: t1, name: Rope, price: 2.5, tags: [new] }";
    let got = calls(
        &dev.api,
        &server.url(),
        "openapi",
        &[
            ("updated", &call("update_item_items__item_id__put", item)),
            ("logged", &call("login_login_post", "{ username: ada, password: 'a&b=ü' }")),
            ("sent", &call("upload_files_post", "{ note: hi, file: 'words of a file' }")),
            ("guarded", &call("guarded_guarded_get", "{ APIKeyHeader: k&1 }")),
        ],
    )
    .await;
    assert_eq!(
        got["updated"],
        json!({
            "id": 7, "item": {"name": "Rope", "price": 2.5, "tags": ["new"]}, "q": ["a b", "c"],
            "trace": "t1",
        })
    );
    assert_eq!(got["logged"], json!({"username": "ada", "length": 5}));
    assert_eq!(got["sent"]["text"], "words of a file", "{got}");
    assert_eq!((&got["sent"]["note"], &got["guarded"]), (&json!("hi"), &json!("in")));
}
