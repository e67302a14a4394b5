//! The ways to write an address that only we can reach, none of which may pass.

use super::*;

/// 127.0.0.1 in numbers as parsers take them.
const LOOPBACK: [&str; 22] = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7F.1",
    "0x7f.0x0.0x0.0x1",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "0x7f.1",
    "127.0x1",
    "127.000.000.001",
    "127.0.0.1.",
    "127。0。0。1",
    "127.0.0.1",
    "①②⑦.⓪.⓪.①",
    "%31%32%37.0.0.1",
    "localhost",
    "LOCALHOST.",
    "a.b.localhost",
];

/// Other addresses that are not for everybody.
const INNER: [&str; 44] = [
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "0x0",
    "10.0.0.1",
    "10.255.255.255",
    "012.0.0.1",
    "0xa.1",
    "167772161",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.257",
    "3232235777",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:8.8.8.8]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2001:0:53aa:64c::]",
    "[fc00::1]",
    "[fe80::1]",
    "[ff02::1]",
];

#[test]
fn no_way_to_write_an_inner_address_passes() {
    let outbound = Outbound::default();
    let mut tried = 0;
    for host in LOOPBACK.iter().chain(&INNER) {
        for url in [format!("http://{host}/"), format!("https://{host}:8443/a?b=c")] {
            tried += 1;
            assert!(outbound.target(&url).is_err(), "{url} passed as {:?}", outbound.target(&url));
        }
    }
    assert!(tried >= 100, "{tried}");
}

#[test]
fn what_is_no_plain_http_url_is_refused() {
    let wrong = [
        "",
        "x",
        "//8.8.8.8/",
        "http:",
        "http://",
        "http:///",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "javascript:alert(1)",
        "http://u@example.org/",
        "http://u:p@example.org/",
        "http://@example.org/",
        "http://example.org@10.0.0.1/",
        "http://example.org\\@10.0.0.1/",
        "http://exa mple.org/",
        "http://example.org/\r\nHost: x",
        " http://example.org/",
        "http://example.org:0/",
        "http://example.org:99999/",
        "http://[::1/",
        "http://%00/",
        "http://a%0d%0ab/",
        "http:example.org@127.0.0.1",
        "http:127.0.0.1",
        "http:/127.0.0.1",
    ];
    for url in wrong {
        assert!(Outbound::default().target(url).is_err(), "{url}");
    }
    assert!(
        Outbound::default().target(&format!("http://example.org/{}", "a".repeat(URL_CHARS_MAX))).is_err()
    );
}

#[test]
fn what_everybody_can_reach_is_taken_apart_as_it_is_dialled() {
    let target = Outbound::default().target("https://Example.ORG:8443/a/b?c=d#e").unwrap();
    assert_eq!((target.https, target.host.as_str(), target.port), (true, "example.org", 8443));
    assert_eq!((target.authority.as_str(), target.path.as_str()), ("example.org:8443", "/a/b?c=d"));
    for url in ["http://8.8.8.8/", "http://[2606:4700::1111]/", "http://172.32.0.1", "http://100.128.0.1"] {
        assert!(Outbound::default().target(url).is_ok(), "{url}");
    }
}

#[test]
fn an_allow_list_has_hosts_suffixes_addresses_and_networks() {
    let outbound = Outbound::parse("hooks.internal, .corp.example,10.1.0.0/16,fd00::/8,192.168.7.7").unwrap();
    for url in ["http://10.1.2.3/", "http://[fd12::1]/", "http://192.168.7.7/", "http://0xa010203/"] {
        assert!(outbound.target(url).is_ok(), "{url}");
    }
    for url in ["http://10.2.0.1/", "http://192.168.7.8/", "http://127.0.0.1/"] {
        assert!(outbound.target(url).is_err(), "{url}");
    }
    let inner: IpAddr = "10.9.9.9".parse().unwrap();
    for (host, allowed) in [
        ("hooks.internal", true),
        ("a.corp.example", true),
        ("x.hooks.internal", false),
        ("evilcorp.example", false),
        ("corp.example", false),
    ] {
        assert_eq!(outbound.allow(host, inner).is_ok(), allowed, "{host}");
    }
    assert_eq!(Outbound::parse("10.0.0.0/99"), None);
    let loopback = Outbound::default().with_loopback();
    assert!(
        loopback.target("http://127.0.0.1:8080/").is_ok() && loopback.target("http://localhost/").is_ok()
    );
    assert!(loopback.target("http://127.0.0.2/").is_err() && loopback.target("http://[::1]/").is_err());
}
