//! The target of a request (RFC 9112 §3.2), in its parts.

use std::borrow::Cow;

/// The target of a request, in parts that make it up when written one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestTarget<'a> {
    /// `http://` or `https://`, where the target is a whole URI.
    pub(crate) scheme: &'a str,
    /// Host and port, where the target has them.
    pub(crate) authority: &'a str,
    /// The path; `*` stands alone.
    pub(crate) path: &'a str,
    /// The query, with its question mark.
    pub(crate) query: &'a str,
}

impl<'a> RequestTarget<'a> {
    pub(crate) fn of(method: &str, target: &'a str) -> Self {
        if method == "CONNECT" {
            return Self { scheme: "", authority: target, path: "", query: "" };
        }
        let (scheme, rest) = match target.find("://") {
            Some(end) if !target.starts_with('/') => target.split_at(end + 3),
            _ => ("", target),
        };
        let authority_end = if scheme.is_empty() { 0 } else { rest.find(['/', '?']).unwrap_or(rest.len()) };
        let (authority, rest) = rest.split_at(authority_end);
        let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        Self { scheme, authority, path, query }
    }
}

/// The path as most servers understand it: escapes of printable characters resolved, `.` and `..` and doubled slashes gone.
/// What must never be repeated is looked for here as well, or `/%61dmin` would pass for something else than `/admin`.
pub(crate) fn understood(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("/.") && !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let resolved = resolve_escapes(path);
    let mut segments: Vec<&str> = Vec::new();
    for segment in resolved.split('/').filter(|segment| !segment.is_empty()) {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let last = if resolved.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    Cow::Owned(format!("/{}{last}", segments.join("/")))
}

fn resolve_escapes(path: &str) -> String {
    let mut resolved = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        resolved.push_str(before);
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match code.filter(u8::is_ascii_graphic) {
            Some(code) => {
                resolved.push(code.into());
                after.get(2..).unwrap_or_default()
            }
            None => {
                resolved.push('%');
                after
            }
        };
    }
    resolved + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_target_is_taken_apart() {
        for (method, target, parts) in [
            ("GET", "/a/b?c=/d?e", ("", "", "/a/b", "?c=/d?e")),
            ("GET", "/", ("", "", "/", "")),
            ("GET", "/?u=http://x/y", ("", "", "/", "?u=http://x/y")),
            ("GET", "/go/http://x/y", ("", "", "/go/http://x/y", "")),
            ("GET", "http://host:80/a?b", ("http://", "host:80", "/a", "?b")),
            ("GET", "http://host", ("http://", "host", "", "")),
            ("OPTIONS", "*", ("", "", "*", "")),
            ("CONNECT", "host:443", ("", "host:443", "", "")),
        ] {
            let RequestTarget { scheme, authority, path, query } = RequestTarget::of(method, target);
            assert_eq!((scheme, authority, path, query), parts, "{target}");
            assert_eq!([scheme, authority, path, query].concat(), target);
        }
    }

    #[test]
    fn a_disguised_path_is_understood() {
        for (path, expected) in [
            ("/admin", "/admin"),
            ("/%61dmin/", "/admin/"),
            ("//admin//x", "/admin/x"),
            ("/a/../admin/.", "/admin"),
            ("/a/%2e%2e/admin", "/admin"),
            ("/../..", "/"),
            ("/a%2", "/a%2"),
            ("/a%zz%00b", "/a%zz%00b"),
        ] {
            assert_eq!(understood(path), expected, "{path}");
        }
    }
}
