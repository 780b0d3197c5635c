//! The row of the report a request belongs to: its method and the shape of its path.

use std::fmt::Write as _;

use serde::Deserialize;

use crate::request::Request;

/// What stands for a part of a path that differs from request to request.
const ID: &str = "{id}";
/// The longest label, in characters.
const MAX_LABEL: usize = 120;
/// Deeper paths are cut.
const MAX_SEGMENTS: usize = 8;
/// So many digits in a row are a number of something, not a part of its name.
const LONG_NUMBER: usize = 4;
/// Hexadecimal of this length with a digit in it is no word.
const LONG_HEXADECIMAL: usize = 8;
/// Letters and digits of this length are a token.
const LONG_TOKEN: usize = 20;

/// The methods that stand in labels by name; others could be as many as a scanner thinks of.
const METHODS: [&str; 16] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
];

/// A shape of paths that the operator wrote down: `{anything}` stands for one segment, `*` at the end for all that follow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template(String);

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!("the label {text:?} has to begin with a slash, like \"/users/{{id}}\""));
        }
        match text.split('/').rev().skip(1).any(|segment| segment == "*") {
            true => Err(format!(
                "in the label {text:?}, * may only be the last segment; use {{name}} for one segment"
            )),
            false => Ok(Self(text)),
        }
    }
}

impl Template {
    fn fits(&self, path: &str) -> bool {
        let mut segments = path.split('/');
        for expected in self.0.split('/') {
            match (expected, segments.next()) {
                ("*", Some(_)) => return true,
                (_, None) => return false,
                (expected, Some(segment)) => {
                    let is_open = expected.starts_with('{') && expected.ends_with('}') && !segment.is_empty();
                    if !is_open && expected != segment {
                        return false;
                    }
                }
            }
        }
        segments.next().is_none()
    }
}

/// The label of a request: by the first template that fits its path, else by the look of the path.
pub(crate) fn of(request: &Request<'_, '_>, templates: &[Template]) -> String {
    let method = if METHODS.contains(&request.method) { request.method } else { "(other)" };
    let path = request.target.path;
    let mut label = String::with_capacity(method.len() + 1 + path.len());
    label.push_str(method);
    if request.method == "CONNECT" {
        return label;
    }
    label.push(' ');
    match templates.iter().find(|template| template.fits(path)) {
        Some(template) => label.push_str(&template.0),
        None => push_shape(&mut label, path),
    }
    if let Some((end, _)) = label.char_indices().nth(MAX_LABEL) {
        label.truncate(end);
        label.push('…');
    }
    label
}

fn push_shape(label: &mut String, path: &str) {
    if path.is_empty() {
        label.push('/');
    }
    for (index, segment) in path.split('/').enumerate() {
        if index > MAX_SEGMENTS {
            label.push_str("/…");
            return;
        }
        if index > 0 {
            label.push('/');
        }
        // What follows a semicolon is a parameter (`;jsessionid=…`).
        push_segment(label, segment.split(';').next().unwrap_or_default());
    }
}

fn push_segment(label: &mut String, segment: &str) {
    if is_id(segment) {
        label.push_str(ID);
        return;
    }
    let mut rest = segment;
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let length = from.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = from.split_at(length);
        let _ = write!(label, "{before}{}", if length >= LONG_NUMBER { ID } else { number });
        rest = after;
    }
    label.push_str(rest);
}

/// A number, a date, hexadecimal, a UUID or a token, with an extension or without.
fn is_id(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    let all = |allowed: fn(&u8) -> bool| bytes.iter().all(allowed);
    let is_number = all(|byte| byte.is_ascii_digit() || b"-_.:,+".contains(byte));
    let is_hexadecimal =
        bytes.len() >= LONG_HEXADECIMAL && all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let is_token =
        bytes.len() >= LONG_TOKEN && all(|byte| byte.is_ascii_alphanumeric() || b"-_=%".contains(byte));
    has_digit && (is_number || is_hexadecimal || is_token)
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;
    use crate::head::MAX_FIELDS;

    fn label(method: &str, target: &str, templates: &[&str]) -> String {
        let templates: Vec<_> =
            templates.iter().map(|text| Template::try_from(text.to_string()).unwrap()).collect();
        let head = format!("{method} {target} HTTP/1.1\r\n\r\n");
        let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        of(&Request::read(head.as_bytes(), &mut fields).unwrap(), &templates)
    }

    #[test]
    fn what_differs_from_request_to_request_is_no_part_of_a_label() {
        for (target, expected) in [
            ("/", "GET /"),
            ("/users/42/posts?page=2", "GET /users/{id}/posts"),
            ("/v1/api2/x", "GET /v1/api2/x"),
            ("/o/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "GET /o/{id}"),
            ("/blob/deadbeef01/", "GET /blob/{id}/"),
            ("/facade/decade", "GET /facade/decade"),
            ("/photo_12345.jpg", "GET /photo_{id}.jpg"),
            ("/2024-05-01/report", "GET /{id}/report"),
            ("/t/eyJhbGciOiJIUzI1NiIsInR5", "GET /t/{id}"),
            ("/cart;jsessionid=1A2B", "GET /cart"),
            ("http://host:8080/a/7", "GET /a/{id}"),
            ("http://host", "GET /"),
            ("/a/b/c/d/e/f/g/h/i/j", "GET /a/b/c/d/e/f/g/h/…"),
        ] {
            assert_eq!(label("GET", target, &[]), expected);
        }
        assert_eq!(label("CONNECT", "host:443", &[]), "CONNECT");
        assert_eq!(label("OPTIONS", "*", &[]), "OPTIONS *");
        assert_eq!(label("XYZZY", "/", &[]), "(other) /");
        assert_eq!(label("GET", &format!("/{}", "a".repeat(500)), &[]).chars().count(), MAX_LABEL + 1);
    }

    #[test]
    fn the_first_template_that_fits_is_the_label() {
        let templates = ["/users/{name}", "/users/{name}/{what}", "/static/*"];
        for (target, expected) in [
            ("/users/anna", "GET /users/{name}"),
            ("/users/anna/likes?x", "GET /users/{name}/{what}"),
            ("/users/", "GET /users/"),
            ("/users/anna/a/b", "GET /users/anna/a/b"),
            ("/static/css/a.css", "GET /static/*"),
            ("/static", "GET /static"),
        ] {
            assert_eq!(label("GET", target, &templates), expected);
        }
    }

    #[test]
    fn templates_that_could_never_fit_are_refused() {
        assert!(Template::try_from("users".to_owned()).is_err());
        assert!(Template::try_from("/a/*/b".to_owned()).is_err());
    }
}
