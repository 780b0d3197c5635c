//! Which requests are said to the target, and which are not.

use regex::bytes::Regex;
use serde::Deserialize;
use xxhash_rust::xxh64::xxh64;

use crate::path::{has_dots, resolve_escapes, understood};
use crate::request::Request;

/// The methods that only read (RFC 9110 §9.2.1), but for TRACE, which shows the target's inside to nobody's use.
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];
/// Fields that make another method of the one in the request line.
const OVERRIDES: [&str; 3] = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];
/// A hundredth of a percent, as shares are compared.
const SHARES: u64 = 10_000;

/// What decides whether a request is said.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) read_only: bool,
    /// If there are any, one of these has to fit.
    pub(crate) only: Vec<Rule>,
    /// None of these may fit.
    pub(crate) never: Vec<Rule>,
    pub(crate) sample: Option<Sample>,
}

/// A kind of requests: all of the conditions that are given hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[serde(default)]
    method: Vec<String>,
    path: Option<Pattern>,
    header: Option<HeaderRule>,
}

/// A field of the head, with one of its values.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderRule {
    name: String,
    value: Option<Pattern>,
}

/// A regular expression.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(Regex);

/// A share of the requests, the same ones wherever they are replayed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    percent: Percent,
    /// The field whose value decides; if there is none, or no such field, the path decides.
    header: Option<String>,
}

/// A share, in hundredths of a percent.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "f64")]
struct Percent(u64);

impl Filter {
    /// Why the request is not said; `None` if it is.
    pub(crate) fn refusal(&self, request: &Request<'_, '_>) -> Option<&'static str> {
        if self.read_only && !is_safe(request) {
            return Some("read only");
        }
        if self.never.iter().any(|rule| rule.forbids(request)) {
            return Some("among never");
        }
        if !self.only.is_empty() && !self.only.iter().any(|rule| rule.admits(request)) {
            return Some("not among only");
        }
        self.sample.as_ref().filter(|sample| !sample.has(request)).map(|_| "not in the sample")
    }

    /// Whether something must not be said, so that what cannot be judged must not be said either.
    pub(crate) fn forbids_something(&self) -> bool {
        self.read_only || !self.only.is_empty() || !self.never.is_empty()
    }
}

impl Rule {
    /// Whether a condition is given at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.method.is_empty() && self.path.is_none() && self.header.is_none()
    }

    /// Whether the request is of this kind, read to the letter, and for every server.
    fn admits(&self, request: &Request<'_, '_>) -> bool {
        let path = request.target.looked_up();
        (self.method.is_empty() || self.method.iter().any(|method| method == request.method))
            && self.path.as_ref().is_none_or(|pattern| {
                pattern.is_in(path.as_bytes())
                    && (!has_dots(path) || understood(path).all(|path| pattern.is_in(&path)))
            })
            && self.header.as_ref().is_none_or(|header| header.admits(request))
    }

    /// Whether a server might take the request for one of this kind.
    fn forbids(&self, request: &Request<'_, '_>) -> bool {
        let path = request.target.looked_up();
        let is_named =
            |found: &[u8]| self.method.iter().any(|method| method.as_bytes().eq_ignore_ascii_case(found));
        (self.method.is_empty() || methods(request).any(is_named))
            && self.path.as_ref().is_none_or(|pattern| understood(path).any(|path| pattern.is_in(&path)))
            && self.header.as_ref().is_none_or(|header| header.forbids(request))
    }
}

impl HeaderRule {
    /// The host of a target that is a whole URI counts instead of the field (RFC 9112 §3.2.2).
    fn admits(&self, request: &Request<'_, '_>) -> bool {
        match self.host(request) {
            Some(host) => self.fits(host.as_bytes()),
            None => request.values(&self.name).any(|value| self.fits(value)),
        }
    }

    fn forbids(&self, request: &Request<'_, '_>) -> bool {
        let mut named = request.headers.iter().filter(|header| is_alike(header.name, &self.name));
        self.host(request).is_some_and(|host| self.fits(host.as_bytes()))
            || named.any(|header| self.fits(header.value))
    }

