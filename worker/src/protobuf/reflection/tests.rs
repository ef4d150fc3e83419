#![allow(clippy::unwrap_used)]

use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, SourceCodeInfo, source_code_info,
};
use windlass_proto::limits;

use super::{
    Files, Gathering, Question, Refused, Request, Response, Service, Services, Told, services,
};

fn answer(files: &[FileDescriptorProto]) -> Vec<u8> {
    let files = files.iter().map(|it| it.encode_to_vec().into()).collect();
    Response { told: Some(Told::Files(Files { files })) }.encode_to_vec()
}

fn refusal() -> Vec<u8> {
    let refused = Refused { code: 5, message: "no such thing".to_owned() };
    Response { told: Some(Told::Refused(refused)) }.encode_to_vec()
}

fn field(name: &str, number: i32, kind: Type, of: &str) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        type_name: (!of.is_empty()).then(|| of.to_owned()),
        ..FieldDescriptorProto::default()
    }
}

fn message(name: &str, fields: &[FieldDescriptorProto]) -> DescriptorProto {
    DescriptorProto {
        name: Some(name.to_owned()),
        field: fields.to_vec(),
        ..DescriptorProto::default()
    }
}

fn file(package: &str, messages: &[DescriptorProto]) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(format!("{package}.proto")),
        package: Some(package.to_owned()),
        message_type: messages.to_vec(),
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    }
}

/// Asks a server that has `files` and answers with one at a time; gives the types and what it was
/// asked.
fn gathered(files: &[FileDescriptorProto]) -> Result<(DescriptorPool, Vec<Question>), String> {
    let (mut gathering, mut all) = (Gathering::new(), Vec::new());
    let first = files[0].message_type[0].name();
    let mut questions = vec![Question::Symbol(format!("{}.{first}", files[0].package()))];
    while !questions.is_empty() {
        for question in questions {
            let has = |it: &&FileDescriptorProto| match &question {
                Question::File(name) => it.name() == name,
                Question::Symbol(name) => it
                    .message_type
                    .iter()
                    .any(|message| *name == format!("{}.{}", it.package(), message.name())),
                Question::Services(_) => false,
            };
            let found: Vec<_> = files.iter().filter(has).cloned().collect();
            let told = if found.is_empty() { refusal() } else { answer(&found) };
            assert_eq!(gathering.take(&question, &told)?.is_ok(), !found.is_empty());
            all.push(question);
        }
        questions = gathering.questions()?;
    }
    Ok((gathering.pool()?, all))
}

fn why(files: &[FileDescriptorProto]) -> String {
    gathered(files).map(|_| ()).unwrap_err()
}

