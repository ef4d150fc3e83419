//! Files as a server describes them, made fit to build types of: measured before they are read,
//! without what nothing here asks for, with names that are names.

mod names;
mod scan;

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, FieldDescriptorProto, FieldOptions,
    FileDescriptorProto, MessageOptions,
};

pub(super) use names::{Names, Reference, absolute};

/// What is told of a file, and what it imports: that is cut out of `file`.
pub(super) struct Described {
    pub(super) file: FileDescriptorProto,
    pub(super) imports: Vec<String>,
    /// What it declares, and which types it uses.
    pub(super) names: Names,
}

/// Reads one file. Takes what it declares from `left`.
///
/// # Errors
/// Why it cannot be used.
pub(super) fn read(bytes: &[u8], left: &mut usize) -> Result<Described, String> {
    let bytes = scan::file(bytes, left)?;
    let mut file = FileDescriptorProto::decode(&*bytes).map_err(|error| error.to_string())?;
    if file.syntax() == "editions" {
        let why = "it is written in an edition, which is not supported";
        return Err(why.into());
    }
    clean(&mut file);
    let imports = std::mem::take(&mut file.dependency);
    let names = Names::of(&file)?;
    Ok(Described { file, imports, names })
}

/// Leaves out what types are not made of, and mends what a server of protobuf.js tells.
fn clean(file: &mut FileDescriptorProto) {
    file.public_dependency.clear();
    file.weak_dependency.clear();
    file.options = None;
    file.message_type.iter_mut().for_each(message);
    file.enum_type.iter_mut().for_each(enumeration);
    file.extension.iter_mut().for_each(field);
    for service in &mut file.service {
        service.options = None;
        service.method.iter_mut().for_each(|it| it.options = None);
    }
    // It calls all files that it has merged proto3. What differs (presence, packing) is read
    // either way.
    let older = file.message_type.iter().any(is_proto2)
        || file.extension.iter().any(is_field_of_proto2)
        || file.enum_type.iter().any(begins_elsewhere);
    if older {
        file.syntax = None;
    }
}

fn message(message: &mut DescriptorProto) {
    // An extension that it knows stands among the fields as well, by its full name.
    message.field.retain(|it| it.extendee.is_none() && !it.name().contains('.'));
    message.field.iter_mut().chain(&mut message.extension).for_each(field);
    message.enum_type.iter_mut().for_each(enumeration);
    message.oneof_decl.iter_mut().for_each(|it| it.options = None);
    message.extension_range.iter_mut().for_each(|it| it.options = None);
    message.options = message.options.take().map(|it| MessageOptions {
        map_entry: it.map_entry,
        message_set_wire_format: it.message_set_wire_format,
        ..MessageOptions::default()
    });
    message.nested_type.iter_mut().for_each(self::message);
}

fn field(field: &mut FieldDescriptorProto) {
    let packed = field.options.take().and_then(|it| it.packed);
    field.options = packed.map(|it| FieldOptions { packed: Some(it), ..FieldOptions::default() });
}

fn enumeration(enumeration: &mut EnumDescriptorProto) {
    enumeration.value.iter_mut().for_each(|it| it.options = None);
    let alias = enumeration.options.take().and_then(|it| it.allow_alias);
    enumeration.options =
        alias.map(|it| EnumOptions { allow_alias: Some(it), ..EnumOptions::default() });
}

fn is_proto2(message: &DescriptorProto) -> bool {
    message.field.iter().chain(&message.extension).any(is_field_of_proto2)
        || message.enum_type.iter().any(begins_elsewhere)
        || message.nested_type.iter().any(is_proto2)
}

fn is_field_of_proto2(field: &FieldDescriptorProto) -> bool {
    field.default_value.is_some()
        || field.r#type() == Type::Group
        || field.label() == Label::Required
}

/// The first value of an enum of proto3 is zero.
fn begins_elsewhere(enumeration: &EnumDescriptorProto) -> bool {
    enumeration.value.first().is_some_and(|it| it.number() != 0)
}
