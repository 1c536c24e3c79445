"""A connection type that a command names: its record, or why it cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowlang.exceptions import PluginError

if TYPE_CHECKING:
    from flowlang.connections import PluginRecord
    from flowlang.connections.base import ConnectionPlugin


class Refused(click.ClickException):
    """What was asked for cannot be done with this type: exit code 2."""

    exit_code = 2


def found(name: str) -> PluginRecord:
    """The record of a type, or of the service in a file. Raises `Refused` with a suggestion when there is none."""
    from flowlang.services.project import here

    try:
        return here().info(name)
    except PluginError as error:
        raise Refused(str(error)) from error


def usable(name: str) -> ConnectionPlugin:
    """The prototype of a type that works. Raises `Refused` with the reason otherwise."""
    record = found(name)
    if record.plugin is None or record.problem is not None:
        raise Refused(f"connection type `{name}` ({record.source}) cannot be used: {record.problem}")
    return record.plugin
