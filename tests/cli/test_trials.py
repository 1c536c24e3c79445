"""`flowlang connection test`: each thing that can be wrong is told at its stage, with the setting to look at."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from tests.cli.conftest import Done
from tests.servers.process import free_port

from flowlang.connections import ConnectionPlugin, plugin_registry
from flowlang.views.trials import trial_text

Call = Callable[..., Done]
CANARY = "canary-4f1d7c"


class Told:
    """The object of `--json`, and its text; the canary is in neither."""

    def __init__(self, cli: Call, *words: str) -> None:
        done = cli("connection", "test", *words, "--json")
        assert CANARY not in done.out + done.err
        self.code, self.record = done.code, json.loads(done.out)
        self.text = trial_text(self.record)
        self.stages = {each["name"]: each for each in self.record["stages"]}
        self.failed = next((each for each in self.record["stages"] if each["status"] == "failed"), None)
        assert self.record["ok"] is (self.failed is None)
        assert self.code == (3 if self.failed else 0)

    def at(self, stage: str, field: str | None, part: str | None = None) -> dict[str, Any]:
        """The stage that failed, which must be this one, with all before it passed and none after it reached."""
        assert self.failed is not None, self.text
        assert (self.failed["name"], self.failed["field"], self.failed["part"]) == (stage, field, part), self.text
        names = list(self.stages)
        at = names.index(stage)
        assert {self.stages[name]["status"] for name in names[:at]} <= {"ok", "skipped"}
        assert {self.stages[name]["status"] for name in names[at + 1 :]} <= {"not_reached"}
        assert self.failed["reason"], self.failed["remedy"]
        assert isinstance(self.failed["ms"], float)
        return self.failed


@pytest.fixture
def tell(cli: Call) -> Callable[..., Told]:
    return lambda *words: Told(cli, *words)


def settings(**given: str) -> list[str]:
    return [word for key, value in given.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture
def listen() -> Iterator[Callable[..., int]]:
    """Starts a server that does `answer` with each link and closes it; gives its port."""
    stops: list[Callable[[], None]] = []

    def start(answer: Callable[[socket.socket], None]) -> int:
        door = socket.create_server(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                try:
                    link, _ = door.accept()
                except OSError:
                    return
                with link:
                    try:
                        answer(link)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()

        def stop() -> None:
            door.shutdown(socket.SHUT_RDWR)
            door.close()
            thread.join()

        stops.append(stop)
        return int(door.getsockname()[1])

    yield start
    for each in stops:
        each()


@pytest.fixture
def secured(listen: Callable[..., int], tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """A server that shakes hands with a certificate of ours: its port, and the file of its authority."""

    def start(name: str, **options: Any) -> tuple[int, str]:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, **options).configure_cert(context)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")

        def answer(link: socket.socket) -> None:
            with context.wrap_socket(link, server_side=True) as safe:
                safe.recv(1000)

        return listen(answer), str(tmp_path / "ca.pem")

    return start


# ---------------------------------------------------------------- all is well


def test_redis_that_can_be_used(tell: Callable[..., Told], redis_url: str) -> None:
    """Every stage passes, in order, each with its time."""
    told = tell("--type", "redis", *settings(url=redis_url))
    assert told.code == 0
    assert list(told.stages) == ["config", "dependencies", "name", "tcp", "tls", "auth", "privilege", "round_trip"]
    passed = ["config", "dependencies", "name", "tcp", "auth", "round_trip"]
    assert [name for name, each in told.stages.items() if each["status"] == "ok"] == passed
    assert all(isinstance(each["ms"], float) for each in told.stages.values())
    assert "it can be used" in told.text


def test_a_connection_of_a_flow(tell: Callable[..., Told], folder: Path, redis_url: str) -> None:
    """Its variables and secrets are looked up; what other connections lack does not matter."""
    parts = urlsplit(redis_url)
    (folder / "s.env").write_text(f"PORT={parts.port}\n")
    (folder / "f.yaml").write_text(
        f"""
        flow: f
        inputs:
          - {{name: number, type: integer, required: true}}
        vars: {{place: "${{env.NOT_SET}}", number: "${{inputs.number}}"}}
        connections:
          other: {{type: redis, url: "${{env.NOT_SET_EITHER}}", key_prefix: "${{vars.place}}"}}
          cache: {{type: redis, url: "redis://{parts.hostname}:${{secrets.PORT}}", database: "${{vars.number}}"}}
        steps: []
        """
    )
    told = tell("cache", "-f", "f.yaml", "--secrets", "s.env", "-i", f"number={parts.path[1:]}")
    assert told.code == 0, told.text
    assert (told.record["connection"], told.record["type"]) == ("cache", "redis")


def test_sqlite_has_a_file_in_place_of_a_network(tell: Callable[..., Told], folder: Path) -> None:
    told = tell("--type", "sqlite", *settings(database="a.db"))
    assert list(told.stages) == ["config", "dependencies", "file", "open", "privilege", "round_trip"]
    assert told.code == 0
    assert tell("--type", "sqlite", *settings(database=":memory:")).code == 0
    told = tell("--type", "sqlite", *settings(database="no/a.db"))
    assert "no folder" in told.at("file", "database")["reason"]
    told = tell("--type", "sqlite", *settings(database="b.db", read_only="true"))
    assert "no file" in told.at("file", "database")["reason"]
    (folder / "text.db").write_text("this is no database at all, as anyone can see")
    told = tell("--type", "sqlite", *settings(database="text.db"))
    assert told.at("open", "database")["error"] == "config"


# ---------------------------------------------------------------- settings and packages


def test_settings_that_do_not_fit(tell: Callable[..., Told], folder: Path) -> None:
    """The stage `config`: a field that is missing, unknown or wrong, a variable that is not set; in a flow with its
    place."""
    assert tell("--type", "redis").at("config", "url")["error"] == "config"
    assert "did you mean `url`" in tell("--type", "redis", *settings(ulr="x")).at("config", "ulr")["remedy"]
    told = tell("--type", "redis", *settings(url="redis://h", socket_timeout="soon"))
    told.at("config", "socket_timeout")
    told = tell("--type", "http", "--set", "base_url=https://a.example", "--set", "auth.type=bearer")
    assert "`token`" in told.at("config", "auth")["reason"]
    (folder / "f.yaml").write_text(
        'flow: f\nconnections:\n  a: {type: redis, url: "${env.NOT_SET_AT_ALL}"}\n'
        "  b:\n    type: redis\n    url: redis://h\n    databse: 1\nsteps: []\n"
    )
    told = tell("b", "-f", "f.yaml")
    assert told.at("config", "databse")["position"] == {"file": "f.yaml", "line": 7, "column": 5}
    (folder / "g.yaml").write_text((folder / "f.yaml").read_text().replace("databse", "database"))
    told = tell("a", "-f", "g.yaml")
    assert "NOT_SET_AT_ALL" in told.at("config", "url")["reason"]
    assert told.failed is not None
    assert told.failed["position"] == {"file": "g.yaml", "line": 3, "column": 25}


class Lacking(ConnectionPlugin):
    """Needs what is not installed; that its connect() is not called is part of the proof."""

    name = "lacking"
    version = "1.0.0"

    def get_config_schema(self) -> dict[str, Any]:
        return {"type": "object", "properties": {"host": {"type": "string"}, "port": {"type": "integer"}}}

    def get_dependencies(self) -> list[str]:
        return ["surely-not-installed-anywhere>=2"]

    async def connect(self, config: dict[str, Any]) -> None:
        raise AssertionError("it was opened")

    async def disconnect(self) -> None:
        return None

    async def get_connection(self) -> None:
        return None


def test_a_driver_that_is_missing(tell: Callable[..., Told]) -> None:
    with plugin_registry.registered(Lacking):
        told = tell("--type", "lacking", *settings(host="localhost", port="1"))
    assert told.at("dependencies", None)["remedy"] == "pip install 'surely-not-installed-anywhere>=2'"


def test_no_driver_is_loaded_before_the_stage_that_needs_it(process: Call, folder: Path) -> None:
    """Up to a port that is closed, only our own code runs."""
    (folder / "look.py").write_text(
        "import sys, atexit\n"
        "drivers = {'redis', 'asyncpg', 'httpx2'}\n"
        "atexit.register(lambda: print('drivers', sorted(drivers & set(sys.modules)), file=sys.stderr))"
    )
    (folder / "sitecustomize.py").write_text("import look\n")
    from tests.cli.conftest import SOURCES

    words = ("connection", "test", "--type", "redis", "--set", f"url=redis://127.0.0.1:{free_port()}")
    done = process(*words, env={"PYTHONPATH": f"{folder}:{SOURCES}"}, fresh=True)
    assert (done.code, done.err) == (3, "drivers []\n")


# ---------------------------------------------------------------- the network


def test_a_name_that_does_not_exist(tell: Callable[..., Told]) -> None:
    told = tell("--type", "redis", *settings(url=f"redis://me:{CANARY}@nowhere.invalid:6379"))
    assert "nowhere.invalid" in told.at("name", "url", "host")["reason"]


def test_a_port_that_is_closed(tell: Callable[..., Told], cli: Call, folder: Path) -> None:
    """As text, too: what was found at each stage, the setting with its place, the remedy, and what was not reached."""
    port = free_port()
    (folder / "f.yaml").write_text(
        f"flow: f\nconnections:\n  c:\n    type: redis\n    url: redis://:{CANARY}@127.0.0.1:{port}\nsteps: []\n"
    )
    told = tell("c", "-f", "f.yaml")
    assert told.at("tcp", "url", "port")["position"] == {"file": "f.yaml", "line": 5, "column": 10}
    done = cli("connection", "test", "c", "-f", "f.yaml")
    assert (done.code, done.err) == (3, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == "c (redis)"
    assert any(line.startswith("failed tcp") and "refuses" in line for line in lines)
    assert "look at `url`, its port at f.yaml:5:10" in lines
    assert "- round trip not reached" in lines
    assert CANARY not in done.out


def test_a_server_that_says_nothing_is_left_in_time(tell: Callable[..., Told], listen: Callable[..., int]) -> None:
    """The whole test ends with `--connect-timeout`, whatever the settings of the type allow."""
    port = listen(lambda link: link.recv(1000) and link.recv(1000))
    told = tell("--type", "redis", *settings(url=f"redis://127.0.0.1:{port}", socket_timeout="60"),
                "--connect-timeout", "2s")  # fmt: skip
    assert told.at("auth", "url", "host")["error"] == "timeout"
    assert "within 2 s" in told.text


# ---------------------------------------------------------------- TLS


def test_a_server_without_tls(tell: Callable[..., Told], redis_url: str) -> None:
    told = tell(
        "--type", "redis", *settings(url=redis_url.replace("redis://", "rediss://", 1)), "--connect-timeout", "2s"
    )
    assert told.at("tls", "url", "scheme")["error"] in ("connect", "timeout")


def test_certificates_that_do_not_hold(tell: Callable[..., Told], secured: Callable[..., tuple[int, str]]) -> None:
    """Expired, for another host, from an unknown authority: each with its own words and setting."""
    past = datetime.datetime(2020, 1, 1)  # noqa: DTZ001 - the library wants it without a zone
    port, ca = secured("localhost", not_before=past, not_after=past + datetime.timedelta(1))
    url = f"rediss://:{CANARY}@localhost:{port}"
    told = tell("--type", "redis", *settings(url=url, tls_ca_file=ca))
    assert "expired" in told.at("tls", "tls_verify")["reason"]
    port, ca = secured("elsewhere.example")
    told = tell("--type", "redis", *settings(url=f"rediss://localhost:{port}", tls_ca_file=ca))
    assert "not for `localhost`" in told.at("tls", "url", "host")["reason"]
    port, ca = secured("localhost")
    told = tell("--type", "redis", *settings(url=f"rediss://localhost:{port}"))
    assert "not trusted" in told.at("tls", "tls_ca_file")["reason"]
    told = tell("--type", "http", *settings(base_url=f"https://localhost:{port}", allow_private="true"))
    told.at("tls", "verify")
    told = tell("--type", "redis", *settings(url=f"rediss://localhost:{port}", tls_ca_file="none.pem"))
    assert told.at("tls", "tls_ca_file")["error"] == "config"


def test_postgres_without_tls(tell: Callable[..., Told], postgres_url: str) -> None:
    """`prefer` goes on without; `require` fails, and names the setting."""
    assert "goes on without" in tell("--type", "postgres", *settings(url=postgres_url)).stages["tls"]["detail"]
    told = tell("--type", "postgres", *settings(url=postgres_url, ssl="require"))
    assert "does not offer TLS" in told.at("tls", "ssl")["reason"]


def test_mysql_is_greeted_before_tls(tell: Callable[..., Told], mysql_url: str) -> None:
    """`preferred` opens with and without; what a wrong account or database is told as comes from the server."""
    told = tell("--type", "mysql", *settings(url=mysql_url))
    assert (told.code, told.stages["tls"]["status"]) == (0, "ok"), told.text
    required = tell("--type", "mysql", *settings(url=mysql_url, ssl_mode="required"))
    if "goes on without" in told.stages["tls"]["detail"]:
        assert "does not offer TLS" in required.at("tls", "ssl_mode")["reason"]
    parts = urlsplit(mysql_url)
    by_parts = {"host": str(parts.hostname), "port": str(parts.port), "user": "nobody", "password": CANARY}
    told = tell("--type", "mysql", *settings(**by_parts, database=parts.path[1:]))
    assert told.at("auth", "password")["error"] == "auth"
    told = tell("--type", "mysql", *settings(url=parts._replace(path="/nowhere").geturl()))
    told.at("auth", "url", "database")


# ---------------------------------------------------------------- accounts and rights


@pytest.fixture
async def guarded(postgres_url: str) -> AsyncIterator[dict[str, str]]:
    """Settings of a role that may not connect to the test's database, by its parts."""
    import asyncpg

    parts = urlsplit(postgres_url)
    role = f"r_{parts.path[1:]}"
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{CANARY}'")
    await admin.execute(f"REVOKE CONNECT ON DATABASE {parts.path[1:]} FROM PUBLIC")
    yield {"host": str(parts.hostname), "port": str(parts.port), "user": role, "password": CANARY,
           "database": parts.path[1:]}  # fmt: skip
    await admin.execute(f"DROP ROLE {role}")
    await admin.close()


