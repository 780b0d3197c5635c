//! nginx as the server of tagged requests: a configuration to run it with, and its access log as a
//! [`ServerRecord`].
//!
//! The log shows request lines, tags and lengths; that bodies are the same to the byte it cannot show.

use std::collections::HashMap;
use std::fmt::Write;
use std::io::{self, BufRead};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::request::Request;
use super::server::{Alteration, Arrival, ServerConnection, ServerConnectionEnd, ServerRecord};

/// Where nginx runs and what it answers.
#[derive(Clone, Debug, PartialEq)]
pub struct NginxPlan {
    /// A directory of its own, that exists: everything it writes is under it.
    pub directory: PathBuf,
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// The `want` sizes it honours, in bytes; other requests get a three-byte body.
    pub sizes: Vec<u32>,
}

impl NginxPlan {
    /// The access log [`read_log`] reads.
    pub fn log(&self) -> PathBuf {
        self.directory.join("access.log")
    }

    /// The file for [`configuration`](Self::configuration).
    pub fn configuration_file(&self) -> PathBuf {
        self.directory.join("nginx.conf")
    }

    /// The configuration: run it as `nginx -p DIRECTORY -c CONFIGURATION_FILE -e stderr`, stop it with SIGQUIT or
    /// SIGTERM, and read the log after it has ended (it is buffered).
    ///
    /// A GET is answered by the rewrite phase alone. A POST goes through an inner server, since only then does nginx
    /// read the body and count it in `$request_length`.
    pub fn configuration(&self) -> String {
        let dir = self.directory.display();
        let listen: String =
            self.listen.iter().map(|address| format!("    listen {address} backlog=4096;\n")).collect();
        let sizes: String = self.sizes.iter().map(|&size| format!("    {size} {};\n", body(size))).collect();
        let kilobyte = "x".repeat(1000);
        format!(
            r#"user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 19000; }}
http {{
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  default_type text/plain;
  keepalive_requests 100000000;
  keepalive_timeout 3600s;
  client_max_body_size 64m;
  log_format tagged '{LOG_FORMAT}';
  map "" $kilobyte {{ default "{kilobyte}"; }}
  map $arg_want $answer {{
    default "ok\n";
{sizes}  }}
  server {{
{listen}    access_log {dir}/access.log tagged buffer=256k;
    location /r/ {{
      if ($request_method = GET) {{ return 200 $answer; }}
      proxy_pass http://unix:{dir}/inner.sock;
    }}
  }}
  server {{
    listen unix:{dir}/inner.sock;
    access_log off;
    location / {{ return 200 $answer; }}
  }}
}}
"#
        )
    }
}

/// Fields of a line, in the order [`Line::parse`] reads them.
const LOG_FORMAT: &str = "$msec $remote_addr $remote_port $connection $connection_requests $request_length $status \
    $request_completion. $content_length. $http_x_tag. $request";

/// A configuration value of `size` bytes, made of thousands since nginx limits the length of a word.
fn body(size: u32) -> String {
    let thousands = "${kilobyte}".repeat(size as usize / 1000);
    format!("\"{thousands}{}\"", "x".repeat(size as usize % 1000))
}

/// Reads the access log of an nginx that has ended.
///
/// # Errors
/// Those of the file; `InvalidData` when a line is not of the format [`NginxPlan::configuration`] sets.
pub fn read_log(path: &Path) -> io::Result<ServerRecord> {
    let mut record = ServerRecord::default();
    let mut rows = HashMap::new();
    for (number, line) in io::BufReader::new(std::fs::File::open(path)?).lines().enumerate() {
        let line = line?;
        let Some(line) = Line::parse(&line) else {
            let sentence = format!("{}:{}: not a line of the lab's log format", path.display(), number + 1);
            return Err(io::Error::new(io::ErrorKind::InvalidData, sentence));
        };
        let row = *rows.entry(line.connection).or_insert_with(|| {
            record.connections.push(ServerConnection {
                peer: line.peer,
                opened_at: line.at,
                ended_at: line.at,
                requests: 0,
                discarded: 0,
                end: ServerConnectionEnd::Stopped,
            });
            record.connections.len() - 1
        });
        record.connections[row].ended_at = line.at;
        record.connections[row].requests += 1;
        line.book(&mut record, row as u32);
    }
    Ok(record)
}

/// One line of the log.
struct Line<'l> {
    /// End of the request, microseconds since 1970.
    at: u64,
    peer: SocketAddr,
    connection: u64,
    position: u32,
    length: u64,
    is_answered: bool,
    body: u32,
    tag: &'l str,
    /// Method, target and version, when nginx could read them.
    request_line: &'l str,
}