    fn host<'a>(&self, request: &'a Request<'_, '_>) -> Option<&'a str> {
        request.target.host().filter(|_| self.name.eq_ignore_ascii_case("Host"))
    }

    fn fits(&self, value: &[u8]) -> bool {
        self.value.as_ref().is_none_or(|pattern| pattern.is_in(value))
    }
}

impl Pattern {
    fn is_in(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Regex::new(&text).map(Self).map_err(|error| {
            // The last line says what is wrong; those before draw it.
            let reason = error.to_string().lines().last().unwrap_or_default().replace("error: ", "");
            format!("the regular expression {text:?} cannot be used: {reason}")
        })
    }
}

impl TryFrom<f64> for Percent {
    type Error = String;

    fn try_from(percent: f64) -> Result<Self, String> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(format!("a percent of {percent} is not between 0 and 100"));
        }
        Ok(Self((percent * 100.0).round() as u64))
    }
}

impl Sample {
    fn has(&self, request: &Request<'_, '_>) -> bool {
        let value = self.header.as_deref().and_then(|name| request.values(name).next());
        let hash = xxh64(value.unwrap_or(request.target.looked_up().as_bytes()), 0);
        hash % SHARES < self.percent.0
    }
}

fn is_safe(request: &Request<'_, '_>) -> bool {
    let is_safe = |method: &[u8]| SAFE.iter().any(|safe| safe.as_bytes() == method);
    is_safe(request.method.as_bytes()) && methods(request).all(|method| is_safe(&method.to_ascii_uppercase()))
}

/// The methods that a server may take for that of the request: its own, and those that fields or the query name instead.
fn methods<'a>(request: &'a Request<'_, '_>) -> impl Iterator<Item = &'a [u8]> {
    let fields =
        request.headers.iter().filter(|header| OVERRIDES.iter().any(|name| is_alike(name, header.name)));
    let parameters =
        request.target.query.split(['?', '&', ';']).filter_map(|parameter| parameter.split_once('='));
    let overriding = parameters.filter(|(name, value)| {
        !value.is_empty() && resolve_escapes(name.as_bytes()).eq_ignore_ascii_case(b"_method")
    });
    let own = std::iter::once(request.method.as_bytes());
    own.chain(fields.map(|header| header.value)).chain(overriding.map(|(_, value)| value.as_bytes()))
}

