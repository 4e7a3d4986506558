"""What a request says of where it came from counts only as far as a trusted proxy says it."""

import pytest

from volition.errors import InvalidInputError
from volition.server.clients import Clients, is_forwarded, network_of
from volition.server.settings import ServerSettings, read_settings

PROXY, OTHER, CLIENT = "10.0.0.5", "10.0.0.6", "198.51.100.7"


@pytest.fixture
def clients(tmp_path):
    (tmp_path / "server.toml").write_text('[server]\ntrusted_proxies = ["10.0.0.5", "10.0.0.6", "2001:db8:1::/48"]\n')
    return Clients(read_settings(tmp_path))


@pytest.mark.parametrize(
    ("peer", "said", "address"),
    [
        (CLIENT, "", CLIENT),
        (CLIENT, "192.0.2.1", CLIENT),  # nobody whom we trust says so
        (PROXY, "", PROXY),
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"192.0.2.1, {CLIENT}", CLIENT),  # what the client itself sent stands on the left
        (PROXY, f"192.0.2.1, {CLIENT}, {OTHER}", CLIENT),
        (PROXY, f"{OTHER}, {CLIENT}", CLIENT),  # a client that gives itself out as a proxy
        (PROXY, f"{CLIENT}:4711", CLIENT),
        ("2001:db8:1::9", "[2001:db8:2::1]:4711", "2001:db8:2::1"),
        ("::ffff:10.0.0.5", CLIENT, CLIENT),
        (PROXY, "no address", "no address"),  # counted as one, whatever it is
        (PROXY, f"{CLIENT},,", PROXY),
        ("", CLIENT, ""),
    ],
)
def test_the_address_is_the_last_that_a_trusted_proxy_saw(clients, peer, said, address):
    assert clients.address(peer, {"x-forwarded-for": said}) == address


def test_no_header_counts_where_no_proxy_is_trusted():
    clients = Clients(ServerSettings())
    headers = {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https", "forwarded": "for=192.0.2.1;proto=https"}
    for peer in ("127.0.0.1", "::1", PROXY):
        assert clients.address(peer, headers) == peer
        assert not clients.is_secure("http", peer, headers)


def test_https_is_what_the_connection_the_proxy_or_the_site_says(clients):
    said = {"x-forwarded-proto": "https"}
    assert clients.is_secure("https", CLIENT, {})
    assert clients.is_secure("http", PROXY, said)
    assert not clients.is_secure("http", CLIENT, said)
    assert not clients.is_secure("http", PROXY, {"x-forwarded-proto": "https, http"})
    assert Clients(ServerSettings(url="https://privacy.acme.example")).is_secure("http", CLIENT, {})


@pytest.mark.parametrize(
    "name", ["forwarded", "via", "x-forwarded-for", "x-forwarded-anything", "x-real-ip", "cf-connecting-ip"]
)
def test_every_header_of_a_proxy_is_seen(name):
    assert is_forwarded({"host": "localhost", name: ""})
    assert not is_forwarded({"host": "localhost", "referer": "x"})


def test_addresses_of_one_network_count_as_one():
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") != network_of("192.0.2.2")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[server]\ntrusted_proxies = ["proxy"]', '"proxy" is no address or network'),
        ('[server]\ntrusted_proxies = ["0.0.0.0/0"]', "everybody"),
        ('[server]\ntrusted_proxies = ["10.0.0.1/24"]', "has host bits set"),
        ('[server]\ncertificate_file = "tls.crt"', "go together"),
        ('[sign_in]\nsecond_factor = ["operater"]', 'Did you mean "operator"?'),
        ('[sign_in]\nsecond_factor = ["guest"]', "there is no role"),
        ("[sign_in]\nagain_minutes = 0", "from 1 to 1,440"),
        ("[sign_in]\nagain_minute = 5", 'Did you mean "again_minutes"?'),
    ],
)
def test_a_mistake_in_the_settings_is_told_with_its_line(tmp_path, text, told):
    (tmp_path / "server.toml").write_text(text)
    with pytest.raises(InvalidInputError) as error:
        read_settings(tmp_path)
    assert "server.toml:2:" in str(error.value)
    assert told in str(error.value)