def test_a_right_that_is_missing(tell: Callable[..., Told], guarded: dict[str, str]) -> None:
    """Who it is was accepted, what it may was not."""
    told = tell("--type", "postgres", *settings(**guarded))
    assert told.at("privilege", "user")["error"] == "permission"
    assert told.stages["auth"]["status"] == "ok"


def test_a_database_that_is_not_there(tell: Callable[..., Told], postgres_url: str) -> None:
    parts = urlsplit(postgres_url)
    told = tell("--type", "postgres", *settings(url=parts._replace(path="/nowhere").geturl()))
    assert '"nowhere" does not exist' in told.at("auth", "url", "database")["reason"]
    by_parts = {"host": str(parts.hostname), "port": str(parts.port), "user": str(parts.username)}
    told = tell("--type", "postgres", *settings(**by_parts, database="nowhere"))
    assert told.at("auth", "database")["error"] == "not_found"


def test_a_wrong_password(tell: Callable[..., Told], redis_url: str) -> None:
    parts = urlsplit(redis_url)
    told = tell("--type", "redis", *settings(url=f"redis://nobody:{CANARY}@{parts.hostname}:{parts.port}/0"))
    assert told.at("auth", "url", "password")["error"] == "auth"
    told = tell("--type", "redis", *settings(url=redis_url, username="nobody", password=CANARY))
    told.at("auth", "password")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ((), "NAME -f FLOW"),
        (("db",), "NAME -f FLOW"),
        (("-f", "f.yaml"), "which connection"),
        (("db", "-f", "f.yaml", "--type", "redis"), "NAME -f FLOW"),
        (("db", "-f", "f.yaml", "--set", "a=b"), "--type"),
        (("dbb", "-f", "f.yaml"), "did you mean `db`?"),
        (("--type", "rediss"), "did you mean `redis`?"),
        (("--type", "redis", "--connect-timeout", "soon"), "duration"),
        (("db", "-f", "none.yaml"), "none.yaml"),
        (("db", "-f", "broken.yaml"), "stepz"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_tested_is_refused(cli: Call, folder: Path, words: tuple[str, ...], meant: str) -> None:
    (folder / "f.yaml").write_text("flow: f\nconnections: {db: {type: redis, url: 'redis://h'}}\nsteps: []\n")
    (folder / "broken.yaml").write_text("flow: f\nconnections: {db: {type: redis, url: 'redis://h'}}\nstepz: []\n")
    done = cli("connection", "test", *words)
    assert (done.code, done.out) == (2, "")
    assert meant in done.err
