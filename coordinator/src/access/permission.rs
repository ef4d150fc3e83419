//! What may be done, and the roles that it comes in.

use std::fmt;

/// Declares the permissions once: the variant, its name, where it counts, and what it is for.
macro_rules! permissions {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal, $scope:ident, $what:literal;)*) => {
        /// Something that a role allows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Permission { $($(#[doc = $doc])* $name,)* }

        impl Permission {
            /// Every permission.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name, as `auth.toml` has it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What a grant of it is narrowed by.
            #[must_use]
            pub fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)* }
            }

            /// What it is for.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)* }
            }
        }
    };
}

/// What a grant of a permission is narrowed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Namespaces and workflows.
    Workflow,
    /// Types of events. Events belong to no namespace, so the grant must be for all of them.
    Event,
    /// Nothing: it concerns the whole server, so the grant must be for all namespaces.
    Server,
    /// Nothing, and it concerns nobody's work: any grant will do.
    Shared,
}

permissions! {
    /// List and read definitions.
    WorkflowRead = "workflow.read", Workflow, "list and read definitions";
    /// Deploy definitions.
    WorkflowDeploy = "workflow.deploy", Workflow, "deploy definitions";
    /// Deploy definitions that start processes.
    ProcessDeploy = "workflow.deploy-processes", Workflow,
        "deploy definitions with `run.shell`, `run.script`, `run.container` or MCP servers that are programs, beside workflow.deploy";
    /// Retire, restore and delete versions.
    WorkflowRetire = "workflow.retire", Workflow, "retire, restore and delete versions";
    /// Suspend and resume starts.
    WorkflowSuspend = "workflow.suspend", Workflow, "suspend and resume starts of workflows and namespaces";
    /// List and read functions of the catalog.
    FunctionRead = "function.read", Shared, "list and read functions of the default catalog";
    /// Publish functions.
    FunctionPublish = "function.publish", Server, "publish functions, which every namespace may call";
    /// List and read instances.
    InstanceRead = "instance.read", Workflow, "list, show and watch instances, with inputs, outputs and history";
    /// Start instances.
    InstanceStart = "instance.start", Workflow, "start instances";
    /// Cancel, suspend and resume instances.
    InstanceOperate = "instance.operate", Workflow, "cancel, suspend and resume instances";
    /// Decide what people are asked.
    ApprovalDecide = "approval.decide", Workflow, "see what people are asked, and decide what is assigned to nobody else";
    /// Delete instances.
    InstanceDelete = "instance.delete", Workflow, "delete instances that have ended, for good; with instance.operate also those that have not";
    /// List and read schedules.
    ScheduleRead = "schedule.read", Workflow, "list and read schedules";
    /// Pause, resume, trigger and backfill schedules.
    ScheduleOperate = "schedule.operate", Workflow, "pause, resume, trigger and backfill schedules";
    /// Publish events.
    EventPublish = "event.publish", Event, "publish events, which every namespace may listen for";
    /// List workers.
    WorkerRead = "worker.read", Server, "list workers";
    /// Join as a worker over HTTP.
    WorkerServe = "worker.serve", Server, "join as a worker over HTTP, and be given calls of the functions it names";
    /// List secrets and read their policy.
    SecretRead = "secret.read", Server, "list the names of secrets, and read their policy";
    /// Replace the policy of secrets.
    SecretPolicy = "secret.policy", Server, "replace the policy of secrets";
    /// Read the audit trail.
    AuditRead = "audit.read", Workflow, "read the audit trail: of a namespace what its tasks did, of all namespaces everything";
    /// Take backups.
    BackupTake = "backup.take", Server, "take backups, which hold everything that is kept here, the keys too";
    /// Read what is logged.
    LogRead = "log.read", Server, "read what is logged";
    /// Change what is logged.
    LogWrite = "log.write", Server, "change what is logged";
    /// Read metrics.
    MetricsRead = "metrics.read", Server, "read metrics";
    /// Create, list and revoke tokens.
    TokenManage = "token.manage", Server, "create, list and revoke tokens";
}

impl Permission {
    /// The permission of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.name() == name)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Some permissions.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u64);

impl Permissions {
    /// All there are.
    #[must_use]
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// True when it is among them.
    #[must_use]
    pub fn has(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// Each of them.
    pub fn each(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |it| self.has(*it))
    }

