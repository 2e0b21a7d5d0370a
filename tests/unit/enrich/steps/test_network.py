"""Addresses: one canonical form, whatever a proxy or a client calls an address."""

import pytest

from functions.enrich.steps.network import network_step
from tests.unit.enrich.steps.rows import row


@pytest.mark.parametrize(
    ("sent", "ip", "network"),
    [
        ("81.2.69.142", "81.2.69.142", "81.2.69.0/24"),
        ("  81.2.69.142 ", "81.2.69.142", "81.2.69.0/24"),
        ("81.2.69.142:51234", "81.2.69.142", "81.2.69.0/24"),
        ("81.2.69.142, 10.0.0.1", "81.2.69.142", "81.2.69.0/24"),
        ("10.1.2.3, 81.2.69.142", "81.2.69.142", "81.2.69.0/24"),
        ("unknown, 81.2.69.142", "81.2.69.142", "81.2.69.0/24"),
        ("::ffff:81.2.69.142", "81.2.69.142", "81.2.69.0/24"),
        ("2001:0DB8:0000::0001", "2001:db8::1", "2001:db8::/48"),
        ("2001:218:aaaa:bbbb::1", "2001:218:aaaa:bbbb::1", "2001:218:aaaa::/48"),
        ("[2001:218::1]", "2001:218::1", "2001:218::/48"),
        ("[2001:218::1]:443", "2001:218::1", "2001:218::/48"),
        ('"[2001:218::1]:443"', "2001:218::1", "2001:218::/48"),
        ("fe80::1%eth0", "fe80::1", "fe80::/48"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.0/24"),
        ("10.1.2.3", "10.1.2.3", "10.1.2.0/24"),
    ],
)
def test_an_address_gets_its_canonical_form_and_a_network_that_names_no_household(
    sent: str, ip: str, network: str
) -> None:
    assert network_step().run(row(ip=sent)) == {"ip": ip, "network": network}


@pytest.mark.parametrize(
    "sent", ["unknown", "1.2.3", "1.2.3.256", "081.2.69.142", "::1::", "[]", ":80", ",", "x" * 20_000, "1.2.3.4/8", "é"]
)
def test_what_is_no_address_is_dropped_and_flagged(sent: str) -> None:
    found = network_step().run(row(ip=sent, flags=["earlier"]))
    assert found == {"ip": "", "network": "", "flags": ["earlier", "ip_invalid"]}


def test_an_unknown_address_is_not_flagged() -> None:
    assert network_step().run(row(ip="")) == {"ip": "", "network": ""}
