//! A request's head made another: host, path prefix, fields.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::framing::RequestKind;
use crate::request::Request;

/// Fields that say where a request ends or what is waited for: another value would make another request of it.
const FRAMING: [&str; 3] = ["Content-Length", "Transfer-Encoding", "Expect"];

/// What is changed in the head of every request that is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rewrite {
    /// The value of Host, and the authority of a target that is a whole URI.
    host: Option<Authority>,
    /// Removed from the beginning of paths that begin with it.
    strip_prefix: Option<Prefix>,
    /// Put before every path, after that.
    add_prefix: Option<Prefix>,
    /// Fields that are left out.
    remove: Vec<FieldName>,
    /// Fields that get that value, once, whether they were there or not.
    set: BTreeMap<FieldName, FieldValue>,
    /// Fields that are added, whether they were there or not.
    add: BTreeMap<FieldName, FieldValue>,
}

/// The name of a field that may be rewritten.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct FieldName(String);

/// What may stand behind the name.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct FieldValue(String);

/// A host, and perhaps a port.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Authority(FieldValue);

/// The first segments of a path: begins with a slash and does not end with one.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Prefix(String);

impl Rewrite {
    /// Writes the head anew, without the empty lines before it. Returns whether it has become another.
    ///
    /// `head` is what `request` was read from.
    pub(crate) fn apply(&self, request: &Request<'_, '_>, head: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        if self.is_nothing() {
            return false;
        }
        let line_end = if head.contains(&b'\r') { "\r\n" } else { "\n" };
        let write_field = |name: &str, value: &FieldValue, out: &mut Vec<u8>| {
            for part in [name, ": ", &value.0, line_end] {
                out.extend_from_slice(part.as_bytes());
            }
        };
        let host = self.host(request);
        self.write_request_line(request, host, out);
        out.extend_from_slice(line_end.as_bytes());
        // Behind the request line, each line is a field: a folded one would have been malformed.
        let lines = head.split_inclusive(|byte| *byte == b'\n').skip(1);
        let mut written = Vec::new();
        for (header, line) in request.headers.iter().zip(lines) {
            let is_written = written.iter().any(|name: &&str| name.eq_ignore_ascii_case(header.name));
            match self.value_for(header.name, host) {
                Some(value) if !is_written => {
                    written.push(header.name);
                    write_field(header.name, value, out);
                }
                None if !self.removes(header.name) => out.extend_from_slice(line),
                Some(_) | None => {}
            }
        }
        let host = host.iter().map(|value| ("Host", *value));
        let set = self.set.iter().map(|(name, value)| (name.0.as_str(), value));
        let missing =
            host.chain(set).filter(|(name, _)| !written.iter().any(|old| old.eq_ignore_ascii_case(name)));
        let add = self.add.iter().map(|(name, value)| (name.0.as_str(), value));
        missing.chain(add).for_each(|(name, value)| write_field(name, value, out));
        out.extend_from_slice(line_end.as_bytes());
        out != head
    }

    fn is_nothing(&self) -> bool {
        self.host.is_none()
            && self.strip_prefix.is_none()
            && self.add_prefix.is_none()
            && self.remove.is_empty()
            && self.set.is_empty()
            && self.add.is_empty()
    }

    /// The new host. That of a tunnel stays: it is what is asked for.
    fn host(&self, request: &Request<'_, '_>) -> Option<&FieldValue> {
        self.host.as_ref().filter(|_| request.kind() != RequestKind::Connect).map(|host| &host.0)
    }

    fn write_request_line(&self, request: &Request<'_, '_>, host: Option<&FieldValue>, out: &mut Vec<u8>) {
        let target = &request.target;
        let authority = match host {
            Some(host) if !target.scheme.is_empty() => &host.0,
            _ => target.authority,
        };
        // Nothing is put before a path that is not changed, were it `/` without being written.
        let path = if self.add_prefix.is_some() { target.looked_up() } else { target.path };
        let path = self.path(path);
        let version = if request.version == 0 { "HTTP/1.0" } else { "HTTP/1.1" };
        for part in
            [request.method, " ", target.scheme, authority, path[0], path[1], target.query, " ", version]
        {
            out.extend_from_slice(part.as_bytes());
        }
    }

    /// The new path, in two parts.
    fn path<'a>(&'a self, path: &'a str) -> [&'a str; 2] {
        if !path.starts_with('/') {
            return [path, ""];
        }
        let rest = match self.strip_prefix.as_ref().and_then(|prefix| path.strip_prefix(&prefix.0)) {
            Some("") => "/",
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        };
        [self.add_prefix.as_ref().map_or("", |prefix| &prefix.0), rest]
    }

    fn value_for<'a>(&'a self, name: &str, host: Option<&'a FieldValue>) -> Option<&'a FieldValue> {
        host.filter(|_| name.eq_ignore_ascii_case("Host")).or_else(|| {
            self.set.iter().find(|(set, _)| set.0.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        })
    }

    fn removes(&self, name: &str) -> bool {
        self.remove.iter().any(|removed| removed.0.eq_ignore_ascii_case(name))
    }
}

