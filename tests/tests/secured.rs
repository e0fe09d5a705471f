//! Prometheus's own programs, as clients of a server with TLS, users and tokens, and as readers of its `web.yml`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use inferometer::Registry;
use inferometer_e2e::prometheus::Prometheus;
use inferometer_e2e::skip::skip;
use inferometer_e2e::wait;
use inferometer_prometheus::{Exporter, Server, WebConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

const LIMIT: Duration = Duration::from_secs(30);

/// Certificates of an authority, a server and a client, and a `web.yml` with these lines.
fn write_files(directory: &Path, web: &str) {
    let write = |name: &str, text: String| fs::write(directory.join(name), text).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    write("ca.crt", authority.pem());
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned(), name.to_owned()]).unwrap();
        write(&format!("{name}.crt"), params.signed_by(&key, &authority).unwrap().pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
    write("web.yml", web.to_owned());
}

/// For alice, whose password is not easy to quote.
const PASSWORD: &str = "p\u{e4}ss:w\u{f6}rd";

fn secured() -> String {
    format!(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\nbasic_auth_users:\n  alice: {}\n",
        bcrypt::hash(PASSWORD, 4).unwrap()
    )
}

fn serve(directory: &Path) -> Server {
    let registry = Registry::new();
    registry.gauge("kv_cache_usage_ratio", &[]).unwrap().set(0.25);
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    exporter.serve_with("127.0.0.1:0", WebConfig::from_file(directory.join("web.yml")).unwrap()).unwrap()
}

#[test]
fn a_live_prometheus_scrapes_with_a_certificate_and_a_password_and_not_without() {
    let directory = tempfile::tempdir().unwrap();
    write_files(directory.path(), &secured());
    let server = serve(directory.path());
    let file = |name: &str| directory.path().join(name).display().to_string();
    let settings = |password: &str, identity: &str| {
        format!(
            "scheme: https\ntls_config: {{ ca_file: {}, server_name: localhost{identity} }}\n\
             basic_auth: {{ username: alice, password: \"{password}\" }}\n",
            file("ca.crt")
        )
    };
    let identity = format!(", cert_file: {}, key_file: {}", file("client.crt"), file("client.key"));
    let cases = [
        (settings(PASSWORD, &identity), None),
        (settings("wrong", &identity), Some("401")),
        (settings(PASSWORD, ""), Some("tls: ")),
    ];
    for (settings, error) in cases {
        let Some(prometheus) = Prometheus::start_to_scrape(&server.local_addr().to_string(), "", &settings) else {
            return;
        };
        match error {
            None => wait::until("a scrape", LIMIT, || match prometheus.query("kv_cache_usage_ratio")?.as_slice() {
                [row] if row.value == 0.25 => Ok(()),
                _ => Err(prometheus.last_error()?),
            }),
            Some(word) => wait::until("a refusal", LIMIT, || match prometheus.last_error()? {
                error if error.contains(word) => Ok(()),
                other => Err(other),
            }),
        }
    }
}

#[test]
fn a_live_prometheus_scrapes_with_a_bearer_token_and_not_with_another() {
    let directory = tempfile::tempdir().unwrap();
    write_files(directory.path(), "");
    for (name, token) in [("right", "uWq7s-fN2x_09b"), ("wrong", "uWq7s-fN2x_09c")] {
        fs::write(directory.path().join(name), format!("{token}\n")).unwrap();
    }
    let registry = Registry::new();
    registry.gauge("kv_cache_usage_ratio", &[]).unwrap().set(0.25);
    let config = WebConfig::from_file(directory.path().join("web.yml")).unwrap();
    let config = config.bearer_token_file(directory.path().join("right")).unwrap();
    let server = Exporter::builder().registry(registry).build().unwrap().serve_with("127.0.0.1:0", config).unwrap();
    for name in ["right", "wrong"] {
        let settings = format!("authorization: {{ credentials_file: {} }}\n", directory.path().join(name).display());
        let Some(prometheus) = Prometheus::start_to_scrape(&server.local_addr().to_string(), "", &settings) else {
            return;
        };
        wait::until(name, LIMIT, || match (name, prometheus.query("kv_cache_usage_ratio")?.as_slice()) {
            ("right", [row]) if row.value == 0.25 => Ok(()),
            ("wrong", []) if prometheus.last_error()?.contains("401") => Ok(()),
            (_, rows) => Err(format!("{rows:?} {}", prometheus.last_error()?)),
        });
    }
}

