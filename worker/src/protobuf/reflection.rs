//! Types as a server tells of them: `grpc.reflection`, of which v1 and v1alpha differ in name only.
//!
//! A server may answer with one file, with all that it imports, or with files that it has merged
//! and whose imports it has lost. So what is missing is found by what is used: first what files
//! name as their imports, then the types that none of them declares.

use std::collections::{BTreeSet, HashMap, HashSet};

use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_reflect::prost_types::FileDescriptorProto;
use windlass_proto::limits;

use super::descriptor::{self, Described, Reference};
use super::{guard, is_bundled};

/// One request. Of its one-of only what is asked here.
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(oneof = "Question", tags = "3, 4, 7")]
    question: Option<Question>,
}

/// What a server is asked.
#[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
pub(crate) enum Question {
    /// The file of this name.
    #[prost(string, tag = "3")]
    File(String),
    /// The file that declares what has this full name.
    #[prost(string, tag = "4")]
    Symbol(String),
    /// The names of all services. The text means nothing.
    #[prost(string, tag = "7")]
    Services(String),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Response {
    #[prost(oneof = "Told", tags = "4, 6, 7")]
    told: Option<Told>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Told {
    #[prost(message, tag = "4")]
    Files(Files),
    #[prost(message, tag = "6")]
    Services(Services),
    #[prost(message, tag = "7")]
    Refused(Refused),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Files {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    files: Vec<bytes::Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Services {
    #[prost(message, repeated, tag = "1")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
}

/// Why a server does not answer a question.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Refused {
    /// A status of gRPC.
    #[prost(int32, tag = "1")]
    pub(crate) code: i32,
    #[prost(string, tag = "2")]
    pub(crate) message: String,
}

impl Question {
    /// The bytes of the request.
    pub(crate) fn request(&self) -> Vec<u8> {
        Request { question: Some(self.clone()) }.encode_to_vec()
    }
}

/// Answers by the names of services.
///
/// # Errors
/// Why they cannot be told.
pub(crate) fn services(answer: &[u8]) -> Result<Result<Vec<String>, Refused>, String> {
    match told(answer)? {
        Some(Told::Services(it)) => Ok(Ok(it.services.into_iter().map(|it| it.name).collect())),
        Some(Told::Refused(refused)) => Ok(Err(refused)),
        _ => Err(OTHER.to_owned()),
    }
}

const OTHER: &str = "it answers something else than what it was asked";

fn told(answer: &[u8]) -> Result<Option<Told>, String> {
    Response::decode(answer).map(|it| it.told).map_err(|error| error.to_string())
}

/// Files while they are gathered.
pub(crate) struct Gathering {
    files: Vec<FileDescriptorProto>,
    /// Their names.
    named: HashSet<String>,
    /// The full names of the messages and enums in them, and which file has each.
    types: HashMap<String, usize>,
    /// Files that they import and that are not there.
    imports: Vec<String>,
    /// Types that they use and that were not there when last looked at.
    missing: HashSet<Reference>,
    asked: HashSet<Question>,
    known: DescriptorPool,
    bytes: usize,
    declarations: usize,
    names: usize,
}

impl Gathering {
    pub(crate) fn new() -> Self {
        Self {
            files: Vec::new(),
            named: HashSet::new(),
            types: HashMap::new(),
            imports: Vec::new(),
            missing: HashSet::new(),
            asked: HashSet::new(),
            known: DescriptorPool::global(),
            bytes: 0,
            declarations: limits::REFLECTED_DECLARATIONS,
            names: 0,
        }
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the answer to `question`, which may be that there is no such thing. May take a while.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn take(
        &mut self,
        question: &Question,
        answer: &[u8],
    ) -> Result<Result<(), Refused>, String> {
        self.asked.insert(question.clone());
        let files = match told(answer)? {
            Some(Told::Files(it)) => it.files,
            Some(Told::Refused(refused)) => return Ok(Err(refused)),
            _ => return Err(OTHER.to_owned()),
        };
        for bytes in files {
            self.add(&bytes)?;
        }
        Ok(Ok(()))
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), String> {
        let Described { file, imports, names } = descriptor::read(bytes, &mut self.declarations)?;
        // What comes with every compiler is here in the form that data is read by.
        if file.package() == "google.protobuf"
            || is_bundled(file.name())
            || self.named.contains(file.name())
        {
            return Ok(());
        }
        self.bytes += bytes.len();
        self.names += names.bytes;
        guard::within(self.names)?;
        if self.bytes > limits::PROTO_BYTES || self.files.len() >= limits::PROTO_FILES {
            let (files, most) = (limits::PROTO_FILES, limits::PROTO_BYTES >> 20);
            return Err(format!("they are more than {files} files, or {most} MiB"));
        }
        self.named.insert(file.name().to_owned());
        let at = self.files.len();
        self.types.extend(names.types.into_iter().map(|it| (it, at)));
        self.missing.extend(names.used);
        self.imports.extend(imports);
        self.files.push(file);
        Ok(())
    }

    /// What to ask next; nothing when all is there.
    ///
    /// # Errors
    /// Which type is nowhere.
    pub(crate) fn questions(&mut self) -> Result<Vec<Question>, String> {
        let imports = std::mem::take(&mut self.imports);
        let imports: HashSet<_> = imports
            .into_iter()
            .filter(|it| !self.named.contains(it) && !is_bundled(it))
            .map(Question::File)
            .filter(|it| !self.asked.contains(it))
            .collect();
        if !imports.is_empty() {
            return Ok(imports.into_iter().take(limits::PROTO_FILES).collect());
        }
        let missing = std::mem::take(&mut self.missing);
        self.missing = missing.into_iter().filter(|it| self.find(it).is_none()).collect();
        let mut questions = HashSet::new();
        for reference in &self.missing {
            let next = reference.candidates().map(Question::Symbol);
            let Some(next) = next.into_iter().find(|it| !self.asked.contains(it)) else {
                return Err(format!("it uses the type {reference}, which it does not tell of"));
            };
            if questions.len() < limits::PROTO_FILES {
                questions.insert(next);
            }
        }
        Ok(questions.into_iter().collect())
    }

    /// The full name of what a reference stands for, and the name of the file that has it.
    fn find(&self, reference: &Reference) -> Option<(String, String)> {
        reference.candidates().find_map(|name| {
            let file = match self.types.get(&name) {
                Some(at) => self.files.get(*at)?.name().to_owned(),
                None => {
                    let message = self.known.get_message_by_name(&name).map(|it| it.parent_file());
                    let found = message
                        .or_else(|| self.known.get_enum_by_name(&name).map(|it| it.parent_file()));
                    found?.name().to_owned()
                }
            };
            Some((name, file))
        })
    }

    /// The types. May take a while.
    ///
    /// # Errors
    /// Why there are none.
    pub(crate) fn pool(mut self) -> Result<DescriptorPool, String> {
        let mut files = self.files.clone();
        for file in &mut files {
            let mut used = BTreeSet::new();
            descriptor::absolute(file, &mut |reference| {
                let (name, file) = self.find(reference)?;
                used.insert(file);
                Some(name)
            });
            // Files that were merged may need one another, which no real ones do.
            used.remove(file.name());
            file.dependency = used.into_iter().collect();
        }
        self.files.clear();
        let mut pool = self.known;
        pool.add_file_descriptor_protos(files).map_err(|error| format!("{error:?}"))?;
        Ok(pool)
    }
}

#[cfg(test)]
mod tests;
