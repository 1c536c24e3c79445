"""Servers that speak MongoDB's protocol, for the `mongodb` connection type.

No package brings a `mongod`; one that is on the machine is used. Else two other implementations are built, each from
its own package registry and once: mongo-java-server, in memory, which knows most of the language of queries and
aggregation but neither sessions nor transactions; and FerretDB over SQLite, which knows less of the language, keeps its
data over a restart and has sessions.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from tests.servers.process import HOST, Missing, Server, program
from tests.tools.found import FOLDER

SOURCES = Path(__file__).parent / "sources"
MINUTES = 60  # seconds in one


class Speaker(Server):
    """A server that answers `ping` by MongoDB's protocol."""

    async def answers(self) -> None:
        from pymongo import AsyncMongoClient

        async with AsyncMongoClient(self.url, serverSelectionTimeoutMS=2000) as client:
            await client.admin.command("ping")

    @property
    def url(self) -> str:
        return f"mongodb://{HOST}:{self.port}/"


class Built(Speaker):
    """One that is built from `sources` into a folder named by what they say, so that a change builds anew."""

    sources: ClassVar[tuple[str, ...]]
    result: ClassVar[str]
    remedy: ClassVar[str]

    @classmethod
    def place(cls, tools: Path = FOLDER) -> Path:
        digest = hashlib.blake2b(b"".join((SOURCES / each).read_bytes() for each in cls.sources), digest_size=6)
        return tools / f"{cls.kind}-{digest.hexdigest()}"

    @classmethod
    def require(cls) -> None:
        if not (cls.place() / cls.result).exists():
            raise Missing(f"no server for {cls.kind} was built ({cls.remedy})")

    @classmethod
    def build(cls, tools: Path) -> None:
        place = cls.place(tools)
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for each in cls.sources:
            shutil.copy(SOURCES / each, place)
        cls.make(place)

    @classmethod
    def make(cls, place: Path) -> None:
        """Build it in `place`, which has the sources."""
        raise NotImplementedError

    def prepare(self) -> None:
        self.data.mkdir()


class MongoDB(Built):
    """A `mongod` of the machine as a replica set of one; mongo-java-server where there is none."""

    kind = "mongodb"
    packages = ("default-jdk-headless", "maven")
    sources = ("Mongo.java", "pom.xml")
    result = "classes/Mongo.class"
    remedy = "it takes a JDK and Maven: apt install default-jdk-headless maven, then: make tools"

    @classmethod
    def require(cls) -> None:
        if program("mongod") is None:
            super().require()

    @classmethod
    def make(cls, place: Path) -> None:
        _run(["mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"], place)
        _run(["javac", "-cp", "lib/*", "-d", "classes", "Mongo.java"], place)

    def command(self) -> Sequence[str]:
        mongod = program("mongod")
        if mongod is not None:
            paths = ("--dbpath", str(self.data), "--replSet", "flow", "--nounixsocket")
            return [mongod, "--bind_ip", HOST, "--port", str(self.port), *paths]
        place = self.place()
        quick = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx768m")
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
        return ["java", *quick, quiet, "-cp", f"{place}/classes:{place}/lib/*", "Mongo", HOST, str(self.port)]

    async def answers(self) -> None:
        if program("mongod") is not None:
            await self._initiated()
        await super().answers()

    async def _initiated(self) -> None:
        """Make a replica set of one of a `mongod` that is none yet, and wait until it may be written to."""
        from pymongo import AsyncMongoClient
        from pymongo.errors import OperationFailure

        async with AsyncMongoClient(self.url, directConnection=True, serverSelectionTimeoutMS=2000) as client:
            members = [{"_id": 0, "host": f"{HOST}:{self.port}"}]
            try:
                await client.admin.command({"replSetInitiate": {"_id": "flow", "members": members}})
            except OperationFailure as error:
                if error.code != 23:  # AlreadyInitialized
                    raise
            told: dict[str, Any] = await client.admin.command("hello")
            if not told["isWritablePrimary"]:
                raise RuntimeError("the replica set has no primary yet")


class FerretDB(Built):
    """FerretDB 1, whose back end is a folder of SQLite files."""

    kind = "ferretdb"
    packages = ("golang-go",)
    sources = ("ferretdb.go",)
    result = "ferretdb"
    remedy = "it takes Go 1.24 or newer, then: make tools"
    module = "github.com/FerretDB/FerretDB@v1.24.2"

    @classmethod
    def make(cls, place: Path) -> None:
        (place / "go.mod").write_text("module flowlang.test/ferretdb\n")
        for words in (["get", cls.module], ["mod", "tidy"], ["build", "-trimpath", "-ldflags=-s -w", "-o", cls.result]):
            _run(["go", *words], place)

    def command(self) -> Sequence[str]:
        return [str(self.place() / self.result), f"{HOST}:{self.port}", str(self.data)]


def _run(words: Sequence[str], folder: Path) -> None:
    """One step of building. One that fails raises `Missing` with the end of what it said."""
    environment = {**os.environ, "CGO_ENABLED": "0"}
    try:
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=20 * MINUTES, check=False
        )
    except OSError as error:
        raise Missing(f"{words[0]} cannot be run: {error}") from error
    if done.returncode:
        raise Missing(f"`{' '.join(words)}` failed: {(done.stdout + done.stderr)[-1500:]}")
