"""How a session is opened: logged in, and set up as every session of FlowLang is."""

from __future__ import annotations

import asyncio
from typing import Any

from flowlang.connections._keepalive import keep_alive
from flowlang.connections.endpoints import unreadable
from flowlang.connections.postgres.config import Settings, tls
from flowlang.connections.postgres.errors import of_opening
from flowlang.connections.postgres.values import AS_TEXT, as_interval, interval_of
from flowlang.connections.postgres.wire import Loop
from flowlang.exceptions import FlowExecutionError


async def opened(settings: Settings) -> Any:
    """A connection of asyncpg. Raises FlowExecutionError with its class; nothing stays open then."""
    import asyncpg

    try:
        driver = await _logged_in(asyncpg, settings)
        try:
            await _set_up(driver)
        except BaseException:
            driver.terminate()
            raise
    except FlowExecutionError:
        raise
    except Exception as error:
        raise of_opening(error) from error
    return driver


async def _logged_in(asyncpg: Any, settings: Settings) -> Any:
    loop = asyncio.get_running_loop()
    try:
        secured = tls(settings)
    except OSError as error:
        raise unreadable(error, "ssl_ca", settings.ssl_ca) from error
    driver = await asyncpg.connect(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        password=settings.password,  # never None: the driver would look for one elsewhere
        database=settings.database,
        ssl=secured,
        direct_tls=False,
        target_session_attrs="any",
        timeout=settings.timeout or 60,
        command_timeout=settings.timeout,
        # Its cache would not see that a table has other columns by now, and COPY would send the old ones.
        statement_cache_size=0,
        server_settings={"application_name": settings.application_name},
        loop=Loop(loop),
    )
    driver._loop = loop  # noqa: SLF001 - it asks asyncio for the current task of the loop
    return driver


async def _set_up(driver: Any) -> None:
    for name in AS_TEXT:
        await driver.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")
    await driver.set_type_codec(
        "interval",
        schema="pg_catalog",
        encoder=as_interval,
        decoder=lambda parts: interval_of(*parts),
        format="tuple",
    )
    _keep_alive(driver)


def _keep_alive(driver: Any) -> None:
    """Let the system notice a server that is gone without a word. The driver has no option for it."""
    import socket

    link = getattr(driver, "_transport", None)
    plug = link.get_extra_info("socket") if link is not None else None
    if plug is not None and plug.family != getattr(socket, "AF_UNIX", None):
        keep_alive(plug)
