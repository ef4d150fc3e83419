//! Options from a file.

use crate::support::command::{windlass, windlass_under};

#[tokio::test]
async fn a_file_gives_options_which_variables_and_the_command_line_go_before() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("windlass.toml");
    let text = "[coordinator]\nbind = \"127.0.0.1:7409\"\nretention-days = 7\n\
                max_backlog = 11\n\n[worker]\nallow = [\"shell\", \"script\"]\n";
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    windlass(&["config", "check", &file]).await.exits(0);
    let variables = [("WINDLASS_CONFIG", file.as_str()), ("WINDLASS_MAX_BACKLOG", "12")];
    let shown = windlass_under(&variables, &["config", "show", "coordinator"]).await.exits(0);
    let items = shown.json()["items"].as_array().unwrap().clone();
    let of = |name: &str| {
        let item = items.iter().find(|it| it["option"] == name).unwrap();
        (item["value"].as_str().unwrap().to_owned(), item["source"].as_str().unwrap().to_owned())
    };
    let told = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    assert_eq!(of("bind"), told("127.0.0.1:7409", "file"));
    assert_eq!(of("retention-days"), told("7", "file"));
    assert_eq!(of("max-backlog"), told("12", "environment"));
    assert_eq!(of("lease"), told("6s", "default"));
    let worker = windlass(&["config", "show", "worker", "--config", &file]).await.exits(0);
    assert!(worker.stdout.contains("\"shell,script\""), "{worker:?}");
}

#[tokio::test]
async fn a_file_with_a_mistake_is_refused_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("windlass.toml");
    for (text, place, words) in [
        ("[coordinator]\nretension-days = 7\n", "2:1", "did you mean `retention-days`"),
        ("[coordinator]\n\nbind = \"everywhere\"\n", "3:1", "ADDRESS:PORT"),
        ("[worker]\nkey = \"wk_4nything\"\n", "2:1", "a file of its own"),
    ] {
        std::fs::write(&file, text).unwrap();
        let checked = windlass(&["config", "check", &file.display().to_string()]).await.exits(2);
        assert!(checked.stderr.contains(&format!("windlass.toml:{place}")), "{checked:?}");
        assert!(checked.stderr.contains(words), "{checked:?}");
        assert!(!checked.stderr.contains("4nything"), "{checked:?}");
    }
    // Servers begin with it as well: none of them starts.
    std::fs::write(&file, "[dev]\nbind = \"everywhere\"\n").unwrap();
    let dev = windlass(&["dev", "--config", &file.display().to_string()]).await.exits(2);
    assert!(dev.stderr.contains("windlass.toml:2:1"), "{dev:?}");
}
