//! Kinds of addresses, by IANA's registries of special-purpose addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::refusal::Reason;

/// Where clouds tell a machine its credentials: the metadata services of AWS, Azure, Google,
/// OpenStack and others, of Amazon ECS and EKS, Alibaba, Oracle, Scaleway, Tencent, and Azure's
/// host.
const METADATA_V4: [Ipv4Addr; 8] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(169, 254, 42, 42),
    Ipv4Addr::new(169, 254, 0, 23),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// The same over IPv6: AWS, Amazon EKS, Google, Scaleway, OpenStack.
const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
];

/// True for the address of a service that tells machines of a cloud who they are.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => METADATA_V4.contains(&it),
        IpAddr::V6(it) => METADATA_V6.contains(&it),
    }
}

/// The IPv4 address that packets to an IPv6 address end at: mapped and compatible ones, NAT64
/// (RFC 6052, 8215), 6to4 (RFC 3056).
pub(super) fn embedded(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(address) = address else { return None };
    let v4 = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
    };
    match address.segments() {
        // These two have no IPv4 address in them.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => v4(high, low),
        [0, 0, 0, 0, 0xffff, 0, high, low] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

/// Why an address is not one of the internet; none where it is.
pub(super) fn reason(address: IpAddr) -> Option<Reason> {
    if let Some(inner) = embedded(address) {
        return reason(inner);
    }
    match address {
        IpAddr::V4(it) => of_v4(it),
        IpAddr::V6(it) => of_v6(it),
    }
}

fn of_v4(address: Ipv4Addr) -> Option<Reason> {
    Some(match address.octets() {
        [127, ..] => Reason::Loopback,
        [0, ..] => Reason::Unspecified,
        [169, 254, ..] => Reason::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reason::Private,
        // Shared by the customers of a provider, RFC 6598.
        [100, 64..=127, ..] => Reason::Private,
        [224..=239, ..] => Reason::Multicast,
        // Protocol assignments, documentation, relays of 6to4, benchmarks, and what is of no use.
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reason::Reserved,
        [192, 88, 99, _] | [198, 18 | 19, ..] | [240..=255, ..] => Reason::Reserved,
        _ => return None,
    })
}

fn of_v6(address: Ipv6Addr) -> Option<Reason> {
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reason::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Reason::Loopback,
        [0xfe80..=0xfebf, ..] => Reason::LinkLocal,
        // Unique local, and site-local as it was before that.
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Reason::Private,
        [0xff00..=0xffff, ..] => Reason::Multicast,
        // Teredo and other protocols, documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reason::Reserved,
        // ISATAP: an IPv4 address of a private network in the last four bytes.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Reason::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        // Nothing else is of the internet; NAT64 of one's own network is here as well.
        _ => Reason::Reserved,
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Reason, embedded, is_metadata, reason};

    fn of(text: &str) -> Option<Reason> {
        reason(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn addresses_that_are_not_of_the_internet_have_a_reason() {
        for (text, expected) in [
            ("127.0.0.1", Reason::Loopback),
            ("127.255.255.254", Reason::Loopback),
            ("0.0.0.0", Reason::Unspecified),
            ("0.1.2.3", Reason::Unspecified),
            ("10.0.0.1", Reason::Private),
            ("172.16.0.1", Reason::Private),
            ("172.31.255.255", Reason::Private),
            ("192.168.0.1", Reason::Private),
            ("100.64.0.1", Reason::Private),
            ("100.127.255.255", Reason::Private),
            ("169.254.0.1", Reason::LinkLocal),
            ("224.0.0.1", Reason::Multicast),
            ("239.255.255.255", Reason::Multicast),
            ("192.0.0.8", Reason::Reserved),
            ("192.0.2.1", Reason::Reserved),
            ("192.88.99.1", Reason::Reserved),
            ("198.18.0.1", Reason::Reserved),
            ("198.19.255.255", Reason::Reserved),
            ("198.51.100.1", Reason::Reserved),
            ("203.0.113.1", Reason::Reserved),
            ("240.0.0.1", Reason::Reserved),
            ("255.255.255.255", Reason::Reserved),
        ] {
            assert_eq!(of(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn addresses_of_ipv6_are_told_apart_as_well() {
        for (text, expected) in [
            ("::", Reason::Unspecified),
            ("::1", Reason::Loopback),
            ("fe80::1", Reason::LinkLocal),
            ("fc00::1", Reason::Private),
            ("fdff::1", Reason::Private),
            ("fec0::1", Reason::Private),
            ("ff02::1", Reason::Multicast),
            ("2001::1", Reason::Reserved),
            ("2001:db8::1", Reason::Reserved),
            ("3fff::1", Reason::Reserved),
            ("2a00:1450::5efe:a00:1", Reason::Reserved),
            ("100::1", Reason::Reserved),
            ("5f00::1", Reason::Reserved),
            ("64:ff9b:1::a00:1", Reason::Reserved),
            // IPv4 in IPv6: mapped, compatible, translated, NAT64, 6to4.
            ("::ffff:127.0.0.1", Reason::Loopback),
            ("::ffff:10.0.0.1", Reason::Private),
            ("::127.0.0.1", Reason::Loopback),
            ("::ffff:0:10.0.0.1", Reason::Private),
            ("64:ff9b::192.168.0.1", Reason::Private),
            ("2002:a00:1::1", Reason::Private),
            ("2002:7f00:1::", Reason::Loopback),
        ] {
            assert_eq!(of(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn addresses_beside_those_are_of_the_internet() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.167.255.255",
            "192.169.0.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn metadata_services_are_known_in_each_form() {
        for text in ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"] {
            assert!(is_metadata(text.parse().unwrap()), "{text}");
        }
        for text in ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"] {
            let inner = embedded(text.parse().unwrap()).unwrap();
            assert!(is_metadata(inner), "{text}");
        }
        assert!(!is_metadata("169.254.169.253".parse().unwrap()));
    }
}
