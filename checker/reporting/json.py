"""The report as JSON, and the schema of it."""

from __future__ import annotations

import msgspec

from checker.model import SCHEMA_VERSION, Report


def render(reports: list[Report]) -> str:
    """One document: the report, or a list of them when several descriptions were checked."""
    value = reports[0] if len(reports) == 1 else reports
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def parse(text: str) -> list[Report]:
    """The reports of a document that :func:`render` wrote. Raises msgspec.MsgspecError when it is anything else."""
    value = msgspec.json.decode(text, type=Report | list[Report])
    reports = value if isinstance(value, list) else [value]
    for report in reports:
        if report.schema_version != SCHEMA_VERSION:
            raise msgspec.ValidationError(f"schema_version is {report.schema_version}, this program reads {SCHEMA_VERSION}")
    return reports


def schema() -> str:
    """The JSON Schema (2020-12) of one report."""
    value = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "vcheck report", **msgspec.json.schema(Report)}
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
