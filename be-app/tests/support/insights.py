"""CloudWatch Logs Insights' query language, as far as the saved queries use it: an interpreter for tests.

It isn't AWS's, and no reference for what AWS does: it was written after "CloudWatch Logs Insights language query
syntax" (Amazon CloudWatch Logs user guide), and refuses with `ValueError` any command, function or operator it
doesn't know, so that a query which passes uses nothing but these: `fields`, `filter`, `parse` with a glob,
`stats … by`, `sort`, `limit`; `= != < <= > >= like in and or not`; ispresent, coalesce, bin; count, sum, avg, min,
max, pct.

A field that a line doesn't have is None: no comparison with it is true but `!=`, and statistics leave it out.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from familycorp_ops.figures import percentile

Row = Mapping[str, Any]
Expression = Callable[[Row], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"[^"]*")|(?P<regex>/(?:\\.|[^/\\])+/)|(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd]\b)?"""
    r"""|(?P<name>@?[A-Za-z_][\w.]*)|(?P<sign><=|>=|!=|[=<>(),\[\]*]))"""
)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_STATISTICS: Mapping[str, Callable[[list[Any]], Any]] = {
    "sum": sum,
    "avg": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
}


def run(query: str, lines: Iterable[Row]) -> list[dict[str, Any]]:
    """Return what a query finds in lines of the log, each a row of named values.

    `@timestamp` is a line's own time, in milliseconds, as where Lambda's log format is JSON.
    """
    rows: list[dict[str, Any]] = [
        {**line, "@timestamp": datetime.fromisoformat(line["timestamp"]).timestamp() * 1000} for line in lines
    ]
    shown: list[str] = []
    text = "\n".join(line for line in query.splitlines() if not line.lstrip().startswith("#"))
    for stage in re.split(r"\n\s*\|", text.strip()):
        command, _, rest = stage.strip().partition(" ")
        match command:
            case "fields":
                named = _Parser(rest).named()
                shown = [name for name, _ in named]
                rows = [row | {name: of(row) for name, of in named} for row in rows]
            case "filter":
                holds = _Parser(rest).whole()
                rows = [row for row in rows if holds(row)]
            case "parse":
                rows = [row | _parsed(rest, row) for row in rows]
            case "stats":
                rows, shown = _stats(rest, rows)
            case "sort":
                name, _, order = rest.strip().partition(" ")
                if order not in {"asc", "desc"}:
                    raise ValueError(f"sort {rest}")
                known = [row for row in rows if row.get(name) is not None]
                rows = sorted(known, key=lambda row: row[name], reverse=order == "desc") + [
                    row for row in rows if row.get(name) is None
                ]
            case "limit":
                rows = rows[: int(rest)]
            case _:
                raise ValueError(f"no such command: {command}")
    return [{name: row.get(name) for name in shown} if shown else row for row in rows]


def _parsed(rest: str, row: Row) -> dict[str, Any]:
    found = re.fullmatch(r'([\w.@]+) "([^"]*)" as ([\w, ]+)', rest.strip())
    if not found:
        raise ValueError(f"parse {rest}")
    field, glob, names = found.groups()
    pattern = "(.*?)".join(map(re.escape, glob.split("*")))
    value = re.fullmatch(pattern, str(row[field])) if row.get(field) is not None else None
    given = re.split(r",\s*", names)
    return dict(zip(given, value.groups() if value else [None] * len(given), strict=True))


def _stats(rest: str, rows: Sequence[Row]) -> tuple[list[dict[str, Any]], list[str]]:
    told, _, by = rest.partition(" by ")
    keys = _Parser(by).named() if by else []
    statistics = _Parser(told).statistics()
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(of(row) for _, of in keys), []).append(row)
    names = [name for name, _ in (*statistics, *keys)]
    found = [
        {name: of(group) for name, of in statistics}
        | {name: value for (name, _), value in zip(keys, key, strict=True)}
        for key, group in groups.items()
    ]
    return found, names


