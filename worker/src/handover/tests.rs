use std::process::Command;

/// Set in the process that shows what can be seen of it.
const SHOWS: &str = "WINDLASS_TEST_SHOWS";

#[test]
fn what_was_taken_can_be_asked_for_and_not_be_seen() {
    if std::env::var_os(SHOWS).is_some() {
        super::take().unwrap();
        let seen = |it: &str| String::from_utf8_lossy(&std::fs::read(it).unwrap()).into_owned();
        assert_eq!(super::variable("WINDLASS_SECRET_A").unwrap(), "c4nary-one");
        assert_eq!(super::variable("WINDLASS_TEST_OTHER").unwrap(), "stays");
        assert!(super::variables().contains(&("VAULT_TOKEN".into(), "c4nary-two".into())));
        assert!(super::arguments().contains(&"--skip=c4nary://me:c4nary-three@host".into()));
        assert!(std::env::var_os("WINDLASS_SECRET_A").is_none());
        let all = seen("/proc/self/environ") + &seen("/proc/self/cmdline");
        assert!(!all.contains("c4nary-") && all.contains("stays"), "{all}");
        // Nothing of the handover is open any more.
        for open in std::fs::read_dir("/proc/self/fd").unwrap() {
            let target = std::fs::read_link(open.unwrap().path()).unwrap_or_default();
            assert!(!target.to_string_lossy().contains("handover"), "{target:?}");
        }
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "handover::tests::what_was_taken_can_be_asked_for_and_not_be_seen"]);
    again.args(["--nocapture", "--skip=c4nary://me:c4nary-three@host"]);
    again.env(SHOWS, "1").env("WINDLASS_TEST_OTHER", "stays");
    again.env("WINDLASS_SECRET_A", "c4nary-one").env("VAULT_TOKEN", "c4nary-two");
    let output = again.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}
