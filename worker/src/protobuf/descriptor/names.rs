//! What a file declares, and which types it uses.

use std::collections::HashSet;

use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};
use windlass_proto::limits;

use crate::protobuf::guard;
use crate::request::excerpt;

/// A type that a file uses: by its full name after a dot, or as it is seen from `scope`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::protobuf) struct Reference {
    scope: String,
    name: String,
}

impl Reference {
    fn new(scope: &str, name: &str) -> Self {
        // By a full name it is the same from wherever it is seen.
        let scope = if name.starts_with('.') { "" } else { scope };
        Self { scope: scope.to_owned(), name: name.to_owned() }
    }

    /// The full names that it may stand for, the one that counts first, first.
    pub(in crate::protobuf) fn candidates(&self) -> impl Iterator<Item = String> {
        let (absolute, name) = match self.name.strip_prefix('.') {
            Some(name) => (true, name),
            None => (false, &*self.name),
        };
        let scope = (!absolute && !self.scope.is_empty()).then_some(&*self.scope);
        let outer = scope.into_iter().flat_map(|scope| {
            let shorter = scope.rmatch_indices('.').map(move |(at, _)| &scope[..at]);
            std::iter::once(scope).chain(shorter)
        });
        outer.map(move |scope| format!("{scope}.{name}")).chain([name.to_owned()])
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name.trim_start_matches('.'))
    }
}

/// The names in a file.
#[derive(Default)]
pub(in crate::protobuf) struct Names {
    /// The full names of its messages and enums.
    pub(in crate::protobuf) types: Vec<String>,
    pub(in crate::protobuf) used: HashSet<Reference>,
    /// Bytes of all full names that it declares.
    pub(in crate::protobuf) bytes: usize,
}

impl Names {
    /// # Errors
    /// Which name is none.
    pub(super) fn of(file: &FileDescriptorProto) -> Result<Self, String> {
        let package = file.package();
        if !package.is_empty() {
            package.split('.').try_for_each(is_name)?;
        }
        let mut names = Self::default();
        names.message_parts(package, &file.message_type, &file.enum_type, &file.extension)?;
        for service in &file.service {
            let full = names.declare(package, service.name())?;
            for method in &service.method {
                names.declare(&full, method.name())?;
                names.uses(&full, method.input_type())?;
                names.uses(&full, method.output_type())?;
            }
        }
        Ok(names)
    }

    fn message_parts(
        &mut self,
        scope: &str,
        messages: &[DescriptorProto],
        enums: &[EnumDescriptorProto],
        extensions: &[FieldDescriptorProto],
    ) -> Result<(), String> {
        for message in messages {
            let full = self.declare(scope, message.name())?;
            self.fields(&full, &message.field)?;
            for oneof in &message.oneof_decl {
                self.declare(&full, oneof.name())?;
            }
            let (nested, enums) = (&message.nested_type, &message.enum_type);
            self.message_parts(&full, nested, enums, &message.extension)?;
            self.types.push(full);
        }
        for enumeration in enums {
            let full = self.declare(scope, enumeration.name())?;
            for value in &enumeration.value {
                self.declare(scope, value.name())?;
            }
            self.types.push(full);
        }
        self.fields(scope, extensions)
    }

    fn fields(&mut self, scope: &str, fields: &[FieldDescriptorProto]) -> Result<(), String> {
        for field in fields {
            self.declare(scope, field.name())?;
            for name in field.type_name.iter().chain(&field.extendee) {
                self.uses(scope, name)?;
            }
        }
        Ok(())
    }

    /// The full name of `name` in `scope`.
    fn declare(&mut self, scope: &str, name: &str) -> Result<String, String> {
        is_name(name)?;
        let full = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        self.bytes += full.len();
        guard::within(self.bytes)?;
        Ok(full)
    }

    fn uses(&mut self, scope: &str, name: &str) -> Result<(), String> {
        name.strip_prefix('.').unwrap_or(name).split('.').try_for_each(is_name)?;
        let reference = Reference::new(scope, name);
        self.bytes += reference.scope.len() + reference.name.len();
        guard::within(self.bytes)?;
        self.used.insert(reference);
        Ok(())
    }
}

/// Checks one part of a name: what builds the types takes any text, and messages show them.
fn is_name(name: &str) -> Result<(), String> {
    let first = name.bytes().next().unwrap_or(b'0');
    let fits = name.len() <= limits::PROTO_WORD_BYTES
        && !first.is_ascii_digit()
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
    if fits { Ok(()) } else { Err(format!("{:?} is no name", excerpt(name.as_bytes()))) }
}

/// Writes each type that `file` uses by its full name, which `find` has.
pub(in crate::protobuf) fn absolute(
    file: &mut FileDescriptorProto,
    find: &mut dyn FnMut(&Reference) -> Option<String>,
) {
    let package = file.package().to_owned();
    for service in &mut file.service {
        let scope = joined(&package, service.name());
        for method in &mut service.method {
            name(&mut method.input_type, &scope, find);
            name(&mut method.output_type, &scope, find);
        }
    }
    fields(&mut file.extension, &package, find);
    messages(&mut file.message_type, &package, find);
}

fn messages(
    messages: &mut [DescriptorProto],
    scope: &str,
    find: &mut dyn FnMut(&Reference) -> Option<String>,
) {
    for message in messages {
        let scope = joined(scope, message.name());
        fields(&mut message.field, &scope, find);
        fields(&mut message.extension, &scope, find);
        self::messages(&mut message.nested_type, &scope, find);
    }
}

fn fields(
    fields: &mut [FieldDescriptorProto],
    scope: &str,
    find: &mut dyn FnMut(&Reference) -> Option<String>,
) {
    for field in fields {
        name(&mut field.type_name, scope, find);
        name(&mut field.extendee, scope, find);
    }
}

fn name(
    name: &mut Option<String>,
    scope: &str,
    find: &mut dyn FnMut(&Reference) -> Option<String>,
) {
    let Some(name) = name else { return };
    if let Some(full) = find(&Reference::new(scope, name)) {
        *name = format!(".{full}");
    }
}

fn joined(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
