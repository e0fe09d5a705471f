//! Users and limits of a `web.yml`.

#[path = "support/web.rs"]
mod web;

use inferometer::Registry;
use inferometer_prometheus::{Exporter, ServeError, Server, WebConfig, WebConfigError};
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};
use web::{Files, basic, connect, get, hash, hash_of_cost, refused, wait_for};

/// A server that lets these users in.
fn serve(users: &[(&str, &str)]) -> (Files, Registry, Server) {
    let files = Files::new();
    write_users(&files, users);
    let (registry, server) = files.serve();
    (files, registry, server)
}

fn write_users(files: &Files, users: &[(&str, &str)]) {
    let users: String = users.iter().map(|(user, password)| format!("  {user}: {}\n", hash(password))).collect();
    files.write("web.yml", &format!("basic_auth_users:\n{users}"));
}

#[test]
fn a_user_with_the_right_password_is_let_in_and_nobody_else() {
    let (_files, registry, server) =
        serve(&[("alice", "secret"), ("bob", "sec:ret"), ("\u{e4}nne", "p\u{e4}ss\u{20ac}")]);
    for (user, password) in
        [("alice", "secret"), ("bob", "sec:ret"), ("\u{e4}nne", "p\u{e4}ss\u{20ac}"), ("alice", "secret")]
    {
        let answer = get(&server, &basic(user, password));
        assert_eq!(answer.status, 200, "{user}");
        assert!(answer.body.contains("\nrequests_total 3\n"));
    }
    let wrong = [
        String::new(),
        basic("alice", "wrong"),
        basic("alice", ""),
        basic("alice", "secret "),
        basic("alice", "Secret"),
        basic("bob", "secret"),
        basic("carol", "secret"),
        basic("", ""),
        basic("Alice", "secret"),
        basic("\u{e4}nne", "pass"),
        "Authorization: Basic\r\n".to_owned(),
        "Authorization: Basic !\r\n".to_owned(),
        "Authorization: Bearer secret\r\n".to_owned(),
        format!("{}{}", basic("alice", "secret"), basic("alice", "secret")),
        format!("Proxy-{}", basic("alice", "secret")),
    ];
    for headers in &wrong {
        let answer = get(&server, headers);
        assert_eq!(answer.status, 401, "{headers:?}");
        assert!(answer.head.contains("\r\nwww-authenticate: basic"), "{}", answer.head);
        assert!(!answer.body.contains("requests_total"));
    }
    assert_eq!(refused(&registry, "unauthorized"), wrong.len() as u64);
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn a_bearer_token_lets_in_and_nothing_that_is_like_it() {
    let files = Files::new();
    files.write("web.yml", "");
    files.write("token", "s3cret-token\n");
    let (registry, server) = files.serve_with_token();
    for headers in [bearer("s3cret-token"), "authorization: bEARER   s3cret-token \r\n".to_owned()] {
        assert_eq!(get(&server, &headers).status, 200, "{headers:?}");
    }
    let wrong = [
        String::new(),
        bearer(""),
        bearer("s3cret-toke"),
        bearer("s3cret-token2"),
        bearer("S3cret-token"),
        bearer("s3cret-token s3cret-token"),
        basic("alice", "s3cret-token"),
        basic("", "s3cret-token"),
        "Authorization: s3cret-token\r\n".to_owned(),
        "Authorization: Token s3cret-token\r\n".to_owned(),
        bearer("s3cret-token").repeat(2),
    ];
    for headers in &wrong {
        let answer = get(&server, headers);
        assert_eq!(answer.status, 401, "{headers:?}");
        assert!(answer.head.contains("\r\nwww-authenticate: bearer"), "{}", answer.head);
    }
    assert_eq!(refused(&registry, "unauthorized"), wrong.len() as u64);
    // Another token is in force without a restart, and one that is none is not.
    files.write("token", "other");
    wait_for(|| get(&server, &bearer("other")).status == 200);
    assert_eq!(get(&server, &bearer("s3cret-token")).status, 401);
    files.write("token", "\n");
    let failures = || registry.snapshot().counter("inferometer_web_config_reload_failures_total", &[]);
    wait_for(|| get(&server, &bearer("other")).status == 200 && failures() == Some(1));
    assert_eq!(get(&server, &bearer("")).status, 401);
}

#[test]
fn users_and_a_bearer_token_stand_beside_each_other() {
    let files = Files::new();
    write_users(&files, &[("alice", "secret")]);
    files.write("token", "t");
    let (_registry, server) = files.serve_with_token();
    for headers in [bearer("t"), basic("alice", "secret")] {
        assert_eq!(get(&server, &headers).status, 200, "{headers:?}");
    }
    for headers in [bearer("secret"), basic("alice", "t"), basic("t", "")] {
        let answer = get(&server, &headers);
        assert_eq!(answer.status, 401, "{headers:?}");
        for scheme in ["basic", "bearer"] {
            assert!(answer.head.contains(&format!("\r\nwww-authenticate: {scheme}")), "{}", answer.head);
        }
    }
}

#[test]
fn a_file_without_a_token_is_a_typed_error() {
    let files = Files::new();
    files.write("web.yml", "");
    let read = || WebConfig::from_file(files.path("web.yml")).unwrap().bearer_token_file(files.path("token"));
    assert!(matches!(read(), Err(WebConfigError::Read { path, .. }) if path == files.path("token")));
    for text in ["", "\n", "two words", "p\u{e4}ss", "a\nb"] {
        files.write("token", text);
        let error = read().unwrap_err();
        assert!(matches!(&error, WebConfigError::Token { path } if *path == files.path("token")), "{error:?}");
        assert!(error.to_string().ends_with("token does not hold a bearer token"), "{error}");
    }
    files.write("token", "s3cret-token");
    assert!(!format!("{:?}", read().unwrap()).contains("s3cret"));
}

#[test]
fn every_path_needs_a_password() {
    let (_files, _registry, server) = serve(&[("alice", "secret")]);
    for path in ["/metrics", "/health", "/", "/other"] {
        for method in ["GET", "HEAD", "POST"] {
            let mut socket = connect(server.local_addr());
            write!(socket, "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 401 "), "{method} {path}: {answer}");
        }
    }
}