/// Whether two names of fields are the same variable of a CGI program.
fn is_alike(one: &str, other: &str) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.bytes().map(fold).eq(other.bytes().map(fold))
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;
    use crate::configuration::Settings;
    use crate::head::MAX_FIELDS;

    /// Why a request is refused under a configuration.
    fn refusal(configuration: &str, head: &str) -> Option<&'static str> {
        let settings = Settings::read(configuration).unwrap();
        let head = format!("{head}\r\n\r\n");
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        settings.filter.refusal(&Request::read(head.as_bytes(), &mut fields).unwrap())
    }

    #[test]
    fn read_only_lets_pass_what_only_reads() {
        let refusal = |head: &str| refusal("read_only = true", head).is_some();
        assert!(!refusal("GET / HTTP/1.1"));
        assert!(!refusal("HEAD / HTTP/1.1"));
        assert!(!refusal("OPTIONS * HTTP/1.1"));
        assert!(refusal("POST / HTTP/1.1"));
        assert!(refusal("get / HTTP/1.1"));
        assert!(refusal("CONNECT a:1 HTTP/1.1"));
        assert!(refusal("GET / HTTP/1.1\r\nX-HTTP-Method-Override: DELETE"));
        assert!(refusal("GET / HTTP/1.1\r\nx_http_method-override: DELETE"));
        assert!(refusal("GET /posts/1?a=b&_method=delete HTTP/1.1"));
        assert!(refusal("GET /?%5fMethod=DELETE HTTP/1.1"));
        assert!(!refusal("GET /?_method= HTTP/1.1"));
        assert!(!refusal("GET /posts/1?_method=get&method=DELETE HTTP/1.1"));
    }

    #[test]
    fn one_of_only_has_to_fit_and_all_its_conditions() {
        let only = "[[only]]\nmethod = ['GET']\npath = '^/api/'\n[[only]]\nheader = { name = 'X-Env', value = '^canary$' }";
        assert_eq!(refusal(only, "GET /api/a HTTP/1.1"), None);
        assert_eq!(refusal(only, "POST /api/a HTTP/1.1"), Some("not among only"));
        assert_eq!(refusal(only, "GET /other HTTP/1.1"), Some("not among only"));
        assert_eq!(refusal(only, "POST /x HTTP/1.1\r\nx-env: canary"), None);
        assert_eq!(refusal(only, "POST /x HTTP/1.1\r\nx-env: canary2"), Some("not among only"));
    }

    #[test]
    fn never_sees_through_disguises() {
        let never = "[[never]]\npath = '^/admin'\n[[never]]\nmethod = ['DELETE']\n[[never]]\nheader.name = 'X-Secret'";
        for head in [
            "GET /admin HTTP/1.1",
            "GET /%61dmin/x HTTP/1.1",
            "GET /a/../admin HTTP/1.1",
            "GET http://host/admin HTTP/1.1",
            "GET /x/..;/admin HTTP/1.1",
            "delete /x HTTP/1.1",
            "POST /x HTTP/1.1\r\nX-HTTP-Method-Override: DELETE",
            "POST /x?_method=delete HTTP/1.1",
            "GET / HTTP/1.1\r\nx-secret: 1",
            "GET / HTTP/1.1\r\nX_Secret: 1",
        ] {
            assert_eq!(refusal(never, head), Some("among never"), "{head}");
        }
        assert_eq!(refusal(never, "GET /x?admin HTTP/1.1"), None);
    }

    #[test]
    fn only_admits_no_path_that_leads_elsewhere() {
        let only = "[[only]]\npath = '^/api/'";
        for path in ["/api/../admin", "/api/%2e%2e/admin", "/api/..;/admin"] {
            assert_eq!(refusal(only, &format!("GET {path} HTTP/1.1")), Some("not among only"), "{path}");
        }
        for path in ["/api/a/../b", "/api/a%20b", "/api/;v=1/a", "http://host/api/"] {
            assert_eq!(refusal(only, &format!("GET {path} HTTP/1.1")), None, "{path}");
        }
        assert_eq!(refusal("[[only]]\npath = '^/$'", "GET http://host HTTP/1.1"), None);
        assert_eq!(refusal("[[never]]\npath = '^/$'", "GET http://host?a HTTP/1.1"), Some("among never"));
    }

    #[test]
    fn a_whole_uri_says_which_host_is_meant() {
        let host = |kind: &str| format!("[[{kind}]]\nheader = {{ name = 'host', value = '^api$' }}");
        assert_eq!(refusal(&host("only"), "GET http://api/ HTTP/1.1\r\nHost: other"), None);
        let other = "GET http://other/ HTTP/1.1\r\nHost: api";
        assert_eq!(refusal(&host("only"), other), Some("not among only"));
        assert_eq!(refusal(&host("never"), other), Some("among never"));
        assert_eq!(refusal(&host("never"), "GET http://api/ HTTP/1.1"), Some("among never"));
    }

    #[test]
    fn a_sample_has_its_share_and_always_the_same_requests() {
        let sample = "sample = { percent = 25, header = 'Cookie' }";
        let has = |user: u32| refusal(sample, &format!("GET / HTTP/1.1\r\ncookie: u={user}")).is_none();
        let users: Vec<u32> = (0..2000).filter(|user| has(*user)).collect();
        assert!((400..600).contains(&users.len()), "{} of 2000", users.len());
        assert!(users.iter().all(|user| has(*user)));
        let paths =
            (0..2000).filter(|page| refusal(sample, &format!("GET /{page} HTTP/1.1")).is_none()).count();
        assert!((400..600).contains(&paths), "{paths} of 2000");
        assert_eq!(refusal("sample.percent = 100", "GET / HTTP/1.1"), None);
        assert_eq!(refusal("sample.percent = 0", "GET / HTTP/1.1"), Some("not in the sample"));
    }
}