    /// True when all of `others` are among them.
    #[must_use]
    pub fn cover(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }
}

fn bit(permission: Permission) -> u64 {
    1 << permission as u8
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(all: I) -> Self {
        Self(all.into_iter().fold(0, |bits, it| bits | bit(it)))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.each()).finish()
    }
}

/// A role that is always there: its name, what it is for, what it allows.
pub struct BuiltIn {
    /// Its name.
    pub name: &'static str,
    /// Whom it is for.
    pub what: &'static str,
    permissions: &'static [Permission],
}

impl BuiltIn {
    /// What it allows.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        self.permissions.iter().copied().collect()
    }
}

/// What everybody may who looks at the work of others.
macro_rules! reads {
    ($($more:ident),*) => {
        &[
            Permission::WorkflowRead,
            Permission::FunctionRead,
            Permission::InstanceRead,
            Permission::ScheduleRead,
            Permission::WorkerRead,
            Permission::LogRead,
            Permission::MetricsRead,
            $(Permission::$more,)*
        ]
    };
}

/// The roles that are always there.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn { name: "viewer", what: "looks, and changes nothing", permissions: reads!() },
    BuiltIn {
        name: "starter",
        what: "a program that starts workflows and reads what becomes of them",
        permissions: &[Permission::InstanceStart, Permission::InstanceRead],
    },
    BuiltIn {
        name: "approver",
        what: "decides what workflows ask people",
        permissions: &[Permission::ApprovalDecide],
    },
    BuiltIn {
        name: "publisher",
        what: "a program that sends events",
        permissions: &[Permission::EventPublish],
    },
    BuiltIn {
        name: "operator",
        what: "keeps things running: starts, cancels, suspends, sends events",
        permissions: reads!(
            InstanceStart,
            InstanceOperate,
            WorkflowSuspend,
            ScheduleOperate,
            EventPublish,
            LogWrite
        ),
    },
    BuiltIn {
        name: "author",
        what: "writes workflows that start no processes, and tries them",
        permissions: reads!(InstanceStart, WorkflowDeploy, WorkflowRetire, FunctionPublish),
    },
    BuiltIn {
        name: "process-author",
        what: "what an author may, with processes: shell commands, scripts, containers",
        permissions: reads!(
            InstanceStart,
            WorkflowDeploy,
            ProcessDeploy,
            WorkflowRetire,
            FunctionPublish
        ),
    },
    BuiltIn {
        name: "secret-officer",
        what: "says which workflow may read which secret, and sees what was done",
        permissions: &[Permission::SecretRead, Permission::SecretPolicy, Permission::AuditRead],
    },
    BuiltIn { name: "auditor", what: "sees what was done", permissions: &[Permission::AuditRead] },
    BuiltIn {
        name: "worker-admin",
        what: "sees the fleet: workers, metrics, logs",
        permissions: &[
            Permission::WorkerRead,
            Permission::MetricsRead,
            Permission::LogRead,
            Permission::LogWrite,
        ],
    },
    BuiltIn {
        name: "worker",
        what: "a worker over HTTP: is given calls of functions, with their arguments",
        permissions: &[Permission::WorkerServe],
    },
    BuiltIn { name: "admin", what: "may everything", permissions: Permission::ALL },
];

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, Permission, Permissions};

    #[test]
    fn names_are_found_and_fit_into_the_set() {
        assert!(Permission::ALL.len() <= 64);
        for permission in Permission::ALL {
            assert_eq!(Permission::named(permission.name()), Some(*permission));
            assert!(Permissions::all().has(*permission));
        }
        assert_eq!(Permission::named("workflow"), None);
    }

    #[test]
    fn rights_that_give_others_are_not_had_by_the_way() {
        let has = |role: &str, permission| {
            BUILT_IN.iter().any(|it| it.name == role && it.permissions().has(permission))
        };
        for role in BUILT_IN.iter().filter(|it| it.name != "admin") {
            assert!(!has(role.name, Permission::TokenManage), "{}", role.name);
            assert!(!has(role.name, Permission::BackupTake), "{}", role.name);
            let officer = role.name == "secret-officer";
            assert_eq!(has(role.name, Permission::SecretPolicy), officer, "{}", role.name);
            let processes = role.name == "process-author";
            assert_eq!(has(role.name, Permission::ProcessDeploy), processes, "{}", role.name);
        }
        assert!(Permissions::all().cover(BUILT_IN[0].permissions()));
        assert!(!BUILT_IN[0].permissions().cover(Permissions::all()));
    }
}
