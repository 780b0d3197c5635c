//! The target of a request (RFC 9112 §3.2), in its parts.

use std::borrow::Cow;

use crate::chunked::hexadecimal;

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

    /// The path that a server looks up: that of `http://host` is `/` (RFC 9110 §4.2.3).
    pub(crate) fn looked_up(&self) -> &str {
        if self.path.is_empty() && !self.scheme.is_empty() { "/" } else { self.path }
    }

    /// Whether it has one of the four forms that there are (RFC 9112 §3.2), so that servers agree what its path is.
    pub(crate) fn is_proper(&self) -> bool {
        match (self.scheme, self.path) {
            ("", "") => !self.authority.is_empty(),
            ("", path) => path.starts_with('/') || path == "*",
            _ => !self.authority.is_empty() && !self.authority.contains(['\\', '#']),
        }
    }

    /// The host that a whole URI names, with its port.
    pub(crate) fn host(&self) -> Option<&str> {
        let host = self.authority.rsplit('@').next().unwrap_or_default();
        (!self.scheme.is_empty()).then_some(host)
    }
}

/// The ways in which servers understand a path: as it is; with escapes resolved before `.` and `..`, and after them; and
/// besides with backslashes as slashes and without what follows a semicolon in a segment, or a `#`; all that with doubled
/// slashes as they are, and as one. What must never be repeated is looked for in all of them, or `/%61dmin` would pass
/// for something else than `/admin`.
pub(crate) fn understood(path: &str) -> impl Iterator<Item = Cow<'_, [u8]>> {
    let is_plain = !path.contains(['%', ';', '\\', '#']) && !path.contains("/.") && !path.contains("//");
    let others = (!is_plain).then(|| {
        let resolved = resolve_escapes(path.as_bytes());
        let bare = without_parameters(&resolved);
        [true, false].map(|merges| {
            let with_escapes = resolve_dots(path.as_bytes(), merges);
            [resolve_dots(&resolved, merges), resolve_escapes(&with_escapes), resolve_dots(&bare, merges)]
        })
    });
    let as_it_is = Cow::Borrowed(path.as_bytes());
    std::iter::once(as_it_is).chain(others.into_iter().flatten().flatten().map(Cow::Owned))
}

/// Whether some server may find `.` or `..` in a path, so that it leads elsewhere than it seems to.
pub(crate) fn has_dots(path: &str) -> bool {
    if !path.contains(['.', '%']) {
        return false;
    }
    let bare = without_parameters(&resolve_escapes(path.as_bytes()));
    bare.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b".."))
}

/// The path without `.` and `..` (RFC 3986 §5.2.4); `merges`: with one slash for several.
fn resolve_dots(path: &[u8], merges: bool) -> Vec<u8> {
    let mut resolved: Vec<&[u8]> = Vec::new();
    let mut segments = path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            b"" if merges && !is_last => {}
            b"." | b".." => {
                if segment == b".." {
                    resolved.pop();
                }
                if is_last {
                    resolved.push(b"");
                }
            }
            segment => resolved.push(segment),
        }
    }
    [b"/", resolved.join(&b"/"[..]).as_slice()].concat()
}

/// With `%61` for `a`, and so on.
pub(crate) fn resolve_escapes(path: &[u8]) -> Vec<u8> {
    let mut resolved = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, behind)) = rest.split_first() {
        let (byte, after) = match behind {
            [high, low, after @ ..]
                if first == b'%' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (16 * hexadecimal(*high) + hexadecimal(*low), after)
            }
            _ => (first, behind),
        };
        resolved.push(byte);
        rest = after;
    }
    resolved
}

/// With backslashes as slashes, and without what follows a semicolon in each segment, and a `#` in the whole.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let path = path.split(|byte| *byte == b'#').next().unwrap_or_default();
    let slashed: Vec<u8> = path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    let bare = slashed.split(|byte| *byte == b'/');
    let bare = bare.map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or_default());
    bare.collect::<Vec<_>>().join(&b'/')
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
            ("/a/../admin/.", "/admin/"),
            ("/admin/y/..", "/admin/"),
            ("/x/../admin//../secret", "/admin/secret"),
            ("/x/../admin//../secret", "/secret"),
            ("/admin#x", "/admin"),
            ("/a/%2e%2e/admin", "/admin"),
            ("/a%2fb/../admin", "/admin"),
            ("/;/admin", "/admin"),
            ("/a/..;x/admin", "/admin"),
            ("/\\admin", "/admin"),
            ("/a\\..%5cadmin", "/admin"),
            ("/my%20file", "/my file"),
            ("/caf%C3%A9", "/café"),
            ("/../..", "/"),
            ("/a%2", "/a%2"),
            ("/a%zz%+1", "/a%zz%+1"),
        ] {
            assert!(understood(path).any(|found| *found == *expected.as_bytes()), "{path}");
            assert!(understood(path).any(|found| *found == *path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn forms_that_servers_do_not_agree_on_are_not_proper() {
        let is_proper = |method: &str, target: &str| RequestTarget::of(method, target).is_proper();
        for (method, target) in
            [("GET", "/"), ("GET", "/a:b"), ("GET", "http://h"), ("OPTIONS", "*"), ("CONNECT", "h:1")]
        {
            assert!(is_proper(method, target), "{target}");
        }
        for target in ["admin", "http:/admin", "http:///admin", "http://h\\admin", "?a"] {
            assert!(!is_proper("GET", target), "{target}");
        }
        assert_eq!(RequestTarget::of("GET", "http://u:p@h:1/a").host(), Some("h:1"));
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_recognised() {
        for path in
            ["/api/../admin", "/api/%2e%2E/admin", "/api/..;/admin", "/api\\..\\admin", "/api/.", "/."]
        {
            assert!(has_dots(path), "{path}");
        }
        for path in ["/api/a..b", "/api/...", "/api/a%20b", "/api;..", "/.well-known/x"] {
            assert!(!has_dots(path), "{path}");
        }
    }
}
