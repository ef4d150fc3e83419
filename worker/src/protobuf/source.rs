//! From the text of `.proto` files to types.

use std::collections::HashMap;

use prost_reflect::DescriptorPool;
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

use super::guard;

/// One file, parsed and not yet compiled.
pub(crate) struct Source {
    file: File,
    /// Bytes of the full names it declares, at most.
    names: usize,
}

impl Source {
    /// Parses `text`, which others import by `name`. May take a while.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        let names = guard::check(text)?;
        let file =
            File::from_source(name, text).map_err(|error| match imports_from_above(text) {
                true => IMPORT_PATH.to_owned(),
                // Its short form does not tell the line.
                false => format!("{error:?}"),
            })?;
        Ok(Self { file, names })
    }

    /// The names of the files that it imports.
    pub(crate) fn imports(&self) -> &[String] {
        &self.file.file_descriptor_proto().dependency
    }

    /// Its `package`; empty where it has none.
    pub(crate) fn package(&self) -> &str {
        self.file.file_descriptor_proto().package()
    }
}

/// What is wrong with an import that leads out of the folders that are searched.
pub(crate) const IMPORT_PATH: &str = "an import is a path below a folder that is searched, without \
                                      `..`, as for protoc: write it from the folder that both \
                                      files are in";

/// True where a file imports another one by a path that leads upwards or begins at the root: the
/// parser has no words for it.
fn imports_from_above(text: &str) -> bool {
    text.split("import").skip(1).any(|rest| {
        let mut quoted = rest.split(['"', '\'']);
        let words = quoted.next().unwrap_or_default().trim();
        let path = quoted.next().unwrap_or_default();
        let is_import = matches!(words, "" | "public" | "weak" | "option");
        is_import && (path.starts_with('/') || path.split('/').any(|it| it == ".."))
    })
}

/// True for a file that every compiler brings along, such as `google/protobuf/any.proto`.
pub(crate) fn is_bundled(name: &str) -> bool {
    name.starts_with("google/protobuf/") && GoogleFileResolver::new().open_file(name).is_ok()
}

/// The files of one compilation by name.
struct Files(HashMap<String, File>);

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        self.0.get(name).cloned().ok_or_else(|| protox::Error::file_not_found(name))
    }
}

/// The types of `sources`; the first imports the others, or they one another. May take a while.
///
/// # Errors
/// Why there are none.
pub(crate) fn compile(sources: Vec<Source>) -> Result<DescriptorPool, String> {
    guard::within(sources.iter().map(|it| it.names).sum())?;
    let names: Vec<String> = sources.iter().map(|it| it.file.name().to_owned()).collect();
    let files = sources.into_iter().map(|it| (it.file.name().to_owned(), it.file)).collect();
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(Files(files));
    let mut compiler = Compiler::with_file_resolver(resolver);
    // What is imported comes first: the compiler recurses along imports that it has not seen.
    for name in names.iter().rev() {
        compiler.open_file(name).map_err(|error| format!("{error:?}"))?;
    }
    // Types that a message may hold without saying so: an `Any` has the name of its type only.
    for name in ["wrappers", "struct", "duration", "timestamp", "field_mask", "empty", "any"] {
        let opened = compiler.open_file(format!("google/protobuf/{name}.proto"));
        opened.map_err(|error| format!("{error:?}"))?;
    }
    Ok(compiler.descriptor_pool())
}