fn kind(pool: &DescriptorPool, message: &str, field: &str) -> String {
    let message = pool.get_message_by_name(message).unwrap();
    match message.get_field_by_name(field).unwrap().kind() {
        prost_reflect::Kind::Message(it) => it.full_name().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn questions_are_those_of_the_protocol() {
    // Field 4, five bytes.
    assert_eq!(Question::Symbol("a.Echo".to_owned()).request(), b"\x22\x06a.Echo");
    assert_eq!(Question::File("a".to_owned()).request(), b"\x1a\x01a");
    let asked = Request::decode(&*Question::Services("*".to_owned()).request()).unwrap();
    assert_eq!(asked.question, Some(Question::Services("*".to_owned())));
    let told = vec![Service { name: "a.Echo".to_owned() }];
    let told = Response { told: Some(Told::Services(Services { services: told })) };
    assert_eq!(services(&told.encode_to_vec()), Ok(Ok(vec!["a.Echo".to_owned()])));
    assert_eq!(services(&refusal()).unwrap().unwrap_err().code, 5);
    assert!(services(&answer(&[])).is_err() && services(b"\xff").is_err());
}

#[test]
fn what_is_missing_is_asked_for_by_import_then_by_type() {
    let mut first = file("a", &[message("A", &[field("b", 1, Type::Message, ".b.B")])]);
    first.dependency = vec!["b.proto".to_owned(), "google/protobuf/any.proto".to_owned()];
    // Does not say what it imports.
    let second = file("b", &[message("B", &[field("c", 1, Type::Message, ".c.C")])]);
    let third =
        file("c", &[message("C", &[field("at", 1, Type::Message, ".google.protobuf.Timestamp")])]);
    let (pool, asked) = gathered(&[first, second, third]).unwrap();
    assert_eq!(kind(&pool, "b.B", "c"), "c.C");
    assert_eq!(kind(&pool, "c.C", "at"), "google.protobuf.Timestamp");
    let expected = [
        Question::Symbol("a.A".to_owned()),
        Question::File("b.proto".to_owned()),
        Question::Symbol("c.C".to_owned()),
    ];
    assert_eq!(asked, expected);
    // An import that nobody uses need not be there.
    let mut first = file("a", &[message("A", &[])]);
    first.dependency = vec!["google/api/annotations.proto".to_owned()];
    gathered(&[first]).unwrap();
}

#[test]
fn merged_files_may_need_one_another() {
    let first = file(
        "a.x",
        &[
            message(
                "A",
                &[field("b", 1, Type::Message, "b.B"), field("own", 2, Type::Message, "Own")],
            ),
            message("Own", &[]),
        ],
    );
    let second = file("b", &[message("B", &[field("own", 1, Type::Message, ".a.x.Own")])]);
    // As grpc-js tells them: with a copy of what everybody has, in a file of another name.
    let copy = file("google.protobuf", &[message("Any", &[])]);
    let (pool, asked) = gathered(&[first, second, copy]).unwrap();
    assert_eq!(kind(&pool, "a.x.A", "b"), "b.B");
    assert_eq!(kind(&pool, "a.x.A", "own"), "a.x.Own");
    assert_eq!(kind(&pool, "b.B", "own"), "a.x.Own");
    // From the innermost scope outwards.
    let names: Vec<_> = ["a.x.A", "a.x.A.b.B", "a.x.b.B", "a.b.B", "b.B"]
        .map(|it| Question::Symbol(it.to_owned()))
        .into();
    assert_eq!(asked, names);
}

#[test]
fn what_a_merging_server_gets_wrong_is_mended() {
    let mut extended =
        message("A", &[field("own", 1, Type::String, ""), field(".a.more", 100, Type::String, "")]);
    extended.field[0].default_value = Some("x".to_owned());
    let mut first = file("a", &[extended]);
    let value =
        EnumValueDescriptorProto { name: Some("ONE".to_owned()), number: Some(1), options: None };
    first.enum_type.push(EnumDescriptorProto {
        name: Some("E".to_owned()),
        value: vec![value],
        ..EnumDescriptorProto::default()
    });
    let location = source_code_info::Location {
        leading_comments: Some("x".repeat(100)),
        ..source_code_info::Location::default()
    };
    first.source_code_info = Some(SourceCodeInfo { location: vec![location] });
    let (pool, _) = gathered(&[first]).unwrap();
    let message = pool.get_message_by_name("a.A").unwrap();
    assert_eq!(message.fields().len(), 1);
    assert!(message.get_field_by_name("own").unwrap().supports_presence());
    let told = pool.get_file_by_name("a.proto").unwrap();
    assert!(told.file_descriptor_proto().source_code_info.is_none());
}

#[test]
fn what_cannot_be_used_is_said() {
    let first = file("a", &[message("A", &[field("b", 1, Type::Message, ".b.B")])]);
    assert_eq!(why(&[first]), "it uses the type b.B, which it does not tell of");
    for name in ["", "B C", "1", "B\n", "größe", &"x".repeat(limits::PROTO_WORD_BYTES + 1)] {
        let told = why(&[file("a", &[message("A", &[]), message(name, &[])])]);
        assert!(told.ends_with("is no name"), "{told}");
    }
    let mut editions = file("a", &[message("A", &[])]);
    editions.syntax = Some("editions".to_owned());
    assert!(why(&[editions]).contains("written in an edition"));
    let mut deep = message("M", &[]);
    for _ in 0..limits::PROTO_LEVELS {
        let inner = std::mem::replace(&mut deep, message("M", &[]));
        deep.nested_type.push(inner);
    }
    let told = why(&[file("a", &[message("A", &[]), deep])]);
    assert_eq!(told, format!("it is nested more than {} levels deep", limits::PROTO_LEVELS));
    // Empty things of two bytes each, more than are read.
    let many = vec![FieldDescriptorProto::default(); limits::REFLECTED_DECLARATIONS];
    let told = why(&[file("a", &[message("A", &many)])]);
    assert!(told.contains("more than 131072 declarations"), "{told}");
    let twice = file("a", &[message("A", &[]), message("A", &[])]);
    assert!(why(&[twice]).contains("a.A"), "a name that is there twice");
    let mut gathering = Gathering::new();
    let question = Question::Symbol("a.A".to_owned());
    for broken in [&b"\xff"[..], b"\x22\x02\x0a\x05", b""] {
        assert!(gathering.take(&question, broken).is_err());
    }
    let torn = Response { told: Some(Told::Files(Files { files: vec![vec![0x22, 0x7f].into()] })) };
    let told = gathering.take(&question, &torn.encode_to_vec()).unwrap_err();
    assert_eq!(told, "it ends before it is over");
}

#[test]
fn files_stay_within_bounds_together() {
    let mut gathering = Gathering::new();
    let question = Question::Symbol("a.A".to_owned());
    let files: Vec<_> = (0..=limits::PROTO_FILES).map(|at| file(&format!("p{at}"), &[])).collect();
    let told = gathering.take(&question, &answer(&files)).unwrap_err();
    assert_eq!(told, "they are more than 256 files, or 4 MiB");
    // The same file again is not counted again.
    let mut gathering = Gathering::new();
    for _ in 0..limits::PROTO_FILES * 2 {
        gathering.take(&question, &answer(&files[..1])).unwrap().unwrap();
    }
}
