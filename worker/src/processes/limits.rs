//! What a process of a task may use at most.

use std::fmt;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use windlass_proto::limits;

/// What a process of a task may use at most. All but the number are kept by the kernel for each
/// process by itself (`setrlimit`): a task of many processes may use as many times as much, and
/// only a control group of the whole worker bounds the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Processor time, in whole seconds (`RLIMIT_CPU`): SIGXCPU, which is exit code 152, then
    /// SIGKILL.
    pub cpu: Duration,
    /// Bytes of memory that it has for itself and can write to (`RLIMIT_DATA`): heap, not shared
    /// memory or mapped files. What asks for more is refused it, and usually says so and ends.
    pub memory: u64,
    /// Processes and threads of one task. Only a sandbox can count them: elsewhere the kernel
    /// counts all of the user's.
    pub count: u64,
    /// Bytes of a file that it writes (`RLIMIT_FSIZE`): SIGXFSZ, which is exit code 153.
    pub file: u64,
}

impl Default for ProcessLimits {
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(limits::PROCESS_CPU_S),
            memory: limits::PROCESS_MEMORY_BYTES,
            count: limits::PROCESS_COUNT,
            file: limits::PROCESS_FILE_BYTES,
        }
    }
}

impl ProcessLimits {
    /// Bounds this process and all that come of it, except for their number. What is bounded lower
    /// already stays so.
    pub(crate) fn apply(&self) -> std::io::Result<()> {
        let cpu = self.cpu.as_secs();
        lower(Resource::Cpu, cpu, cpu.saturating_add(limits::PROCESS_CPU_GRACE_S))?;
        lower(Resource::Data, self.memory, self.memory)?;
        let file = self.file.max(limits::PROCESS_FILE_LEAST);
        lower(Resource::Fsize, file, file)?;
        // A program that knows that it needs more may raise it.
        lower(Resource::Nofile, limits::PROCESS_OPEN_FILES, u64::MAX)
    }

    /// What a supervisor is told.
    pub(crate) fn to_word(self) -> String {
        format!("{},{},{},{}", self.cpu.as_secs(), self.memory, self.count, self.file)
    }

    /// Reads that; none where it is something else.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        let numbers: Vec<u64> = word.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [cpu, memory, count, file] = *numbers.as_slice() else { return None };
        Some(Self { cpu: Duration::from_secs(cpu), memory, count, file })
    }

    /// What to say of an exit code that may come of a limit; empty for others.
    pub(crate) fn hint(code: i32) -> &'static str {
        match code {
            152 => " (SIGXCPU: more processor time than --process-cpu of the worker allows)",
            153 => " (SIGXFSZ: a larger file than --process-file-size of the worker allows)",
            _ => "",
        }
    }

    /// As people read it; `counted` where the number is kept.
    pub(crate) fn describe(&self, counted: bool) -> String {
        let processes = if counted { format!(",processes={}", self.count) } else { String::new() };
        let (cpu, memory, file) = (self.cpu.as_secs(), Size(self.memory), Size(self.file));
        format!("limits(cpu={cpu}s,memory={memory}{processes},file={file})")
    }
}

fn lower(resource: Resource, soft: u64, hard: u64) -> std::io::Result<()> {
    let now = getrlimit(resource);
    let least = |new: u64, old: Option<u64>| Some(old.map_or(new, |old| old.min(new)));
    let limit = Rlimit { current: least(soft, now.current), maximum: least(hard, now.maximum) };
    Ok(setrlimit(resource, limit)?)
}

/// Bytes, in the largest unit that says them exactly.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let fits = |power: &u32| self.0 > 0 && self.0.trailing_zeros() >= *power;
        match units.iter().find(|(power, _)| fits(power)) {
            Some((power, unit)) => write!(f, "{}{unit}", self.0 >> power),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ProcessLimits;

    #[test]
    fn limits_are_described_and_survive_the_command_line() {
        let limits = ProcessLimits {
            cpu: Duration::from_secs(90),
            memory: 512 << 20,
            count: 7,
            file: (1 << 20) + 1,
        };
        let text = "limits(cpu=90s,memory=512MiB,processes=7,file=1048577B)";
        assert_eq!(limits.describe(true), text);
        assert_eq!(limits.describe(false), text.replace(",processes=7", ""));
        assert_eq!(ProcessLimits::from_word(&limits.to_word()), Some(limits));
        for word in ["", "1,2,3", "1,2,3,4,5", "1,2,3,x", "1,2,3,-4"] {
            assert_eq!(ProcessLimits::from_word(word), None, "{word}");
        }
    }
}
