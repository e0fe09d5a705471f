//! A server with TLS, with real handshakes.

#[path = "support/web.rs"]
mod web;

use inferometer::Buckets;
use inferometer_prometheus::{Exporter, WebConfig, WebConfigError};
use rustls::version::{TLS12, TLS13};
use std::io::{ErrorKind, Read, Write};
use std::thread;
use std::time::{Duration, Instant};
use web::{Authority, Client, Files, PATIENCE, connect, count, get, refused, self_signed, wait_for};

const SHORT: Duration = Duration::from_millis(200);

/// A server's files, signed by the authority, with further lines of `tls_server_config`.
fn files(authority: &Authority, more: &str) -> Files {
    let files = Files::new();
    files.write_pair("server", &authority.sign(&["localhost"]));
    files.write("ca.crt", &authority.certificate());
    files.write("web.yml", &format!("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n{more}"));
    files
}

#[test]
fn metrics_are_served_over_tls_1_2_and_1_3() {
    let authority = Authority::new();
    let files = files(&authority, "");
    let (registry, server) = files.serve();
    for version in [&TLS12, &TLS13] {
        let answer = Client::of(&authority).with_version(version).get(&server, "").unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("\nrequests_total 3\n"), "{}", answer.body);
    }
    // Whom the client does not trust it does not talk to.
    assert!(Client::of(&Authority::new()).get(&server, "").is_err());
    wait_for(|| refused(&registry, "handshake") == 1);
}

#[test]
fn certificate_and_key_can_stand_in_the_file_itself() {
    let authority = Authority::new();
    let pair = authority.sign(&["localhost"]);
    let indent = |text: &str| text.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let files = Files::new();
    let (certificate, key) = (indent(&pair.certificate), indent(&pair.key));
    files.write("web.yml", &format!("tls_server_config:\n  cert: |\n{certificate}  key: |\n{key}"));
    let (_registry, server) = files.serve();
    assert_eq!(Client::of(&authority).get(&server, "").unwrap().status, 200);
}

#[test]
fn versions_before_1_2_are_refused() {
    let authority = Authority::new();
    let (_registry, server) = files(&authority, "  min_version: TLS10\n").serve();
    let answer = |minor_version| {
        // A version, random bytes, no session, ECDHE-ECDSA-AES128-GCM, no compression; and as extensions a curve,
        // its points and a signature of ECDSA.
        let mut hello = vec![3, minor_version];
        hello.extend([7; 32]);
        hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
        hello.extend([0, 22, 0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3]);
        let length = u8::try_from(hello.len()).unwrap();
        let mut socket = connect(server.local_addr());
        socket.write_all(&[0x16, 3, 1, 0, length + 4, 1, 0, 0, length]).unwrap();
        socket.write_all(&hello).unwrap();
        let mut answer = [0; 7];
        socket.read_exact(&mut answer).unwrap();
        answer
    };
    // A fatal alert, that it is the version; and the start of an agreement on what differs in nothing else.
    assert_eq!(answer(2), [21, 3, 3, 0, 2, 2, 70]);
    assert_eq!(answer(3)[..3], [22, 3, 3]);
}

#[test]
fn the_versions_of_the_file_are_kept() {
    let authority = Authority::new();
    for (line, works, fails) in [("  min_version: TLS13\n", &TLS13, &TLS12), ("  max_version: TLS12\n", &TLS12, &TLS13)]
    {
        let (_registry, server) = files(&authority, line).serve();
        assert_eq!(Client::of(&authority).with_version(works).get(&server, "").unwrap().status, 200, "{line}");
        assert!(Client::of(&authority).with_version(fails).get(&server, "").is_err(), "{line}");
    }
}

#[test]
fn the_ciphers_of_the_file_are_kept_and_weak_ones_are_not_offered() {
    use rustls::crypto::ring::cipher_suite as suites;
    let authority = Authority::new();
    let (_registry, server) = files(
        &authority,
        "  cipher_suites:\n  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\n  - TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA\n  \
         curve_preferences: [CurveP521, CurveP256]\n",
    )
    .serve();
    let get = |version, suite| Client::of(&authority).with_version(version).with_suite(suite).get(&server, "");
    assert_eq!(get(&TLS12, suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256).unwrap().status, 200);
    assert!(get(&TLS12, suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384).is_err());
    // Those of TLS 1.3 are not chosen by the file.
    assert_eq!(get(&TLS13, suites::TLS13_CHACHA20_POLY1305_SHA256).unwrap().status, 200);
}

