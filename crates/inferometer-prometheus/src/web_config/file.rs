//! What may stand in a `web.yml`.

use serde::Deserialize;
use serde::de::{self, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The whole file. A section that is empty is as good as none.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) tls_server_config: Option<Tls>,
    pub(super) http_server_config: Option<Http>,
    pub(super) basic_auth_users: Option<BTreeMap<User, Hash>>,
    pub(super) rate_limit: Option<Rate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) cert: Option<String>,
    pub(super) cert_file: Option<String>,
    pub(super) key: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) client_ca_file: Option<String>,
    pub(super) client_auth_type: Option<ClientAuth>,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) min_version: Option<Version>,
    pub(super) max_version: Option<Version>,
    pub(super) cipher_suites: Option<Vec<Cipher>>,
    pub(super) curve_preferences: Option<Vec<Curve>>,
    pub(super) prefer_server_cipher_suites: bool,
}

impl Default for Tls {
    fn default() -> Self {
        Tls {
            cert: None,
            cert_file: None,
            key: None,
            key_file: None,
            client_ca: None,
            client_ca_file: None,
            client_auth_type: None,
            client_allowed_sans: None,
            min_version: None,
            max_version: None,
            cipher_suites: None,
            curve_preferences: None,
            prefer_server_cipher_suites: true,
        }
    }
}

/// By the names of Go's `tls.ClientAuthType`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub(super) enum ClientAuth {
    #[default]
    #[serde(alias = "")]
    NoClientCert,
    RequestClientCert,
    #[serde(alias = "RequireClientCert")]
    RequireAnyClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    #[serde(rename = "TLS10")]
    Tls10,
    #[serde(rename = "TLS11")]
    Tls11,
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

/// By the names of Go's `tls.CipherSuites`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[allow(non_camel_case_types, reason = "the names of the file")]
#[allow(clippy::upper_case_acronyms, reason = "the names of the file")]
pub(super) enum Cipher {
    TLS_AES_128_GCM_SHA256,
    TLS_AES_256_GCM_SHA384,
    TLS_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
    TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
    TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
    TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) enum Curve {
    CurveP256,
    CurveP384,
    CurveP521,
    X25519,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    /// Read and not used: the server speaks HTTP/1.1 alone.
    #[allow(dead_code, reason = "a file that has it is to be read")]
    pub(super) http2: bool,
    pub(super) headers: Option<Headers>,
}

impl Default for Http {
    fn default() -> Self {
        Http { http2: true, headers: None }
    }
}

/// The headers that can be added to responses. Those that are empty are left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Headers {
    #[serde(rename = "Content-Security-Policy")]
    pub(super) content_security_policy: Option<String>,
    #[serde(rename = "X-Frame-Options")]
    pub(super) x_frame_options: Option<FrameOptions>,
    #[serde(rename = "X-Content-Type-Options")]
    pub(super) x_content_type_options: Option<ContentTypeOptions>,
    #[serde(rename = "X-XSS-Protection")]
    pub(super) x_xss_protection: Option<String>,
    #[serde(rename = "Strict-Transport-Security")]
    pub(super) strict_transport_security: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) enum FrameOptions {
    #[serde(rename = "")]
    Unset,
    #[serde(rename = "deny")]
    Deny,
    #[serde(rename = "sameorigin")]
    SameOrigin,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(super) enum ContentTypeOptions {
    #[serde(rename = "")]
    Unset,
    #[serde(rename = "nosniff")]
    NoSniff,
}

/// The name of a user.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct User(pub(super) String);

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name.contains(':') {
            return Err(de::Error::custom("basic authentication cannot send a user's name with a colon"));
        }
        Ok(User(name))
    }
}

/// A password's hash, as bcrypt writes it.
pub(super) struct Hash(pub(super) String);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hash = String::deserialize(deserializer)?;
        match hash.parse::<bcrypt::HashParts>() {
            Ok(_) => Ok(Hash(hash)),
            // Without the hash itself: it may be a password by mistake.
            Err(_) => Err(de::Error::custom("the password is not a hash of bcrypt")),
        }
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hash")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rate {
    pub(super) interval: Interval,
    pub(super) burst: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interval(pub(super) Duration);

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_interval(&text)
            .map(Interval)
            .ok_or_else(|| de::Error::custom("an interval is such as 500ms, 1s or 1m30s"))
    }
}

/// A duration as Go writes it: numbers with units, one after the other. `0` needs none.
fn parse_interval(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, after) = rest.split_at(number);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        seconds += value.parse::<f64>().ok()? * unit;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

/// Why a text is no such file.
#[derive(Debug, PartialEq)]
pub(super) struct Malformed {
    /// From 1 on.
    pub(super) line: Option<u64>,
    pub(super) message: String,
}

