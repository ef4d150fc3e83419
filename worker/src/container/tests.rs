use super::{ContainerVolume, EngineSocket};

#[test]
fn engines_are_sockets() {
    let socket: EngineSocket = "unix:///run/x.sock".parse().unwrap();
    assert_eq!(socket.to_string(), "unix:///run/x.sock");
    for text in ["", "unix://x", "/run/x.sock", "tcp://127.0.0.1:2375", "ssh://host"] {
        assert!(text.parse::<EngineSocket>().is_err(), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("docker.sock");
    std::fs::write(&own, "").unwrap();
    assert_eq!(EngineSocket::usual(Some(folder.path())).path(), own);
}

#[test]
fn volumes_are_plain_directories() {
    let parsed: ContainerVolume = "/data/in/:ro".parse().unwrap();
    assert_eq!((&*parsed.directory, parsed.read_only), ("/data/in", true));
    let parsed: ContainerVolume = "/data".parse().unwrap();
    assert_eq!((&*parsed.directory, parsed.read_only), ("/data", false));
    for text in ["", "data", "/a/../b", "/a:rw", "/a:b:ro"] {
        assert!(text.parse::<ContainerVolume>().is_err(), "{text}");
    }
}
