//! Basic authentication against hashes of bcrypt, and bearer tokens.

use super::file::{Hash, User};
use crate::service::OneAtATime;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::hmac;
use ring::rand::SystemRandom;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A hash of nothing that anybody knows, but for its cost.
const DECOY: (&str, &str) = ("$2b$", "$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi");

/// How many logins are remembered. Bcrypt ignores what a password has after 72 bytes, so that one user can have many.
const REMEMBERED: usize = 256;

/// Who may scrape.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, Hash>,
    /// What the password of an unknown user is compared with, so that it takes as long as that of a known one.
    decoy: String,
}

impl Users {
    pub(super) fn new(users: BTreeMap<User, Hash>) -> Self {
        let cost = |hash: &Hash| hash.0.parse().map_or(0, |parts: bcrypt::HashParts| parts.get_cost());
        let highest = users.values().map(cost).max().unwrap_or(bcrypt::DEFAULT_COST);
        let decoy = format!("{}{highest:02}{}", DECOY.0, DECOY.1);
        Users { hashes: users.into_iter().map(|(User(name), hash)| (name, hash)).collect(), decoy }
    }

    /// Whether anybody may scrape.
    pub(super) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }
}

/// A user's name and password, as a request states them.
#[derive(PartialEq, Eq)]
pub(super) struct Credentials {
    user: String,
    password: Vec<u8>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Who a request says that it is from.
#[derive(PartialEq, Eq)]
pub(super) enum Claim {
    User(Credentials),
    Bearer(Vec<u8>),
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Claim::User(credentials) => f.debug_tuple("User").field(credentials).finish(),
            Claim::Bearer(_) => f.write_str("Bearer"),
        }
    }
}

impl Claim {
    /// What the header `Authorization` says, if there is one and it makes sense.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        match (all.next(), all.next()) {
            (Some(one), None) => Claim::parse(one.as_bytes()),
            _ => None,
        }
    }

    fn parse(header: &[u8]) -> Option<Self> {
        let space = header.iter().position(|&byte| byte == b' ')?;
        let (scheme, rest) = (&header[..space], header[space..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"basic") {
            return Credentials::decode(rest).map(Claim::User);
        }
        scheme.eq_ignore_ascii_case(b"bearer").then(|| Claim::Bearer(rest.to_vec()))
    }
}

impl Credentials {
    /// The name and the password, in base64 with a colon between them, of which the name has none.
    fn decode(encoded: &[u8]) -> Option<Self> {
        let decoded = STANDARD.decode(encoded).ok()?;
        let colon = decoded.iter().position(|&byte| byte == b':')?;
        let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
        Some(Credentials { user, password: decoded[colon + 1..].to_vec() })
    }
}

/// Compares passwords, one at a time: each comparison takes a whole core for a while, on purpose.
#[derive(Debug)]
pub(super) struct Authenticator {
    bcrypt: OneAtATime,
    /// Of what has been found right. Nothing is kept of what was wrong, of which there is no end.
    right: Mutex<HashSet<[u8; 32]>>,
    key: hmac::Key,
}

