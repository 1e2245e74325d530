from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import redis
from label_studio_sam2.engine.cache.embedding import MAGIC, PREFIX, VERSION, Embedding, to_bytes
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache, Source
from label_studio_sam2.engine.cache.redis_link import RedisLink
from label_studio_sam2.engine.cache.redis_store import EmbeddingKey, RedisStore
from label_studio_sam2.errors import MediaUnreadable
from label_studio_sam2.types import Size

from tests.fakes import encoding_process
from tests.fakes.eventually import eventually
from tests.fakes.forward_proxy import certificate
from tests.fakes.nginx import free_port
from tests.fakes.odd_redis import odd_redis
from tests.fakes.redis_server import RedisServer, running

KEY = EmbeddingKey("model", "picture")
EMBEDDING = Embedding((np.ones((2, 4, 4), np.float16),), Size(3, 4), "model")
TTL = 60
LOCK_SECONDS = 0.6
"""Short, so that what lapses and what is tried again does so within a test."""


@contextmanager
def replica(url: str) -> Iterator[EmbeddingCache]:
    """A cache with an empty memory, as a freshly started process has it."""
    cache = EmbeddingCache(1 << 20, RedisStore(url, TTL, lock_seconds=LOCK_SECONDS))
    try:
        yield cache
    finally:
        cache.close()