#[test]
fn a_client_needs_a_certificate_of_the_authority_when_one_is_required() {
    let authority = Authority::new();
    let clients = Authority::new();
    let files = files(&authority, "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n");
    files.write("clients.crt", &clients.certificate());
    let (registry, server) = files.serve();
    for version in [&TLS12, &TLS13] {
        let client = Client::of(&authority).with_version(version);
        let with = |pair: &web::Pair| client.clone().with_certificate(pair).get(&server, "");
        assert_eq!(with(&clients.sign(&["prometheus"])).unwrap().status, 200);
        let before = refused(&registry, "handshake");
        assert!(client.get(&server, "").is_err(), "without a certificate");
        assert!(with(&authority.sign(&["prometheus"])).is_err(), "of another authority");
        assert!(with(&self_signed(&["prometheus"])).is_err(), "of nobody");
        assert!(with(&clients.sign_expired(&["prometheus"])).is_err(), "expired");
        wait_for(|| refused(&registry, "handshake") == before + 4);
    }
}

#[test]
fn a_certificate_that_may_be_missing_must_still_be_good() {
    let authority = Authority::new();
    let (_registry, server) =
        files(&authority, "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n").serve();
    let client = Client::of(&authority);
    assert_eq!(client.get(&server, "").unwrap().status, 200);
    assert_eq!(client.clone().with_certificate(&authority.sign(&["a"])).get(&server, "").unwrap().status, 200);
    assert!(client.with_certificate(&self_signed(&["a"])).get(&server, "").is_err());
}

#[test]
fn policies_that_verify_nothing_take_any_certificate_whose_key_the_client_has() {
    let authority = Authority::new();
    let (_registry, server) = files(&authority, "  client_auth_type: RequireAnyClientCert\n").serve();
    for version in [&TLS12, &TLS13] {
        let client = Client::of(&authority).with_version(version);
        assert!(client.get(&server, "").is_err());
        assert_eq!(client.with_certificate(&self_signed(&["a"])).get(&server, "").unwrap().status, 200);
    }
    let (_registry, server) = files(&authority, "  client_auth_type: RequestClientCert\n").serve();
    assert_eq!(Client::of(&authority).get(&server, "").unwrap().status, 200);
}

#[test]
fn a_certificate_must_have_one_of_the_allowed_names_letter_for_letter() {
    let authority = Authority::new();
    let (_registry, server) = files(
        &authority,
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n  client_allowed_sans:\n  \
         - prometheus.test\n  - 10.0.0.1\n  - 2001:db8::1\n  - ops@example.test\n  - spiffe://example.test/prometheus\n",
    )
    .serve();
    let get = |names: &[&str]| Client::of(&authority).with_certificate(&authority.sign(names)).get(&server, "");
    for name in [
        "prometheus.test",
        "10.0.0.1",
        "2001:db8:0::1",
        "email:ops@example.test",
        "uri:spiffe://example.test/prometheus",
    ] {
        assert_eq!(get(&["first.test", name]).unwrap().status, 200, "{name}");
    }
    for name in [
        "other.test",
        "*.test",
        "sub.prometheus.test",
        "10.0.0.2",
        "email:ops@example.tes",
        "uri:spiffe://example.test/x",
    ] {
        assert!(get(&[name]).is_err(), "{name}");
    }
    assert!(get(&[]).is_err());
}

#[test]
fn a_client_that_never_ends_its_handshake_is_cut_off_and_holds_up_nobody() {
    let authority = Authority::new();
    let files = files(&authority, "");
    let (registry, server) = files.serve_built(|builder| builder.header_timeout(SHORT).max_connections(4));
    // Some say nothing, one begins.
    let mut slow = [(); 3].map(|()| connect(server.local_addr()));
    let start = Instant::now();
    slow[0].write_all(&[0x16, 3, 1]).unwrap();
    assert_eq!(Client::of(&authority).get(&server, "").unwrap().status, 200);
    for socket in &mut slow {
        // Closed, with an alert or without.
        let _ = socket.read_to_end(&mut Vec::new());
    }
    let took = start.elapsed();
    assert!(took >= SHORT - Duration::from_millis(20) && took < PATIENCE, "{took:?}");
    wait_for(|| refused(&registry, "handshake") == 3);
}