impl<'l> Line<'l> {
    fn parse(line: &'l str) -> Option<Self> {
        let mut fields = line.splitn(11, ' ');
        let (seconds, millis) = fields.next()?.split_once('.')?;
        let at = seconds.parse::<u64>().ok()? * 1_000_000 + millis.parse::<u64>().ok()? * 1000;
        let address: IpAddr = fields.next()?.parse().ok()?;
        let peer = SocketAddr::new(address, fields.next()?.parse().ok()?);
        let connection = fields.next()?.parse().ok()?;
        let position = fields.next()?.parse::<u32>().ok()?.checked_sub(1)?;
        let length = fields.next()?.parse().ok()?;
        let is_success = fields.next()? == "200";
        let is_answered = fields.next()? == "OK." && is_success;
        let body = match fields.next()?.strip_suffix('.')? {
            "" | "-" => 0,
            length => length.parse().ok()?,
        };
        let tag = fields.next()?.strip_suffix('.')?;
        let request_line = fields.next()?;
        Some(Self { at, peer, connection, position, length, is_answered, body, tag, request_line })
    }

    /// The request, when the line shows a whole tagged one.
    fn request(&self) -> Option<(Request, bool)> {
        let (method, rest) = self.request_line.split_once(' ')?;
        let target = rest.strip_suffix(" HTTP/1.1")?;
        let request = Request::from_target(target, self.body)?;
        let expected_method = if request.body == 0 { "GET" } else { "POST" };
        let exact = method == expected_method
            && self.tag == format!("{:016x}", request.tag())
            && self.length == request.size();
        Some((request, exact))
    }

    fn book(&self, record: &mut ServerRecord, row: u32) {
        let request = self.request();
        let exact = matches!(request, Some((_, true)));
        if !exact {
            let mut shown = String::new();
            let _ = write!(shown, "{} bytes, tag {}: {}", self.length, self.tag, self.request_line);
            shown.truncate(shown.floor_char_boundary(Alteration::SHOWN));
            record.note_alteration(Alteration {
                connection: row,
                at: self.at,
                id: request.map(|(request, _)| request.id),
                reason: "request line, tag or length differs".to_owned(),
                bytes: shown.into_bytes(),
            });
        }
        if let Some((request, _)) = request {
            record.arrivals.push(Arrival {
                id: request.id,
                connection: row,
                position: self.position,
                at: self.at,
                exact,
                answered: self.is_answered,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::RequestId;
    use super::*;

    fn line(request: &Request, length: u64) -> String {
        let (id, tag) = (request.id, request.tag());
        let method = if request.body == 0 { "GET" } else { "POST" };
        let body = if request.body == 0 { String::new() } else { request.body.to_string() };
        format!(
            "1700000000.250 10.0.0.1 5555 7 3 {length} 200 OK. {body}. {tag:016x}. {method} \
             /r/{id}?want={}&delay_ms={} HTTP/1.1",
            request.want, request.delay_ms
        )
    }

    fn booked(line: &str) -> ServerRecord {
        let mut record = ServerRecord::default();
        Line::parse(line).unwrap().book(&mut record, 0);
        record
    }

    #[test]
    fn a_line_is_an_arrival() {
        for body in [0, 5000] {
            let request = Request { id: RequestId::new(1, 2, 3), body, want: 10, delay_ms: 0 };
            let record = booked(&line(&request, request.size()));
            let expected = Arrival {
                id: request.id,
                connection: 0,
                position: 2,
                at: 1_700_000_000_250_000,
                exact: true,
                answered: true,
            };
            assert_eq!((record.arrivals, record.altered), (vec![expected], 0));
        }
    }

    #[test]
    fn a_line_with_another_length_or_tag_is_an_alteration() {
        let request = Request { id: RequestId::new(1, 2, 3), body: 50, want: 10, delay_ms: 0 };
        let short = line(&request, request.size() - 1);
        let asks_more = line(&request, request.size()).replace("want=10", "want=11");
        for line in [short, asks_more] {
            let record = booked(&line);
            assert_eq!((record.altered, record.arrivals[0].exact), (1, false), "{line}");
        }
        let garbage = booked("1700000000.250 10.0.0.1 5555 7 1 9 400 . . . \\x16\\x03 hello there");
        assert_eq!((garbage.altered, garbage.arrivals.len()), (1, 0));
        assert!(Line::parse("not a log").is_none());
    }
}
