//! `tcpcopy new-module DIR`: a folder with a module in it that builds, passes its tests and loads.

use std::env;
use std::fmt;
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

/// Where a module gets `tcpcopy-plugin-api` from.
enum Api {
    /// A checkout, or what was installed beside tcpcopy.
    Folder(PathBuf),
    Registry,
}

impl Api {
    /// The folder that was asked for.
    fn in_folder(api: &Path) -> Result<Self, Failure> {
        let absolute = std::path::absolute(api).map_err(|error| failed(api, &error))?;
        if is_package(&absolute) {
            return Ok(Self::Folder(absolute));
        }
        Err(Failure::WrongValue(format!(
            "{} is not the folder of tcpcopy-plugin-api: it has no Cargo.toml",
            api.display()
        )))
    }

    /// The folder that a package of tcpcopy installs with `program`: `/usr/share/tcpcopy/…` with `/usr/bin/tcpcopy`.
    fn beside(program: &Path) -> Self {
        let prefix = program.parent().and_then(Path::parent);
        let installed = prefix.map(|prefix| prefix.join("share/tcpcopy/tcpcopy-plugin-api"));
        installed.filter(|folder| is_package(folder)).map_or(Self::Registry, Self::Folder)
    }

    /// As the value of a dependency in `Cargo.toml`, without its braces.
    fn source(&self) -> String {
        match self {
            Self::Folder(folder) => format!("path = {:?}", folder.display().to_string()),
            Self::Registry => "version = \"1\"".to_owned(),
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => write!(f, "tcpcopy-plugin-api in {}", folder.display()),
            Self::Registry => f.write_str(
                "tcpcopy-plugin-api 1 of crates.io (if it is not there, --api takes plugin-api of a checkout of tcpcopy)",
            ),
        }
    }
}

fn is_package(folder: &Path) -> bool {
    folder.join("Cargo.toml").is_file()
}

fn capitalised(part: &str) -> String {
    let (first, rest) = part.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// Makes the folder, with the crate `tcpcopy-plugin-api` from the folder `api`; without one, from where this tcpcopy is
/// installed, or else from the registry. Returns what to do next, for a person.
///
/// # Errors
/// [`Failure::WrongValue`] for a folder without a usable name, [`Failure::Start`] when it exists already or cannot be
/// written.
pub(crate) fn create(folder: &Path, api: Option<&Path>) -> Result<String, Failure> {
    let folder = std::path::absolute(folder).map_err(|error| failed(folder, &error))?;
    let names = Names::of(&folder).map_err(Failure::WrongValue)?;
    let api = match api {
        Some(folder) => Api::in_folder(folder)?,
        None => env::current_exe().map_or(Api::Registry, |program| Api::beside(&program)),
    };
    if folder.exists() {
        return Err(Failure::Start(format!("{} exists already; name a new folder", folder.display())));
    }
    for (path, template) in FILES {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        fs::write(&path, filled_in(template, &names, &api)).map_err(|error| failed(&path, &error))?;
    }
    let Names { library, .. } = names;
    let place = folder.display();
    Ok(format!(
        "{place} is ready, with {api}:\n    cd {place}\n    cargo test\n    cargo build --release\n    \
         tcpcopy … --module {place}/target/release/lib{library}.so\n"
    ))
}

fn filled_in(template: &str, names: &Names, api: &Api) -> String {
    let source = api.source();
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
            let filled = filled_in(template, &names, &Api::Folder("/api".into()));
            assert!(!filled.contains("{{"), "{path}: {filled}");
        }
    }

    #[test]
    fn what_is_installed_beside_tcpcopy_is_built_against() {
        let prefix = tempfile::tempdir().unwrap();
        let program = prefix.path().join("bin/tcpcopy");
        assert_eq!(Api::beside(&program).source(), "version = \"1\"");
        let installed = prefix.path().join("share/tcpcopy/tcpcopy-plugin-api");
        fs::create_dir_all(&installed).unwrap();
        fs::write(installed.join("Cargo.toml"), "").unwrap();
        assert_eq!(Api::beside(&program).source(), format!("path = \"{}\"", installed.display()));
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