#[test]
fn http_to_a_port_of_tls_is_closed_and_so_is_tls_to_a_port_of_http() {
    let authority = Authority::new();
    let (_registry, server) = files(&authority, "").serve();
    let mut socket = connect(server.local_addr());
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    match socket.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(!answer.starts_with(b"HTTP/1.1 200") && answer.len() < 100, "{answer:?}");
    assert_eq!(Client::of(&authority).get(&server, "").unwrap().status, 200);

    let plain = Exporter::builder().registry(inferometer::Registry::new()).build().unwrap();
    let plain = plain.serve("127.0.0.1:0").unwrap();
    let start = Instant::now();
    assert!(Client::of(&authority).get(&plain, "").is_err());
    assert!(start.elapsed() < PATIENCE);
    assert_eq!(get(&plain, "").status, 200);
}

#[test]
fn a_client_that_does_not_read_over_tls_is_cut_off_and_counted() {
    let authority = Authority::new();
    let (registry, server) =
        files(&authority, "").serve_built(|builder| builder.response_timeout(SHORT * 5).max_response_bytes(64 << 20));
    let buckets = Buckets::classic_from((1..=20).map(f64::from).collect::<Vec<_>>());
    registry.histogram_with_buckets::<u64>("prompt_tokens", &[("text", &"x".repeat(1 << 20))], &buckets).unwrap();
    let mut lazy = Client::of(&authority).connect(server.local_addr());
    lazy.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let failed = |reason| count(&registry, "inferometer_scrapes_failed_total", &[("reason", reason)]);
    wait_for(|| failed("timed_out") == 1);
    let mut rest = Vec::new();
    let _ = lazy.read_to_end(&mut rest);
    assert!(rest.len() < 20 << 20, "{} bytes", rest.len());
}

#[test]
fn new_certificates_are_served_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = files(&old, "");
    let (registry, server) = files.serve();
    assert_eq!(Client::of(&old).get(&server, "").unwrap().status, 200);
    files.write_pair("server", &new.sign(&["localhost"]));
    wait_for(|| Client::of(&new).get(&server, "").is_ok());
    assert!(Client::of(&old).get(&server, "").is_err());
    assert_eq!(count(&registry, "inferometer_web_config_reload_failures_total", &[]), 0);
}

#[test]
fn a_change_that_makes_no_sense_is_counted_once_and_leaves_the_old_in_force() {
    let authority = Authority::new();
    let files = files(&authority, "");
    let (registry, server) = files.serve();
    let failures = || count(&registry, "inferometer_web_config_reload_failures_total", &[]);
    let scrape = || assert_eq!(Client::of(&authority).get(&server, "").unwrap().status, 200);
    let good = std::fs::read_to_string(files.path("web.yml")).unwrap();
    let key = std::fs::read_to_string(files.path("server.key")).unwrap();

    let mut expected = 0;
    let mut break_and_repair = |break_it: &dyn Fn(), repair: &dyn Fn()| {
        break_it();
        expected += 1;
        wait_for(|| {
            scrape();
            failures() == expected
        });
        // It is looked at again and again, and the failure is the same.
        let end = Instant::now() + Duration::from_millis(1_300);
        while Instant::now() < end {
            scrape();
        }
        assert_eq!(failures(), expected);
        repair();
    };
    let new_pair = || files.write_pair("server", &authority.sign(&["localhost"]));
    let write_good = || files.write("web.yml", &good);
    break_and_repair(&|| files.write("web.yml", "tls_server_config: {certfile: a}\n"), &write_good);
    break_and_repair(&|| std::fs::remove_file(files.path("server.crt")).unwrap(), &|| {});
    // The certificate is there again, and the key is not its own.
    let mixed_pair = || {
        new_pair();
        files.write("server.key", &key);
    };
    break_and_repair(&mixed_pair, &new_pair);
    break_and_repair(&|| files.write("web.yml", "# without TLS\n"), &write_good);
    scrape();
}

