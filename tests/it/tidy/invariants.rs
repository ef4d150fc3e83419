//! The **Invariant:** lines of modules that say what they do not name, do not call or do not
//! change. What must hold while the program runs is asserted there.

use super::{body, lines, none, product};

/// What some files must not name, and why.
struct Rule {
    invariant: &'static str,
    /// Where, from the root.
    within: &'static str,
    /// Files there that may: the one place that it is for.
    except: &'static [&'static str],
    never: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        invariant: "proto reads no clock, file, network or environment",
        within: "proto/src/",
        // Compiled for tests alone.
        except: &["proto/src/wire/recorded.rs"],
        never: &["SystemTime", "Instant::now", "std::fs", "std::net", "std::env", "tokio::"],
    },
    Rule {
        invariant: "the bus does not know what travels over it",
        within: "proto/bus/src/",
        except: &[],
        never: &["windlass_proto::wire", "wire::"],
    },
    Rule {
        invariant: "nothing in the engine is async",
        within: "coordinator/src/engine",
        except: &[],
        never: &["async ", ".await", "Future"],
    },
    Rule {
        invariant: "the state of an instance changes only through evolve",
        within: "coordinator/src/",
        except: &["coordinator/src/engine/instance"],
        never: &[
            "frames.insert",
            "frames.remove",
            "frames.get_mut",
            "frames.values_mut",
            "frames.iter_mut",
            "instance.pending.",
            "state.pending.clear",
            "state.pending.push",
            "state.timers.insert",
            "state.timers.remove",
            ".ending = ",
        ],
    },
    Rule {
        invariant: "nothing leaves a partition except through the releases of a batch",
        within: "coordinator/src/partition/",
        except: &["coordinator/src/partition/owner.rs", "coordinator/src/partition/release.rs"],
        never: &["ReleaseTarget", "Outbox"],
    },
    Rule {
        invariant: "no handler reads the journal or the engine by itself",
        within: "coordinator/src/accept",
        except: &[],
        never: &["crate::engine", "dyn Journal", "journal::Journal;", "crate::partition"],
    },
    Rule {
        invariant: "a stream that is there is never changed",
        within: "coordinator/src/events/stream_manager.rs",
        except: &[],
        never: &["update_stream", "delete_stream", "purge", "get_or_create_stream"],
    },
    Rule {
        invariant: "only fleet, events and cluster name NATS",
        within: "coordinator/src/",
        except: &["coordinator/src/fleet", "coordinator/src/events", "coordinator/src/cluster"],
        never: &["async_nats::"],
    },
    Rule {
        invariant: "the dispatcher has no clock, no bus and no randomness",
        within: "coordinator/src/dispatch/dispatcher",
        except: &[],
        never: &["clock::", "windlass_bus", "async_nats", "fastrand", "Instant::now"],
    },
];

#[test]
fn modules_keep_to_what_they_say_of_themselves() {
    let all: Vec<_> = product().collect();
    for rule in RULES {
        let of = all.iter().filter(|it| {
            it.path.starts_with(rule.within)
                && !rule.except.iter().any(|path| it.path.starts_with(path))
        });
        let (mut files, mut found) = (0, Vec::new());
        for source in of {
            files += 1;
            found.extend(lines(source, body(&source.text), |line| {
                let line = line.trim_start();
                !line.starts_with("//") && rule.never.iter().any(|word| line.contains(word))
            }));
        }
        assert!(files > 0, "no file is at {}", rule.within);
        none(rule.invariant, &found);
    }
}