class _Parser:
    """Reads one command's expressions."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens = text.strip(), list[tuple[str, str]]()
        at = 0
        while at < len(self._text):
            token = _TOKEN.match(self._text, at)
            if not token:
                raise ValueError(f"not understood: {self._text[at:]}")
            kind = token.lastgroup or ""
            self._tokens.append(("span" if kind == "unit" else kind, token[0].strip()))
            at = token.end()

    def whole(self) -> Expression:
        made = self._any()
        self._end()
        return made

    def named(self) -> list[tuple[str, Expression]]:
        """Read `a, f(b) as c, …`."""
        return self._list(self._value)

    def statistics(self) -> list[tuple[str, Callable[[Sequence[Row]], Any]]]:
        """Read `count(*) as n, avg(a) as b, …`."""
        return self._list(self._statistic)

    def _list(self, one: Callable[[], Any]) -> list[tuple[str, Any]]:
        found = []
        while True:
            begin = len(self._tokens)
            written = [text for _, text in self._tokens]
            made = one()
            name = "".join(written[: begin - len(self._tokens)])
            if self._take("as"):
                name = self._tokens.pop(0)[1]
            found.append((name, made))
            if not self._take(","):
                self._end()
                return found

    def _take(self, *texts: str) -> str:
        if self._tokens and self._tokens[0][0] in {"name", "sign"} and self._tokens[0][1] in texts:
            return self._tokens.pop(0)[1]
        return ""

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise ValueError(f"{text} is missing in {self._text}")

    def _end(self) -> None:
        if self._tokens:
            raise ValueError(f"not understood in {self._text}: {self._tokens[0][1]}")

    def _any(self) -> Expression:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return lambda row: any(part(row) for part in parts)

    def _all(self) -> Expression:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return lambda row: all(part(row) for part in parts)

    def _one(self) -> Expression:
        if self._take("not"):
            inner = self._one()
            return lambda row: not inner(row)
        if self._take("("):
            inner = self._any()
            self._need(")")
            return inner
        left = self._value()
        sign = self._take("=", "!=", "<", "<=", ">", ">=", "like", "in")
        return self._comparison(left, sign) if sign else left

    def _comparison(self, left: Expression, sign: str) -> Expression:
        if sign == "like":
            pattern = re.compile(self._tokens.pop(0)[1].strip("/"))
            return lambda row: left(row) is not None and bool(pattern.search(str(left(row))))
        if sign == "in":
            self._need("[")
            values = [self._value()({})]
            while self._take(","):
                values.append(self._value()({}))
            self._need("]")
            return lambda row: left(row) in values
        right = self._value()
        if sign == "!=":
            return lambda row: left(row) != right(row)
        compare = _COMPARED[sign]
        return lambda row: None not in {left(row), right(row)} and compare(left(row), right(row))

    def _value(self) -> Expression:
        kind, text = self._tokens.pop(0) if self._tokens else ("", "nothing")
        if kind == "string":
            return lambda _: text[1:-1]
        if kind == "number":
            number = float(text)
            return lambda _: number
        if kind != "name":
            raise ValueError(f"{text} is no value in {self._text}")
        if not self._take("("):
            return lambda row: row.get(text)
        return self._function(text)

    def _function(self, name: str) -> Expression:
        if name == "bin":
            length = self._tokens.pop(0)[1]
            self._need(")")
            span = int(length[:-1]) * _UNITS[length[-1]] * 1000
            return lambda row: datetime.fromtimestamp(
                row["@timestamp"] // span * span / 1000, UTC
            ).isoformat()
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        self._need(")")
        if name == "ispresent":
            return lambda row: values[0](row) is not None
        if name == "coalesce":
            return lambda row: next((found for of in values if (found := of(row)) is not None), None)
        raise ValueError(f"no such function: {name}")

    def _statistic(self) -> Callable[[Sequence[Row]], Any]:
        name = self._tokens.pop(0)[1]
        self._need("(")
        if name == "count" and self._take("*"):
            self._need(")")
            return len
        of = self._value()
        share = self._value()({}) if self._take(",") else None
        self._need(")")
        if name == "pct" and share is not None:
            return _of_present(of, lambda values: percentile(values, share))
        if name in _STATISTICS and share is None:
            return _of_present(of, _STATISTICS[name])
        raise ValueError(f"no such statistic: {name}")


def _of_present(of: Expression, statistic: Callable[[list[Any]], Any]) -> Callable[[Sequence[Row]], Any]:
    def compute(rows: Sequence[Row]) -> Any:
        values = [value for row in rows if (value := of(row)) is not None]
        return statistic(values) if values else None

    return compute