/// Reads a file's text, without what it refers to.
pub(super) fn parse(text: &[u8]) -> Result<File, Malformed> {
    let text =
        std::str::from_utf8(text).map_err(|_| Malformed { line: None, message: "the file is not UTF-8".to_owned() })?;
    match serde_saphyr::from_str::<Option<File>>(text) {
        Ok(file) => Ok(file.unwrap_or_default()),
        Err(error) => Err(Malformed {
            line: error.location().map(|location| location.line()),
            // The snippet could be of a private key.
            message: error.without_snippet().to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed(text: &str) -> Malformed {
        parse(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn a_file_of_everything_is_read() {
        let file = parse(
            b"tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: ca.crt\n  \
            client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [a.test, 10.0.0.1]\n  \
            min_version: TLS12\n  max_version: TLS13\n  \
            cipher_suites:\n  - TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\n  prefer_server_cipher_suites: false\n  \
            curve_preferences: [X25519, CurveP256]\n\
            http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    \
            Strict-Transport-Security: max-age=60\n\
            basic_auth_users:\n  alice: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n\
            rate_limit:\n  interval: 1m30s\n  burst: 20\n",
        )
        .unwrap();
        let tls = file.tls_server_config.unwrap();
        assert_eq!(tls.cert_file.as_deref(), Some("server.crt"));
        assert_eq!(tls.client_auth_type, Some(ClientAuth::RequireAndVerifyClientCert));
        assert_eq!(tls.client_allowed_sans.unwrap(), ["a.test", "10.0.0.1"]);
        assert_eq!((tls.min_version, tls.max_version), (Some(Version::Tls12), Some(Version::Tls13)));
        assert_eq!(tls.cipher_suites.unwrap(), [Cipher::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]);
        assert_eq!(tls.curve_preferences.unwrap(), [Curve::X25519, Curve::CurveP256]);
        assert!(!tls.prefer_server_cipher_suites);
        let headers = file.http_server_config.unwrap().headers.unwrap();
        assert_eq!(headers.x_frame_options, Some(FrameOptions::Deny));
        assert_eq!(headers.strict_transport_security.as_deref(), Some("max-age=60"));
        assert!(file.basic_auth_users.unwrap().contains_key(&User("alice".to_owned())));
        let rate = file.rate_limit.unwrap();
        assert_eq!((rate.interval.0, rate.burst), (Duration::from_secs(90), 20));
    }

    #[test]
    fn empty_files_and_sections_ask_for_nothing() {
        for text in ["", "\n", "# nothing\n", "---\n", "tls_server_config:\nbasic_auth_users:\n", "rate_limit: {}\n"] {
            let file = parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
            assert!(file.tls_server_config.is_none() && file.basic_auth_users.is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, line, word) in [
            ("tls_server_config:\n  cert_file: a\n  certfile: b\n", 3, "certfile"),
            ("tls_server_configs: {}\n", 1, "tls_server_configs"),
            ("rate_limit:\n  burst: 1\n  bursts: 2\n", 3, "bursts"),
            ("tls_server_config:\n  min_version: TLS14\n", 2, "TLS14"),
            ("tls_server_config:\n  min_version: 1.2\n", 2, "1.2"),
            ("tls_server_config:\n  cipher_suites:\n  - TLS_RSA_WITH_NULL\n", 3, "TLS_RSA_WITH_NULL"),
            ("tls_server_config:\n  curve_preferences: [CurveP257]\n", 2, "CurveP257"),
            ("tls_server_config:\n  client_auth_type: Sometimes\n", 2, "Sometimes"),
            ("http_server_config:\n  headers:\n    X-Other: 1\n", 3, "X-Other"),
            ("http_server_config:\n  headers:\n    X-Frame-Options: allow\n", 3, "allow"),
            ("http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n", 3, "sniff"),
            ("basic_auth_users:\n  alice: secret\n", 2, "bcrypt"),
            ("basic_auth_users:\n  a:b: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n", 2, "colon"),
            ("rate_limit:\n  interval: 10\n", 2, "500ms"),
            ("rate_limit:\n  burst: -1\n", 2, ""),
            ("rate_limit:\n  burst: 1\n  burst: 2\n", 3, "burst"),
            ("basic_auth_users: [alice]\n", 1, ""),
            ("tls_server_config: {\n", 1, ""),
        ] {
            let error = malformed(text);
            assert_eq!(error.line, Some(line), "{text:?}: {error:?}");
            assert!(error.message.contains(word), "{text:?}: {error:?}");
        }
        assert_eq!(parse(b"rate_limit: \xff").unwrap_err().line, None);
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        let error = malformed("basic_auth_users:\n  alice: my-secret-password\n");
        assert!(!error.message.contains("my-secret"), "{error:?}");
        let error = malformed("tls_server_config:\n  key: |\n    my-secret\n  kye: |\n    my-secret\n");
        assert!(!error.message.contains("my-secret"), "{error:?}");
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for i in 1..12 {
            let before = format!("*a{}, ", i - 1).repeat(9);
            text += &format!("a{i}: &a{i} [{}]\n", before.trim_end_matches(", "));
        }
        malformed(&text);
        malformed(&"[".repeat(100_000));
    }

    #[test]
    fn intervals_are_as_go_writes_them() {
        let millis = |text| parse_interval(text).map(|interval| interval.as_millis());
        for (text, want) in [("0", 0), ("0s", 0), ("1s", 1_000), ("1.5s", 1_500), ("250ms", 250), ("1h2m3s", 3_723_000)]
        {
            assert_eq!(millis(text), Some(want), "{text}");
        }
        for text in ["", "1", "s", "-1s", "1d", "1s1", "..s", "1 s", "1e3s", "999999999999999999999h"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
