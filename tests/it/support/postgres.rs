//! Real PostgreSQL servers, for credentials that a store makes when they are asked for.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use super::process::Process;
use super::until::{SOON, until, within};
use super::{ports, tools};

/// How long a server may take to be made and to listen.
const START: Duration = Duration::from_secs(60);
/// How often another port is tried when one was taken in the moment between.
const TRIES: usize = 5;
/// The user that everything belongs to.
pub(crate) const ADMIN: &str = "admin";
/// That user's password.
pub(crate) const PASSWORD: &str = "adm1n-of-the-test";
/// PostgreSQL refuses to run as root; everybody else can become nobody but themselves.
const NOBODY: u32 = 65534;

/// A server on a port and a folder of its own; both go when this is dropped.
pub(crate) struct Postgres {
    port: u16,
    programs: PathBuf,
    process: Process,
    _folder: tempfile::TempDir,
}

impl Postgres {
    /// Makes a database cluster and starts its server.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = programs(folder.path()).await;
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        if is_root() {
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut made = command(&programs.join("initdb"), folder.path());
        made.args(["--username", ADMIN, "--auth", "scram-sha-256", "--no-sync", "--encoding=UTF8"]);
        made.arg("--pwfile").arg(&password).arg("--pgdata").arg(&data);
        let made = within(START, "initdb", made.output()).await.unwrap();
        assert!(made.status.success(), "initdb: {made:?}");

        for _ in 0..TRIES {
            let port = ports::free();
            let mut server = command(&programs.join("postgres"), folder.path());
            server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-h", "127.0.0.1"]);
            // No socket in a shared folder, and no waiting for a disk that nobody trusts.
            server.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
            let process = Process::spawn(server);
            let ready = process
                .stderr()
                .find(|line| line.contains("ready to accept connections").then_some(()));
            if within(START, "the start of postgres", ready).await.is_some() {
                return Self { port, programs, process, _folder: folder };
            }
            let log = process.stderr().text();
            assert!(log.contains("Address already in use"), "postgres does not start:\n{log}");
        }
        panic!("each of {TRIES} free ports was taken in the moment before postgres had it")
    }

    /// Where it listens: `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What a statement of this user gives, without headings; the error's text when it is refused.
    pub(crate) async fn query_as(
        &self,
        user: &str,
        password: &str,
        statement: &str,
    ) -> Result<String, String> {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", user]);
        command.args(["-d", "postgres", "-tA", "-v", "ON_ERROR_STOP=1", "-c", statement]);
        command.env("PGPASSWORD", password).kill_on_drop(true);
        let output = within(SOON, "psql", command.output()).await.unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    /// What a statement of the administrator gives.
    pub(crate) async fn query(&self, statement: &str) -> String {
        let answer = self.query_as(ADMIN, PASSWORD, statement).await;
        answer.unwrap_or_else(|error| {
            panic!("{statement} at {}: {error}\n{}", self.address(), self.stderr())
        })
    }

    /// The users that can log in and that a store has made: all but the administrator.
    pub(crate) async fn made_users(&self) -> Vec<String> {
        let statement =
            format!("select rolname from pg_roles where rolcanlogin and rolname <> '{ADMIN}'");
        self.query(&statement).await.lines().map(str::to_owned).collect()
    }

    /// Waits until this many users that a store has made are there; gives their names.
    pub(crate) async fn users(&self, count: usize) -> Vec<String> {
        let what = format!("{count} users of the database");
        until(SOON, &what, || async {
            let users = self.made_users().await;
            (users.len() == count).then_some(users)
        })
        .await
    }

    fn stderr(&self) -> String {
        self.process.stderr().text()
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A program of the server, as a user it accepts.
fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("LC_ALL", "C").kill_on_drop(true);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// The folder of the server's programs, where the user that runs them can read them.
async fn programs(folder: &Path) -> PathBuf {
    let package = tools::package("pgserver==0.1.4").await;
    if !is_root() {
        return package.join("pgserver/pginstall/bin");
    }
    // Nobody may be unable to enter the folder where tools are.
    let copy = folder.join("postgresql");
    let mut copied = Command::new("cp");
    copied.arg("-r").arg("--parents").args(["pgserver", "pgserver.libs"]).arg(&copy);
    std::fs::create_dir(&copy).unwrap();
    let copied = within(SOON, "a copy", copied.current_dir(&package).output()).await.unwrap();
    assert!(copied.status.success(), "{copied:?}");
    copy.join("pgserver/pginstall/bin")
}

#[tokio::test]
async fn a_database_answers_its_administrator_and_nobody_else() {
    let postgres = Postgres::start().await;
    assert_eq!(postgres.query("select 6 * 7").await, "42");
    let refused = postgres.query_as(ADMIN, "wrong", "select 1").await.unwrap_err();
    assert!(refused.contains("password authentication failed"), "{refused}");
    assert_eq!(postgres.made_users().await, Vec::<String>::new());
    postgres.query("create role somebody login password 'x'").await;
    assert_eq!(postgres.users(1).await, ["somebody"]);
}