#[test]
fn promtool_thinks_the_same_of_a_web_yml() {
    let pair = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
    let with = |more: &str| format!("{pair}{more}");
    let hash = bcrypt::hash("secret", 4).unwrap();
    let good = [
        String::new(),
        "tls_server_config:\n".to_owned(),
        pair.to_owned(),
        secured(),
        with("  client_auth_type: \"\"\n"),
        with("  client_auth_type: RequestClientCert\n"),
        with("  client_auth_type: RequireAnyClientCert\n"),
        with("  client_auth_type: RequireClientCert\n"),
        with("  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n"),
        with("  min_version: TLS10\n  max_version: TLS12\n"),
        with("  min_version: TLS13\n"),
        with("  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]\n"),
        with("  cipher_suites: []\n  prefer_server_cipher_suites: false\n"),
        with("  curve_preferences: [CurveP521, X25519, CurveP384, CurveP256]\n"),
        with("http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: sameorigin\n"),
        with(
            "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=1\n    X-XSS-Protection: \"0\"\n",
        ),
        format!("basic_auth_users:\n  alice: {hash}\n  bob: {}\n", hash.replacen("$2b$", "$2y$", 1)),
    ];
    let bad = [
        "tls_server_configs:\n".to_owned(),
        "tls_server_config:\n  cert_file: server.crt\n".to_owned(),
        "tls_server_config:\n  key_file: server.key\n".to_owned(),
        "tls_server_config:\n  cert_file: \"\"\n  key_file: server.key\n".to_owned(),
        "tls_server_config:\n  cert_file: none.crt\n  key_file: server.key\n".to_owned(),
        "tls_server_config:\n  cert_file: server.crt\n  key_file: client.key\n".to_owned(),
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.crt\n".to_owned(),
        with("  certfile: a\n"),
        with("  cert_file: a\n"),
        with("  client_auth_type: Sometimes\n"),
        with("  client_ca_file: ca.crt\n"),
        with("  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: none.crt\n"),
        with("  min_version: TLS14\n"),
        with("  min_version: 1.2\n"),
        with("  cipher_suites: [TLS_RSA_WITH_NULL_SHA]\n"),
        with("  curve_preferences: [CurveP257]\n"),
        with("http_server_config:\n  headers:\n    X-Frame-Options: allow\n"),
        with("http_server_config:\n  headers:\n    X-Content-Type-Options: sniff\n"),
        with("http_server_config:\n  headers:\n    Server: mine\n"),
        "basic_auth_users:\n  alice: secret\n".to_owned(),
        "basic_auth_users: alice\n".to_owned(),
        "{".to_owned(),
    ];
    for (texts, is_good) in [(&good[..], true), (&bad[..], false)] {
        for text in texts {
            let directory = tempfile::tempdir().unwrap();
            write_files(directory.path(), text);
            let path = directory.path().join("web.yml");
            let ours = WebConfig::from_file(&path);
            assert_eq!(ours.is_ok(), is_good, "{text}: {ours:?}");
            let Ok(theirs) = Command::new("promtool").args(["check", "web-config"]).arg(&path).output() else {
                return skip("cannot run promtool: apt-get install prometheus");
            };
            assert_eq!(theirs.status.success(), is_good, "{text}: {}", String::from_utf8_lossy(&theirs.stderr));
        }
    }
}