impl TryFrom<String> for FieldName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if name.is_empty() || !name.bytes().all(crate::chunked::is_token) {
            return Err(format!("{name:?} is no name of a header field"));
        }
        if name.eq_ignore_ascii_case("Host") {
            return Err("Host cannot be among these fields: rewrite.host changes it".to_owned());
        }
        match FRAMING.iter().any(|framing| framing.eq_ignore_ascii_case(&name)) {
            true => Err(format!(
                "{name} cannot be rewritten: it says where the request ends or what is waited for"
            )),
            false => Ok(Self(name)),
        }
    }
}

impl TryFrom<String> for FieldValue {
    type Error = String;

    fn try_from(value: String) -> Result<Self, String> {
        match value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') || value != value.trim() {
            true => Err(format!(
                "{value:?} is no value of a header field: it has a control character, or spaces around it"
            )),
            false => Ok(Self(value)),
        }
    }
}

impl TryFrom<String> for Authority {
    type Error = String;

    fn try_from(host: String) -> Result<Self, String> {
        let is_host = !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte));
        if is_host {
            Ok(Self(FieldValue(host)))
        } else {
            Err(format!("{host:?} is no host and no host:port"))
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = String;

    fn try_from(prefix: String) -> Result<Self, String> {
        let is_path = prefix.starts_with('/') && !prefix.ends_with('/');
        match is_path && prefix.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)) {
            true => Ok(Self(prefix)),
            false => Err(format!(
                "{prefix:?} is no path prefix: it begins with a slash, and does not end with one"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;
    use crate::configuration::Settings;
    use crate::head::MAX_FIELDS;

    const HEAD: &str = "GET /v1/a?b=/v1 HTTP/1.1\r\nhost:  old\r\nX-A: 1\r\nX-A: 2\r\nAccept:*/*\r\n\r\n";

    fn rewritten(configuration: &str, head: &str) -> Option<String> {
        let settings = Settings::read(configuration).unwrap();
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let request = Request::read(head.as_bytes(), &mut fields).unwrap();
        let mut out = b"what was there before".to_vec();
        let changed = settings.rewrite.apply(&request, head.as_bytes(), &mut out);
        changed.then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn only_what_is_asked_for_changes() {
        let expected = "GET /v1/a?b=/v1 HTTP/1.1\r\nhost: new\r\nX-A: 1\r\nX-A: 2\r\nAccept:*/*\r\n\r\n";
        assert_eq!(rewritten("rewrite.host = 'new'", HEAD).unwrap(), expected);
        let expected = "GET /v1/a?b=/v1 HTTP/1.1\r\nhost:  old\r\nAccept:*/*\r\nX-B: 3\r\n\r\n";
        assert_eq!(rewritten("[rewrite]\nremove = ['x-a']\nadd = { X-B = '3' }", HEAD).unwrap(), expected);
        let expected = "GET /v1/a?b=/v1 HTTP/1.1\r\nhost:  old\r\nX-A: 9\r\nAccept:*/*\r\nX-C: \r\n\r\n";
        assert_eq!(rewritten("rewrite.set = { x-a = '9', X-C = '' }", HEAD).unwrap(), expected);
    }

    #[test]
    fn what_does_not_change_is_not_replaced() {
        assert_eq!(rewritten("", HEAD), None);
        assert_eq!(rewritten("rewrite.remove = ['X-B']", HEAD), None);
        assert_eq!(rewritten("rewrite.strip_prefix = '/v'", HEAD), None);
    }

    #[test]
    fn a_path_gets_another_prefix() {
        let line = |configuration: &str, line: &str| {
            let head = rewritten(configuration, &format!("{line}\r\n\r\n"))?;
            Some(head.lines().next()?.to_owned())
        };
        let both = "[rewrite]\nstrip_prefix = '/v1'\nadd_prefix = '/test'";
        for (before, after) in [
            ("GET /v1/a HTTP/1.1", "GET /test/a HTTP/1.1"),
            ("GET /v1?q HTTP/1.0", "GET /test/?q HTTP/1.0"),
            ("GET /v10 HTTP/1.1", "GET /test/v10 HTTP/1.1"),
            ("GET http://h:1/v1/a HTTP/1.1", "GET http://h:1/test/a HTTP/1.1"),
            ("GET http://h:1?q HTTP/1.1", "GET http://h:1/test/?q HTTP/1.1"),
        ] {
            assert_eq!(line(both, before).as_deref(), Some(after));
        }
        assert_eq!(line(both, "OPTIONS * HTTP/1.1"), None);
        assert_eq!(line(both, "CONNECT a:1 HTTP/1.1"), None);
    }

    #[test]
    fn a_whole_uri_names_the_new_host_too() {
        let head = "GET http://old/a HTTP/1.1\r\nHost: old\r\n\r\n";
        let expected = "GET http://new:81/a HTTP/1.1\r\nHost: new:81\r\n\r\n";
        assert_eq!(rewritten("rewrite.host = 'new:81'", head).unwrap(), expected);
        let without = "GET / HTTP/1.0\r\n\r\n";
        assert_eq!(
            rewritten("rewrite.host = 'new'", without).unwrap(),
            "GET / HTTP/1.0\r\nHost: new\r\n\r\n"
        );
        let bare = "GET / HTTP/1.0\n\n";
        assert_eq!(rewritten("rewrite.host = 'new'", bare).unwrap(), "GET / HTTP/1.0\nHost: new\n\n");
    }

    #[test]
    fn a_tunnel_keeps_its_host() {
        let head = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n";
        assert_eq!(rewritten("rewrite.host = 'new'", head), None);
    }
}
