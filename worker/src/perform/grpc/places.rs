//! Where a file that a `.proto` file imports may be.
//!
//! protoc is told the folders to look in. Nobody tells them here, so they are guessed as they are
//! nearly always laid out: beside the importing file; below the folder in which the folders of its
//! package stand; below the folder in which the first folder of the import stands.

use reqwest::Url;
use windlass_proto::limits;

/// The URLs at which `import`, a path in the file at `base`, may be found, the likeliest first;
/// none where it is no such path. `package` is that of the file at `base`.
pub(super) fn places(base: &Url, package: &str, import: &str) -> Vec<Url> {
    if !is_path(import) {
        return Vec::new();
    }
    let mut base = base.clone();
    base.set_query(None);
    base.set_fragment(None);
    let path = base.path().to_owned();
    let mut folders: Vec<&str> = path.split('/').skip(1).collect();
    folders.pop();
    let mut roots = vec![folders.len()];
    let packages: Vec<_> = package.split('.').filter(|it| !it.is_empty()).collect();
    if !packages.is_empty() && folders.ends_with(&packages) {
        roots.push(folders.len() - packages.len());
    }
    let first = import.split('/').next().unwrap_or_default();
    if import.contains('/') {
        let same = folders.iter().enumerate().rev().filter(|(_, it)| **it == first);
        roots.extend(same.map(|(at, _)| at));
    }
    let mut urls = Vec::new();
    for root in roots {
        let mut url = base.clone();
        let folder: String = folders[..root].iter().map(|it| format!("/{it}")).collect();
        url.set_path(&format!("{folder}/{import}"));
        if !urls.contains(&url) && urls.len() < limits::PROTO_PLACES {
            urls.push(url);
        }
    }
    urls
}

/// True for folders and a file below another folder, in which nothing has a meaning to URLs.
fn is_path(import: &str) -> bool {
    let is_step = |step: &str| {
        let plain = |it: char| it.is_alphanumeric() || "._-+ ".contains(it);
        !step.trim().is_empty() && step != "." && step != ".." && step.chars().all(plain)
    };
    import.len() <= limits::PROTO_WORD_BYTES && import.split('/').all(is_step)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reqwest::Url;

    use super::places;

    fn told(base: &str, package: &str, import: &str) -> Vec<String> {
        let base = Url::parse(base).unwrap();
        places(&base, package, import).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn imports_are_looked_for_where_they_are_laid_out() {
        let base = "https://host/protos/acme/orders/v1/orders.proto?x=1#y";
        let at = |path: &str| format!("https://host/protos/{path}");
        for (package, import, expected) in [
            ("", "types.proto", vec![at("acme/orders/v1/types.proto")]),
            (
                "acme.orders.v1",
                "google/type/money.proto",
                vec![at("acme/orders/v1/google/type/money.proto"), at("google/type/money.proto")],
            ),
            (
                "other",
                "acme/common.proto",
                vec![at("acme/orders/v1/acme/common.proto"), at("acme/common.proto")],
            ),
        ] {
            assert_eq!(told(base, package, import), expected, "{import}");
        }
    }

    #[test]
    fn no_import_leads_elsewhere() {
        for import in [
            "",
            "/etc/passwd",
            "../up.proto",
            "a/../../up.proto",
            "a//b.proto",
            "a\\..\\b.proto",
            "%2e%2e/up.proto",
            "http://elsewhere/a.proto",
            "a.proto?x",
            "a.proto#x",
            "./a.proto",
            &"a".repeat(600),
        ] {
            assert_eq!(told("https://host/a/b.proto", "", import), [""; 0], "{import}");
        }
    }
}
