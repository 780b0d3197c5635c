//! `tcpcopy new-module DIR`: a folder with a module in it that builds, passes its tests and loads.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tcpcopy_cli::Failure;

/// A file of the template and where it goes.
const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../template/Cargo.toml.in")),
    ("src/lib.rs", include_str!("../template/src/lib.rs.in")),
    ("src/conversation.rs", include_str!("../template/src/conversation.rs.in")),
    (".gitignore", include_str!("../template/gitignore.in")),
];

/// What the template is filled in with.
struct Names {
    /// Of package and module: `my-protocol`.
    name: String,
    /// Of the library: `my_protocol_mod`.
    library: String,
    /// Of the type: `MyProtocol`.
    of_type: String,
}

impl Names {
    fn of(folder: &Path) -> Result<Self, String> {
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
        let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
        if !is_name {
            return Err(format!(
                "{} gives no name for a module; use letters, digits and hyphens, beginning with a letter",
                folder.display()
            ));
        }
        let parts = || name.split(['-', '_']).filter(|part| !part.is_empty());
        let library = format!("{}_mod", parts().collect::<Vec<_>>().join("_"));
        let of_type = parts().map(capitalised).collect();
        Ok(Self { library, of_type, name })
    }
}

fn capitalised(part: &str) -> String {
    let (first, rest) = part.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// Makes the folder, with the crate `tcpcopy-plugin-api` from the registry or from the folder `api`. Returns what to do
/// next, for a person.
///
/// # Errors
/// [`Failure::WrongValue`] for a folder without a usable name, [`Failure::Start`] when it exists already or cannot be
/// written.
pub(crate) fn create(folder: &Path, api: Option<&Path>) -> Result<String, Failure> {
    let folder = std::path::absolute(folder).map_err(|error| failed(folder, &error))?;
    let names = Names::of(&folder).map_err(Failure::WrongValue)?;
    let api = api.map(absolute_api).transpose()?;
    if folder.exists() {
        return Err(Failure::Start(format!("{} exists already; name a new folder", folder.display())));
    }
    for (path, template) in FILES {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        fs::write(&path, filled_in(template, &names, api.as_deref()))
            .map_err(|error| failed(&path, &error))?;
    }
    let Names { library, .. } = names;
    let place = folder.display();
    Ok(format!(
        "{place} is ready:\n    cd {place}\n    cargo test\n    cargo build --release\n    \
         tcpcopy … --module {place}/target/release/lib{library}.so\n"
    ))
}

fn absolute_api(api: &Path) -> Result<PathBuf, Failure> {
    let absolute = std::path::absolute(api).map_err(|error| failed(api, &error))?;
    if absolute.join("Cargo.toml").is_file() {
        return Ok(absolute);
    }
    Err(Failure::WrongValue(format!(
        "{} is not the folder of tcpcopy-plugin-api: it has no Cargo.toml",
        api.display()
    )))
}

fn filled_in(template: &str, names: &Names, api: Option<&Path>) -> String {
    let source = match api {
        Some(folder) => format!("path = {:?}", folder.display().to_string()),
        None => "version = \"1\"".to_owned(),
    };
    template
        .replace("{{name}}", &names.name)
        .replace("{{library}}", &names.library)
        .replace("{{type}}", &names.of_type)
        .replace("{{api}}", &format!("{{ {source} }}"))
        .replace("{{api_for_tests}}", &format!("{{ {source}, features = [\"testing\"] }}"))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Start(format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_folder() {
        let names = Names::of(Path::new("/x/my-proto_2")).unwrap();
        assert_eq!((names.library.as_str(), names.of_type.as_str()), ("my_proto_2_mod", "MyProto2"));
        for wrong in ["/", "/x/2fast", "/x/a b", "/x/ä"] {
            assert!(Names::of(Path::new(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_of_the_template_is_left_open() {
        let names = Names::of(Path::new("lines")).unwrap();
        for (path, template) in FILES {
            let filled = filled_in(template, &names, Some(Path::new("/api")));
            assert!(!filled.contains("{{"), "{path}: {filled}");
        }
    }

    #[test]
    fn an_existing_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let error = create(&folder.path().join("x"), Some(Path::new("/nowhere"))).unwrap_err();
        assert!(error.to_string().contains("/nowhere"), "{error}");
        fs::create_dir(folder.path().join("x")).unwrap();
        let error = create(&folder.path().join("x"), None).unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
    }
}