/// CVE-2022-46146: what was remembered of one login let in another.
#[test]
fn a_login_that_is_remembered_lets_in_nobody_else() {
    let (_files, _registry, server) = serve(&[("alice", "b:c"), ("alice2", "x")]);
    assert_eq!(get(&server, &basic("alice", "b:c")).status, 200);
    let hash = hash("b:c");
    for (user, password) in [
        ("alice", "b"),
        ("alice", "c"),
        ("alice", "b:c:"),
        ("", "alice:b:c"),
        ("alice2", "b:c"),
        ("ali", "ce:b:c"),
        ("alice", &hash),
        ("alice", &format!("{hash}:b:c")),
        (&format!("alice:{hash}"), "b:c"),
    ] {
        assert_eq!(get(&server, &basic(user, password)).status, 401, "{user} {password}");
    }
}

#[test]
fn long_passwords_and_headers_are_bounded() {
    let long = "x".repeat(72);
    let (_files, _registry, server) = serve(&[("alice", &long)]);
    assert_eq!(get(&server, &basic("alice", &long)).status, 200);
    assert_eq!(get(&server, &basic("alice", &long[1..])).status, 401);
    // Bcrypt knows 72 bytes, wherever it is used.
    assert_eq!(get(&server, &basic("alice", &format!("{long}more"))).status, 200);
    assert_eq!(get(&server, &basic("alice", &"y".repeat(4_000))).status, 401);

    let mut socket = connect(server.local_addr());
    let request = format!("GET /metrics HTTP/1.1\r\nHost: a\r\n{}\r\n", basic("alice", &"x".repeat(1 << 20)));
    let start = Instant::now();
    // The server may close before it has read all.
    let _ = socket.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_unknown_user_takes_as_long_as_a_wrong_password() {
    // A cost at which a comparison takes longer than everything else of a scrape.
    let files = Files::new();
    files.write("web.yml", &format!("basic_auth_users:\n  alice: {}\n", hash_of_cost("secret", 7)));
    let (_registry, server) = files.serve();
    let time = |user: &str| {
        let start = Instant::now();
        assert_eq!(get(&server, &basic(user, "wrong")).status, 401);
        start.elapsed()
    };
    let nothing = || {
        let start = Instant::now();
        assert_eq!(get(&server, "").status, 401);
        start.elapsed()
    };
    let (mut known, mut unknown, mut none) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..31 {
        known.push(time("alice"));
        unknown.push(time("bob"));
        none.push(nothing());
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    };
    let (known, unknown, none) = (median(&mut known), median(&mut unknown), median(&mut none));
    assert!((0.7..1.4).contains(&(unknown / known)), "{known} {unknown}");
    // The control: without a comparison it is much faster, so that a missing one would be seen.
    assert!(none < known * 0.5, "{none} {known}");
}

#[test]
fn somebody_who_guesses_passwords_does_not_hold_up_a_known_user() {
    let files = Files::new();
    files.write("web.yml", &format!("basic_auth_users:\n  alice: {}\n", hash_of_cost("secret", 9)));
    let (_registry, server) = files.serve();
    let alice = basic("alice", "secret");
    assert_eq!(get(&server, &alice).status, 200);
    thread::scope(|scope| {
        let guesses: Vec<_> = (0..12)
            .map(|i| {
                scope.spawn({
                    let server = &server;
                    move || get(server, &basic("alice", &format!("guess {i}"))).status
                })
            })
            .collect();
        let mut beside = 0;
        while guesses.iter().any(|guess| !guess.is_finished()) {
            let start = Instant::now();
            assert_eq!(get(&server, &alice).status, 200);
            assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
            beside += 1;
        }
        assert!(beside >= 3, "only {beside} scrapes beside the guesses");
        for guess in guesses {
            assert_eq!(guess.join().unwrap(), 401);
        }
    });
}

#[test]
fn a_password_that_is_not_compared_in_time_gets_a_503() {
    let files = Files::new();
    files.write("web.yml", &format!("basic_auth_users:\n  alice: {}\n", hash_of_cost("secret", 12)));
    let (_registry, server) = files.serve_built(|builder| builder.response_timeout(Duration::from_millis(30)));
    assert_eq!(get(&server, &basic("alice", "secret")).status, 503);
}

#[test]
fn users_are_changed_without_a_restart_also_on_a_connection_that_stays() {
    let (files, _registry, server) = serve(&[("alice", "old")]);
    let mut kept = connect(server.local_addr());
    let mut again = || {
        write!(kept, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n{}\r\n", basic("alice", "old")).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            kept.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        String::from_utf8(answer[9..12].to_vec()).unwrap()
    };
    assert_eq!(again(), "200");
    write_users(&files, &[("alice", "new")]);
    wait_for(|| get(&server, &basic("alice", "new")).status == 200);
    assert_eq!(again(), "401");
}

#[test]
fn requests_past_the_rate_are_refused_and_counted() {
    let files = Files::new();
    files.write("web.yml", "rate_limit:\n  interval: 1h\n  burst: 3\n");
    let (registry, server) = files.serve();
    let statuses: Vec<u16> = (0..5).map(|_| get(&server, "").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(refused(&registry, "rate_limited"), 2);
}

#[test]
fn the_headers_of_the_file_are_in_every_response() {
    let files = Files::new();
    let headers = "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n    \
        Content-Security-Policy: default-src 'none'\n    X-XSS-Protection: \"\"\n    X-Content-Type-Options: \"\"\n";
    files.write("web.yml", &format!("{headers}basic_auth_users:\n  alice: {}\n", hash("secret")));
    let (_registry, server) = files.serve();
    for (headers, status) in [(basic("alice", "secret"), 200), (String::new(), 401)] {
        let answer = get(&server, &headers);
        assert_eq!(answer.status, status);
        assert!(answer.head.contains("\r\nx-frame-options: deny"), "{}", answer.head);
        assert!(answer.head.contains("\r\ncontent-security-policy: default-src 'none'"), "{}", answer.head);
        assert!(!answer.head.contains("x-xss-protection"), "{}", answer.head);
        assert!(answer.head.contains("\r\nx-content-type-options: nosniff"), "{}", answer.head);
    }
}

#[test]
fn an_empty_file_asks_for_nothing() {
    let files = Files::new();
    files.write("web.yml", "");
    let (_registry, server) = files.serve();
    assert_eq!(get(&server, "").status, 200);
}

#[test]
fn an_address_that_is_in_use_is_a_typed_error_with_a_web_yml_as_well() {
    let (files, registry, server) = serve(&[("alice", "secret")]);
    let exporter = Exporter::builder().registry(registry).build().unwrap();
    let config = WebConfig::from_file(files.path("web.yml")).unwrap();
    assert!(!format!("{config:?}").contains(&hash("secret")), "{config:?}");
    match exporter.serve_with(server.local_addr(), config) {
        Err(ServeError::Bind { addr, .. }) => assert_eq!(addr, server.local_addr()),
        other => panic!("{other:?}"),
    }
}