@contextmanager
def process(url: str) -> Iterator[subprocess.Popen[str]]:
    """A replica in another process that asks for the picture, see encoding_process.py."""
    script = Path(encoding_process.__file__)
    child = subprocess.Popen(
        [sys.executable, script, url, str(LOCK_SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def go_on(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def stored(client: redis.Redis) -> bytes:
    chunks: list[bytes] = client.lrange(KEY.name, 0, -1)  # type: ignore[assignment]
    return b"".join(chunks)


def never_encode() -> Embedding:
    raise AssertionError("it is there already")


def test_a_second_process_finds_the_embedding(redis_server: RedisServer) -> None:
    with replica(redis_server.url) as cache:
        assert cache.get_or_encode(KEY, lambda: EMBEDDING)[1] is Source.ENCODED
    with process(redis_server.url) as other:
        assert line(other) == "redis 32"


def test_a_stored_embedding_is_found_while_its_encoder_still_runs(redis_server: RedisServer) -> None:
    with replica(redis_server.url) as cache, replica(redis_server.url) as other:
        cache.get_or_encode(KEY, lambda: EMBEDDING)
        assert other.get_or_encode(KEY, never_encode)[1] is Source.REDIS
        assert other.get_or_encode(KEY, never_encode)[1] is Source.MEMORY


def test_an_embedding_of_full_size_comes_back_from_redis_bit_for_bit(redis_server: RedisServer) -> None:
    shapes = (256, 64, 64), (64, 128, 128), (32, 256, 256)
    draw = np.random.default_rng(0).integers
    features = tuple(draw(0, 1 << 16, shape, np.uint16).view(np.float16) for shape in shapes)
    with replica(redis_server.url) as cache:
        cache.get_or_encode(KEY, lambda: Embedding(features, Size(3, 4), "model"))
    with replica(redis_server.url) as other, redis_server.client() as client:
        again, source = other.get_or_encode(KEY, never_encode)
        assert (client.memory_usage(KEY.name, samples=0) or 0) < 1.01 * again.nbytes
    assert source is Source.REDIS
    assert [array.tobytes() for array in again.features] == [array.tobytes() for array in features]


def test_two_processes_asked_for_the_same_new_picture_encode_it_once(redis_server: RedisServer) -> None:
    with process(redis_server.url) as first, redis_server.client() as client:
        assert line(first) == "encoding"
        with process(redis_server.url) as second:
            attempts = 4  # at the lock: one by the first process, the others by the second, which waits
            eventually(lambda: client.info("commandstats").get("cmdstat_set", {}).get("calls", 0) >= attempts)
            go_on(first)
            assert line(first) == "encoded 32"
            assert line(second) == "redis 32"


def test_a_lock_is_renewed_however_long_the_encode_takes(redis_server: RedisServer) -> None:
    with process(redis_server.url) as encoder, redis_server.client() as client:
        assert line(encoder) == "encoding"
        eventually(lambda: client.info("commandstats").get("cmdstat_evalsha", {}).get("calls", 0) >= 4)
        assert client.pttl(f"{KEY.name}:lock") > 0


def test_the_waiting_process_encodes_when_the_other_dies(redis_server: RedisServer) -> None:
    with process(redis_server.url) as first:
        assert line(first) == "encoding"
        with process(redis_server.url) as second:
            first.kill()
            assert line(second) == "encoding"
            go_on(second)
            assert line(second) == "encoded 32"


def test_a_failed_encode_leaves_no_lock(redis_server: RedisServer) -> None:
    def fail() -> Embedding:
        raise MediaUnreadable("no picture")

    with replica(redis_server.url) as cache, redis_server.client() as client:
        with pytest.raises(MediaUnreadable):
            cache.get_or_encode(KEY, fail)
        assert client.keys() == []
        assert cache.get_or_encode(KEY, lambda: EMBEDDING)[1] is Source.ENCODED


def test_an_embedding_expires_ttl_seconds_after_its_last_use(redis_server: RedisServer) -> None:
    with replica(redis_server.url) as cache:
        cache.get_or_encode(KEY, lambda: EMBEDDING)
    with redis_server.client() as client, replica(redis_server.url) as cache:
        assert 0 < client.ttl(KEY.name) <= TTL
        client.expire(KEY.name, 5)
        assert cache.holds(KEY)
        assert client.ttl(KEY.name) > 5


def damaged(good: bytes) -> bytes:
    return good[:-1] + bytes([good[-1] ^ 1])


def older(good: bytes) -> bytes:
    _, _, length, checksum = PREFIX.unpack_from(good)
    return PREFIX.pack(MAGIC, VERSION - 1, length, checksum) + good[PREFIX.size :]


def of_another_model(good: bytes) -> bytes:
    return to_bytes(Embedding(EMBEDDING.features, EMBEDDING.size, "another"))


@pytest.mark.parametrize(
    "spoil",
    [damaged, older, of_another_model, lambda good: good[:40], lambda good: b"", lambda good: b"foreign"],
    ids=["damaged", "older", "another model's", "truncated", "empty", "foreign"],
)
def test_a_value_that_is_no_embedding_is_a_miss_and_is_replaced(
    redis_server: RedisServer, spoil: Callable[[bytes], bytes]
) -> None:
    with redis_server.client() as client:
        client.rpush(KEY.name, spoil(to_bytes(EMBEDDING)))
        with replica(redis_server.url) as cache:
            assert cache.get_or_encode(KEY, lambda: EMBEDDING)[1] is Source.ENCODED
        assert stored(client) == to_bytes(EMBEDDING)


def test_a_key_of_another_type_is_a_miss_and_is_replaced(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server.client() as client:
        client.set(KEY.name, to_bytes(EMBEDDING))
        with replica(redis_server.url) as cache:
            assert cache.get_or_encode(KEY, lambda: EMBEDDING)[1] is Source.ENCODED
        assert stored(client) == to_bytes(EMBEDDING)
    assert caplog.records == []


def test_who_is_less_patient_encodes_beside_another_replica(redis_server: RedisServer) -> None:
    with replica(redis_server.url) as busy, replica(redis_server.url) as hasty:
        assert busy.store is not None
        assert busy.store.claim(KEY) is None  # it is encoding, and takes its time
        answer = hasty.get_or_encode(KEY, lambda: EMBEDDING, patience=0.1)
        assert answer == (EMBEDDING, Source.ENCODED)


@pytest.mark.parametrize("reply", [b"+OK\r\n", b"-WHAT\r\n", b":1\r\n", b"*1\r\n$-1\r\n"])
def test_something_that_is_no_redis_is_a_miss(reply: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with odd_redis(reply) as odd, replica(odd.url) as cache:
        for picture in "abc":
            answer = cache.get_or_encode(EmbeddingKey("model", picture), lambda: EMBEDDING)
            assert answer == (EMBEDDING, Source.ENCODED)
    assert {record.levelname for record in caplog.records} == {"WARNING"}


@pytest.mark.slow
def test_after_one_slow_answer_redis_is_left_alone_until_it_is_fast_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with odd_redis(seconds=1.1) as odd, replica(odd.url) as cache:
        cache.get_or_encode(KEY, lambda: EMBEDDING)
        assert "takes more than 1 s" in caplog.text
        before = odd.asked - odd.pings
        for picture in "abc":
            cache.get_or_encode(EmbeddingKey("model", picture), lambda: EMBEDDING)
        assert odd.asked - odd.pings == before


def test_closing_while_somebody_asks_fails_nothing(redis_server: RedisServer) -> None:
    link = RedisLink(redis_server.url)

    def close_and_ask(client: redis.Redis) -> object:
        link.close()
        return client.ping()

    link.attempt("answer", close_and_ask)
    assert link.attempt("answer", lambda client: client.ping()) is None


def test_redis_killed_in_the_middle_fails_nothing_and_its_return_is_used(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "label_studio_sam2")
    with replica(redis_server.url) as cache:
        cache.get_or_encode(KEY, lambda: EMBEDDING)
        redis_server.kill()
        for picture in "abcde":
            answer = cache.get_or_encode(EmbeddingKey("model", picture), lambda: EMBEDDING)
            assert answer == (EMBEDDING, Source.ENCODED)
        eventually(lambda: [record.levelname for record in caplog.records] == ["WARNING"])

        redis_server.start()
        assert cache.store is not None
        eventually(lambda: "answers again" in caplog.text)
        assert cache.store.ping() is None
        cache.get_or_encode(EmbeddingKey("model", "new"), lambda: EMBEDDING)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    with replica(redis_server.url) as other:
        assert other.get_or_encode(EmbeddingKey("model", "new"), never_encode)[1] is Source.REDIS


def test_redis_killed_while_another_process_is_waited_for_fails_nothing(redis_server: RedisServer) -> None:
    with process(redis_server.url) as first, redis_server.client() as client:
        assert line(first) == "encoding"
        with process(redis_server.url) as second:
            eventually(lambda: client.info("commandstats").get("cmdstat_set", {}).get("calls", 0) >= 3)
            redis_server.kill()
            assert line(second) == "encoding"
            for child in (first, second):
                go_on(child)
                assert line(child) == "encoded 32"


def test_a_redis_that_was_away_at_the_start_is_used_once_it_comes(redis_server: RedisServer) -> None:
    redis_server.kill()
    with replica(redis_server.url) as cache:
        assert cache.get_or_encode(KEY, lambda: EMBEDDING)[1] is Source.ENCODED
        redis_server.start()
        assert cache.store is not None
        eventually(lambda: cache.store is not None and cache.store.ping() is None)
        cache.get_or_encode(EmbeddingKey("model", "new"), lambda: EMBEDDING)
    with redis_server.client() as client:
        assert client.keys() == [EmbeddingKey("model", "new").name.encode()]


def test_a_restarted_redis_costs_no_miss_where_nobody_asked_meanwhile(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    link = RedisLink(redis_server.url)
    assert link.attempt("answer", lambda client: client.ping())
    redis_server.kill()
    redis_server.start()
    assert link.attempt("answer", lambda client: client.ping())
    assert caplog.records == []
    link.close()


@dataclass
class BlackHole:
    """Takes connections and never says a word; counts them."""

    connections: list[socket.socket] = field(default_factory=list)
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def __enter__(self) -> BlackHole:
        self.thread = Thread(target=self.listen)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()
        for connection in self.connections:
            connection.close()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}?socket_timeout=0.1"

    def listen(self) -> None:
        while True:
            try:
                self.connections.append(self.listener.accept()[0])
            except OSError:
                return


def test_a_silent_redis_is_waited_for_once_and_then_only_by_revive() -> None:
    with BlackHole() as hole:
        link = RedisLink(hole.url)
        for _ in range(50):
            assert link.attempt("answer", lambda client: client.ping()) is None
        eventually(lambda: len(hole.connections) == 1)
        link.revive()
        eventually(lambda: len(hole.connections) == 2)
        assert link.attempt("answer", lambda client: client.ping()) is None
        assert len(hole.connections) == 2
        link.close()


def test_a_silent_redis_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    with BlackHole() as hole, replica(hole.url) as cache:
        for picture in "abcde":
            answer = cache.get_or_encode(EmbeddingKey("model", picture), lambda: EMBEDDING)
            assert answer == (EMBEDDING, Source.ENCODED)
    assert len(caplog.records) == 1


def test_a_full_redis_is_a_miss_and_says_once_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    full = running("--maxmemory", "1", "--maxmemory-policy", "noeviction")
    with full as server, replica(server.url) as cache:
        for picture in "abc":
            answer = cache.get_or_encode(EmbeddingKey("model", picture), lambda: EMBEDDING)
            assert answer == (EMBEDDING, Source.ENCODED)
        assert cache.store is not None
        trouble = cache.store.ping()
    assert trouble is not None
    assert "maxmemory-policy allkeys-lru" in trouble
    assert 1 <= len(caplog.records) <= 2  # it refuses the lock, and what was to be stored


def test_a_wrong_password_says_what_to_set_and_never_the_password(caplog: pytest.LogCaptureFixture) -> None:
    with running("--requirepass", "right") as server, replica(f"unix://:wr0ng@{server.socket}") as cache:
        assert cache.get_or_encode(KEY, lambda: EMBEDDING)[1] is Source.ENCODED
        assert cache.store is not None
        trouble = cache.store.ping()
    assert trouble is not None
    assert "REDIS_URL" in trouble
    assert [record.getMessage() for record in caplog.records] == [trouble]
    assert "wr0ng" not in caplog.text


def test_the_right_password_opens() -> None:
    with running("--requirepass", "right") as server, replica(f"unix://:right@{server.socket}") as cache:
        assert cache.store is not None
        assert cache.store.ping() is None


@pytest.mark.parametrize(
    "url", ["http://:s3cret@host:6379", "redis://:s3cret/x@host:6379", "redis://:s3cret@host:65536", "s3cret"]
)
def test_a_wrong_url_is_named_without_its_password(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with replica(url) as cache:
        assert cache.get_or_encode(KEY, lambda: EMBEDDING)[1] is Source.ENCODED
    assert len(caplog.records) == 1
    assert "REDIS_URL" in caplog.text
    assert "s3cret" not in caplog.text


def test_the_doctor_learns_how_full_redis_is() -> None:
    with running("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru") as server:
        store = RedisStore(server.url, TTL)
        memory = store.memory()
        store.close()
        server.kill()
        out = RedisStore(server.url, TTL)
        assert out.memory() is None
        out.close()
    assert memory is not None
    assert 0 < memory.used < memory.maxmemory == 100 << 20


def test_a_closed_store_answers_nothing_and_raises_nothing(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url, TTL)
    store.put(KEY, EMBEDDING)
    store.close()
    store.close()
    assert store.get(KEY) is None
    assert store.claim(KEY) is None
    store.put(KEY, EMBEDDING)


def test_a_redis_with_a_certificate_of_a_private_authority_is_trusted_where_it_is_named(
    tmp_path: Path,
) -> None:
    pem, port = certificate(tmp_path, "localhost"), free_port()
    tls = ("--tls-port", str(port), "--tls-cert-file", pem, "--tls-key-file", pem, "--tls-ca-cert-file", pem)
    with running(*map(str, tls), "--tls-auth-clients", "no"):
        for authorities, troubled in (("", True), (pem.read_text(), False)):
            link = RedisLink(f"rediss://localhost:{port}", authorities)
            assert link.attempt("answer", lambda client: client.ping()) is (None if troubled else True)
            assert bool(link.trouble) is troubled
            link.close()
