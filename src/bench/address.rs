//! Where requests go, and the bytes of a request.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// The path of an address that names none.
const PATH: &str = "/invocations";
/// What begins the address of a Unix domain socket.
const SOCKET: &str = "unix:";

/// A server to measure: `http://HOST:PORT/PATH`, `https://…`, `unix:/SOCKET` or `unix:/SOCKET:/PATH`, or the same with a
/// name before it, `NAME=http://…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// What the report calls it.
    pub name: String,
    /// What is connected to.
    pub place: Place,
    /// Path and query of the request line.
    pub path: String,
}

/// What is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A port.
    Port {
        /// Its host, as in an address: IPv6 has brackets.
        host: String,
        /// Its number.
        port: u16,
        /// Whether TLS is spoken there.
        tls: bool,
    },
    /// A Unix domain socket.
    Socket(PathBuf),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAddress(&'static str);

const USE: NoAddress = NoAddress("use an address such as http://127.0.0.1:5001/invocations");

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Address, NoAddress> {
        // A name has none of the signs of an address, so that a `=` in a query begins no name.
        let named = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty() && !name.contains([':', '/', '?']));
        let (name, url) = match named {
            Some((name, url)) => (Some(name), url),
            None => (None, text),
        };
        let (place, url) = match url.strip_prefix(SOCKET) {
            Some(rest) => {
                // As in nginx: a path of HTTP comes behind a colon.
                let (socket, path) = rest
                    .split_once(":/")
                    .map_or((rest, String::new()), |(socket, path)| {
                        (socket, format!("/{path}"))
                    });
                if !socket.starts_with('/') {
                    return Err(NoAddress(
                        "use the whole path of a socket: unix:/run/modelsd.sock",
                    ));
                }
                let url = Url::parse(&format!("http://localhost{path}"));
                (Place::Socket(socket.into()), url.map_err(|_| USE)?)
            }
            None => {
                let url = Url::parse(url).map_err(|_| USE)?;
                (port(&url)?, url)
            }
        };
        let path = match (url.path(), url.query()) {
            ("/" | "", None) => PATH.to_owned(),
            (path, None) => path.to_owned(),
            (path, Some(query)) => format!("{path}?{query}"),
        };
        Ok(Address {
            name: name.map_or_else(|| place.to_string(), str::to_owned),
            place,
            path,
        })
    }
}

/// The port of an address.
fn port(url: &Url) -> Result<Place, NoAddress> {
    let tls = match url.scheme() {
        "http" => false,
        "https" => true,
        _ => return Err(NoAddress("only http, https and unix are measured")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NoAddress(
            "leave user and password out, and give `--header 'authorization: …'`",
        ));
    }
    let host = url.host_str().ok_or(NoAddress("there is no host"))?;
    Ok(Place::Port {
        host: host.to_owned(),
        port: url.port_or_known_default().unwrap_or(80),
        tls,
    })
}

impl Address {
    /// The address as an URL.
    pub fn url(&self) -> String {
        match &self.place {
            Place::Port { tls: false, .. } => format!("http://{}{}", self.place, self.path),
            Place::Port { tls: true, .. } => format!("https://{}{}", self.place, self.path),
            Place::Socket(_) => format!("{}:{}", self.place, self.path),
        }
    }

    /// Whether TLS is spoken there.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.place, Place::Port { tls: true, .. })
    }
}

/// What tells it from others: host and port, or the socket.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Port { host, port, .. } => write!(out, "{host}:{port}"),
            Place::Socket(path) => write!(out, "{SOCKET}{}", path.display()),
        }
    }
}

/// What is sent: one body, and the headers that go with it.
#[derive(Clone)]
pub struct Request {
    /// Media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// Rows in the body, where that is known.
    pub rows: Option<u64>,
    /// Further headers; they may hold credentials, and are shown nowhere.
    pub headers: Vec<Header>,
}

/// A header of the request.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: String,
}

impl FromStr for Header {
    type Err = NoHeader;

    fn from_str(text: &str) -> Result<Header, NoHeader> {
        let (name, value) = text.split_once(':').ok_or(NoHeader("use `Name: value`"))?;
        let (name, value) = (name.trim(), value.trim());
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            return Err(NoHeader("the name is empty or has signs that no header has"));
        }
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(NoHeader("the value has control characters"));
        }
        let ours = [
            "content-length",
            "transfer-encoding",
            "connection",
            "content-type",
        ];
        if ours.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
            return Err(NoHeader(
                "length, encoding and connection are ours, and the type has --content-type",
            ));
        }
        Ok(Header {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

/// Why a text is no header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoHeader(&'static str);

impl Request {
    /// The request as it goes over the wire to an address.
    pub(super) fn bytes(&self, address: &Address) -> Vec<u8> {
        let mut head = format!("POST {} HTTP/1.1\r\n", address.path);
        if !self
            .headers
            .iter()
            .any(|header| header.name.eq_ignore_ascii_case("host"))
        {
            let host = match &address.place {
                Place::Port { .. } => address.place.to_string(),
                Place::Socket(_) => "localhost".to_owned(),
            };
            head.push_str(&format!("host: {host}\r\n"));
        }
        for header in &self.headers {
            head.push_str(&format!("{}: {}\r\n", header.name, header.value));
        }
        head.push_str(&format!(
            "content-type: {}\r\ncontent-length: {}\r\n\r\n",
            self.content_type,
            self.body.len()
        ));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_names_and_a_usual_path() {
        for (text, name, url) in [
            (
                "http://localhost:5001",
                "localhost:5001",
                "http://localhost:5001/invocations",
            ),
            (
                "http://localhost:5001/models/iris/invocations?a=b",
                "localhost:5001",
                "http://localhost:5001/models/iris/invocations?a=b",
            ),
            ("old=http://h/v1", "old", "http://h:80/v1"),
            ("new=https://h/v1", "new", "https://h:443/v1"),
            ("https://h:5001", "h:5001", "https://h:5001/invocations"),
            (
                "unix:/run/m.sock",
                "unix:/run/m.sock",
                "unix:/run/m.sock:/invocations",
            ),
            ("s=unix:/run/m=1.sock:/v1?a=b", "s", "unix:/run/m=1.sock:/v1?a=b"),
            ("unix:/m:/a b\r\nc", "unix:/m", "unix:/m:/a%20bc"),
            (
                "http://[::1]:8080/",
                "[::1]:8080",
                "http://[::1]:8080/invocations",
            ),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.name.as_str(), address.url().as_str()), (name, url));
        }
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for text in [
            "",
            "localhost:5001",
            "ftp://h/",
            "unix:",
            "unix:m.sock",
            "https://me:secret@h/",
            "a=",
        ] {
            let problem = text.parse::<Address>().unwrap_err().to_string();
            assert!(!problem.contains("secret"), "{problem}");
        }
    }

    #[test]
    fn a_header_cannot_smuggle_another_request() {
        for text in ["no colon", ": v", "a b: c", "a: b\r\nc: d", "Content-Length: 3"] {
            assert!(text.parse::<Header>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_is_one_block_of_bytes() {
        let request = Request {
            content_type: "text/csv".into(),
            body: b"a\n1\n".to_vec(),
            rows: None,
            headers: vec!["X-Tenant:  blue ".parse().unwrap()],
        };
        let address = "http://h:1/p?q".parse().unwrap();
        assert_eq!(
            String::from_utf8(request.bytes(&address)).unwrap(),
            "POST /p?q HTTP/1.1\r\nhost: h:1\r\nX-Tenant: blue\r\ncontent-type: text/csv\r\ncontent-length: 4\r\n\r\na\n1\n"
        );
    }
}