#[test]
fn a_file_that_makes_no_sense_is_a_typed_error_that_names_the_field() {
    let authority = Authority::new();
    let pair = "  cert_file: server.crt\n  key_file: server.key\n";
    let bad = [
        ("", "tls_server_config.cert_file", "  min_version: TLS12\n".to_owned()),
        ("", "tls_server_config.cert_file", "  key_file: server.key\n".to_owned()),
        ("", "tls_server_config.key_file", "  cert_file: server.crt\n".to_owned()),
        ("", "tls_server_config.cert_file", "  cert_file: \"\"\n  key_file: server.key\n".to_owned()),
        (pair, "tls_server_config.cert_file", "  cert: abc\n".to_owned()),
        ("", "tls_server_config.cert_file", "  cert_file: web.yml\n  key_file: server.key\n".to_owned()),
        ("", "tls_server_config.key_file", "  cert_file: server.crt\n  key_file: server.crt\n".to_owned()),
        ("", "tls_server_config.cert_file", "  cert_file: server.crt\n  key_file: other.key\n".to_owned()),
        (pair, "tls_server_config.client_auth_type", "  client_ca_file: ca.crt\n".to_owned()),
        (pair, "tls_server_config.client_ca_file", "  client_auth_type: RequireAndVerifyClientCert\n".to_owned()),
        (
            pair,
            "tls_server_config.client_ca_file",
            "  client_auth_type: RequireAndVerifyClientCert\n  client_ca: none\n".to_owned(),
        ),
        (
            pair,
            "tls_server_config.client_allowed_sans",
            "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n  client_allowed_sans: [a]\n"
                .to_owned(),
        ),
        (pair, "tls_server_config.max_version", "  max_version: TLS11\n".to_owned()),
        (pair, "tls_server_config.max_version", "  min_version: TLS13\n  max_version: TLS12\n".to_owned()),
        (
            pair,
            "tls_server_config.cipher_suites",
            "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n".to_owned(),
        ),
        (pair, "tls_server_config.curve_preferences", "  curve_preferences: [CurveP521]\n".to_owned()),
        (pair, "rate_limit.burst", "rate_limit:\n  interval: 1s\n".to_owned()),
        (
            pair,
            "http_server_config.headers.Content-Security-Policy",
            "http_server_config:\n  headers:\n    Content-Security-Policy: \"a\\nb\"\n".to_owned(),
        ),
    ];
    for (before, want, more) in bad {
        let files = files(&authority, "");
        files.write("other.key", &authority.sign(&["localhost"]).key);
        let text = format!("tls_server_config:\n{before}{more}");
        files.write("web.yml", &text);
        match WebConfig::from_file(files.path("web.yml")) {
            Err(error @ WebConfigError::Field { .. }) => {
                let WebConfigError::Field { path, field, message } = &error else { unreachable!() };
                assert_eq!((*field, path), (want, &files.path("web.yml")), "{text}: {message}");
                assert!(error.to_string().contains(want));
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_typed_error_that_names_it() {
    let authority = Authority::new();
    let files = files(&authority, "");
    for (name, field) in [("server.crt", "tls_server_config.cert_file"), ("server.key", "tls_server_config.key_file")] {
        let text = std::fs::read(files.path(name)).unwrap();
        std::fs::remove_file(files.path(name)).unwrap();
        match WebConfig::from_file(files.path("web.yml")) {
            Err(WebConfigError::Read { path, field: named, source }) => {
                assert_eq!((path, named, source.kind()), (files.path(name), Some(field), ErrorKind::NotFound));
            }
            other => panic!("{other:?}"),
        }
        std::fs::write(files.path(name), text).unwrap();
    }
    files.write("server.crt", &"x".repeat(2 << 20));
    assert!(matches!(
        WebConfig::from_file(files.path("web.yml")),
        Err(WebConfigError::Read { source, .. }) if source.kind() == ErrorKind::FileTooLarge
    ));
    match WebConfig::from_file(files.path("none.yml")) {
        Err(WebConfigError::Read { path, field: None, .. }) => assert_eq!(path, files.path("none.yml")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_of_tls_stops_while_a_handshake_is_under_way() {
    let authority = Authority::new();
    let (_registry, server) = files(&authority, "").serve();
    let mut socket = connect(server.local_addr());
    thread::sleep(Duration::from_millis(20));
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < Duration::from_secs(5));
    let _ = socket.read_to_end(&mut Vec::new());
}
