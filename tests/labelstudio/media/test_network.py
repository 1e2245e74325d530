from __future__ import annotations

import ipaddress

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.errors import MediaRefused
from label_studio_sam2.labelstudio.media.network import Deadline, Guard, GuardedNetwork, Limits, is_public

PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "192.88.98.1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
INTERNAL = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",
    "64:ff9b:1::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.175.48.1",
    "::ffff:192.88.99.1",
    "64:ff9b::c058:6301",
    "2001:0:7f00:1::8100:ffff",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:0:808:808::f7f7:f7f7",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:20::1",
    "2620:4f:8000::1",
    "5f00::1",
    "100::1",
    "100:0:0:1::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", INTERNAL)
def test_private_and_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_ipv6_dress(ip: ipaddress.IPv4Address) -> None:
    number = int(ip)
    dressed = [
        ipaddress.IPv6Address((0xFFFF << 32) | number),
        ipaddress.IPv6Address((0x64FF9B << 96) | number),
        ipaddress.IPv6Address((0x2002 << 112) | (number << 80)),
    ]
    assert {is_public(str(address)) for address in dressed} == {is_public(str(ip))}


@pytest.mark.parametrize(
    ("entry", "host", "port", "named"),
    [
        ("minio", "minio", 9000, True),
        ("MinIO.", "minio", 9000, True),
        ("minio:9000", "minio", 9000, True),
        ("minio:9000", "minio", 9001, False),
        ("minio:80", "minio", 80, True),
        ("minio:80", "minio", 81, False),
        ("http://minio:9000/", "minio", 9000, True),
        ("10.0.0.5", "10.0.0.5", 80, True),
        ("10.0.0.5", "10.0.0.50", 80, False),
        ("[fd00::5]:9000", "fd00::5", 9000, True),
        ("[fd00::5]:9000", "fd00::5", 80, False),
        ("fd00::5", "fd00::5", 80, True),
        ("minio", "minio.evil.example", 80, False),
        ("minio", "evil-minio", 80, False),
    ],
)
def test_an_allowed_host_is_matched_whole(entry: str, host: str, port: int, named: bool) -> None:
    assert Guard.allowing([entry]).names(host, port) is named


def test_of_a_hosts_addresses_only_the_public_ones_are_connected_to() -> None:
    guard = Guard.allowing([])
    assert guard.addresses("mixed.example", 80, ["10.0.0.1", "8.8.8.8"]) == ["8.8.8.8"]
    with pytest.raises(MediaRefused, match=r"add mixed\.example to MEDIA_ALLOWED_HOSTS"):
        guard.addresses("mixed.example", 80, ["10.0.0.1"])


def test_a_deadline_moves_with_what_arrives_up_to_the_total() -> None:
    time = [0.0]
    deadline = Deadline(Limits(patience=10, slowest=100, total=60), now=lambda: time[0])
    assert deadline.left() == 10
    time[0], deadline.received = 12.0, 500
    assert deadline.left() == 3
    deadline.received = 10**9
    assert deadline.left() == 48


def test_no_connection_is_made_after_the_deadline() -> None:
    time = [0.0]
    deadline = Deadline(Limits(patience=10), now=lambda: time[0])
    network = GuardedNetwork(Guard.allowing(["here"]), deadline, lambda host, port: ["127.0.0.1"])
    time[0] = 11.0
    with pytest.raises(httpcore.ReadTimeout):
        network.connect_tcp("here", 9)