impl Authenticator {
    pub(super) fn new() -> Option<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?;
        Some(Authenticator { bcrypt: OneAtATime::new("inferometer-auth"), right: Mutex::default(), key })
    }

    /// Whether they are those of a user. Can be given up while it waits.
    pub(super) async fn admits(&self, users: &Users, credentials: Credentials) -> bool {
        let Credentials { user, password } = credentials;
        let hash = users.hashes.get(&user).map(|hash| hash.0.clone());
        let print = hash.as_ref().map(|hash| self.print(&[user.as_bytes(), hash.as_bytes(), &password]));
        if print.is_some_and(|print| self.right().contains(&print)) {
            return true;
        }
        let compared_with = hash.unwrap_or_else(|| users.decoy.clone());
        let same = self.bcrypt.run(move || bcrypt::verify(&password, &compared_with).unwrap_or(false)).await;
        if let Err(error) = &same {
            log::error!("a password for metrics cannot be compared: {error}");
        }
        // A password that is the decoy's would still be nobody's.
        let (Some(print), Ok(true)) = (print, same) else { return false };
        let mut right = self.right();
        if right.len() >= REMEMBERED {
            right.clear();
        }
        right.insert(print);
        true
    }

    /// Whether a token is the right one. How long that takes says nothing about either.
    pub(super) fn is_token(&self, right: &[u8], given: &[u8]) -> bool {
        self.print(&[right]) == self.print(&[given])
    }

    /// A fingerprint that nobody can foresee. Each part is preceded by its length, so that no part can pass for the end
    /// of another. The hash is one of them: a login is worth nothing after a change of the password.
    fn print(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut print = [0; 32];
        print.copy_from_slice(context.sign().as_ref());
        print
    }

    fn right(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.right.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(all: &[(&str, &str)]) -> Users {
        let hash = |password: &str| Hash(bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap().to_string());
        Users::new(all.iter().map(|(user, password)| (User((*user).to_owned()), hash(password))).collect())
    }

    fn admits(authenticator: &Authenticator, users: &Users, user: &str, password: &str) -> bool {
        let credentials = Credentials { user: user.to_owned(), password: password.into() };
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(authenticator.admits(users, credentials))
    }

    #[test]
    fn a_login_is_remembered_and_a_failed_one_is_not() {
        let users = users(&[("alice", "secret")]);
        let authenticator = Authenticator::new().unwrap();
        assert!(!admits(&authenticator, &users, "alice", "wrong"));
        assert!(!admits(&authenticator, &users, "bob", "secret"));
        assert!(authenticator.right().is_empty());
        assert!(admits(&authenticator, &users, "alice", "secret"));
        assert_eq!(authenticator.right().len(), 1);
        assert!(admits(&authenticator, &users, "alice", "secret"));
        assert_eq!(authenticator.right().len(), 1);
    }

    #[test]
    fn a_remembered_login_ends_with_its_password() {
        let authenticator = Authenticator::new().unwrap();
        assert!(admits(&authenticator, &users(&[("alice", "old")]), "alice", "old"));
        assert!(!admits(&authenticator, &users(&[("alice", "new")]), "alice", "old"));
        assert!(!admits(&authenticator, &users(&[]), "alice", "old"));
    }

    #[test]
    fn what_is_remembered_cannot_be_mistaken_for_something_else() {
        let authenticator = Authenticator::new().unwrap();
        let prints: HashSet<_> = [
            ["ab", "c", "d"],
            ["a", "bc", "d"],
            ["a", "b", "cd"],
            ["a:b", "c", "d"],
            ["a", "b:c", "d"],
            ["", "abc", "d"],
            ["abc", "", "d"],
            ["abc", "d", ""],
        ]
        .iter()
        .map(|parts| authenticator.print(&parts.map(str::as_bytes)))
        .collect();
        assert_eq!(prints.len(), 8);
        // Another process has another key.
        let other = Authenticator::new().unwrap();
        assert!(!prints.contains(&other.print(&[b"ab", b"c", b"d"])));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let long = "x".repeat(72);
        let users = users(&[("alice", &long)]);
        let authenticator = Authenticator::new().unwrap();
        for i in 0..REMEMBERED + 10 {
            assert!(admits(&authenticator, &users, "alice", &format!("{long}{i}")));
        }
        assert!(authenticator.right().len() <= REMEMBERED);
    }

    #[test]
    fn the_decoy_costs_as_much_as_the_dearest_password() {
        let hash = |cost| Hash(bcrypt::hash_with_salt("x", cost, [7; 16]).unwrap().to_string());
        let users = Users::new([(User("a".to_owned()), hash(4)), (User("b".to_owned()), hash(6))].into());
        assert_eq!(users.decoy.parse::<bcrypt::HashParts>().unwrap().get_cost(), 6);
    }

    #[test]
    fn credentials_are_read_up_to_the_first_colon() {
        let read = |text: &str| Claim::parse(format!("Basic {}", STANDARD.encode(text)).as_bytes());
        let is = |user: &str, password: &str| {
            Some(Claim::User(Credentials { user: user.to_owned(), password: password.into() }))
        };
        assert_eq!(read("alice:secret"), is("alice", "secret"));
        assert_eq!(read("alice:sec:ret"), is("alice", "sec:ret"));
        assert_eq!(read(":"), is("", ""));
        assert_eq!(read("\u{e4}lice:p\u{e4}ss\u{20ac}"), is("\u{e4}lice", "p\u{e4}ss\u{20ac}"));
        assert_eq!(read("alice"), None);
        assert_eq!(Claim::parse(b"bAsIc   YTpi"), is("a", "b"));
        assert_eq!(Claim::parse(b"bearer  YTpi "), Some(Claim::Bearer(b"YTpi".to_vec())));
        for header in ["", "Basic", "Basic ", "Basic !!!", "Basic YTpi=", "Digest YTpi", "BasicYTpi", "Basic YTpi YTpi"]
        {
            assert_eq!(Claim::parse(header.as_bytes()), None, "{header}");
        }
        let not_utf8 = format!("Basic {}", STANDARD.encode(b"\xff:a"));
        assert_eq!(Claim::parse(not_utf8.as_bytes()), None);
    }

    #[test]
    fn two_headers_contradict_each_other() {
        let mut headers = HeaderMap::new();
        assert_eq!(Claim::of(&headers), None);
        headers.append(AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert!(Claim::of(&headers).is_some());
        headers.append(AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert_eq!(Claim::of(&headers), None);
    }
}
