"""CloudWatch's alarms as a plan describes them, and whether given lines of the application make them ring.

Lines are read by the embedded metric format, alarms evaluated as "Using Amazon CloudWatch alarms" says (Amazon
CloudWatch user guide): a statistic for each period, beyond the threshold in so many of the last periods. It is a
model for tests, not CloudWatch: percentiles are exact here, no period is late, and of metric math it knows the sum.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from familycorp_ops.figures import percentile

Line = Mapping[str, Any]

SUM: Final = "SUM(METRICS())"


class Series(NamedTuple):
    """A metric with its dimensions."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]

    def values(self, lines: Iterable[Line]) -> list[float]:
        """Return the values that CloudWatch would take from the lines for exactly these dimensions."""
        return [line[self.metric] for line in lines if "_aws" in line and self._is_told_by(line)]

    def _is_told_by(self, line: Line) -> bool:
        return any(
            directive["Namespace"] == self.namespace
            and any(metric["Name"] == self.metric for metric in directive["Metrics"])
            and any(
                {name: line[name] for name in names} == self.dimensions for names in directive["Dimensions"]
            )
            for directive in line["_aws"]["CloudWatchMetrics"]
        )


class Alarm(NamedTuple):
    """An alarm on one series, or on the sum of several."""

    name: str
    description: str
    series: Sequence[Series]
    statistic: str
    below: bool
    threshold: float
    period_s: int
    times: int
    of: int
    expression: str

    @classmethod
    def of_plan(cls, values: Mapping[str, Any]) -> Self:
        """Read an `aws_cloudwatch_metric_alarm` of a plan."""
        watched = [q["metric"][0] for q in values.get("metric_query") or () if q["metric"]]
        if not watched:
            statistic = values.get("statistic") or values["extended_statistic"]
            watched = [{**values, "stat": statistic}]
        return cls(
            re.sub(r"^familycorp-[a-z]+-", "", values["alarm_name"]),
            values["alarm_description"],
            [Series(w["namespace"], w["metric_name"], w.get("dimensions") or {}) for w in watched],
            watched[0]["stat"],
            values["comparison_operator"] == "LessThanThreshold",
            values["threshold"],
            watched[0]["period"],
            values.get("datapoints_to_alarm") or values["evaluation_periods"],
            values["evaluation_periods"],
            next((q["expression"] for q in values.get("metric_query") or () if q["expression"]), SUM),
        )

    def value(self, lines: Sequence[Line]) -> float | None:
        """Return the statistic of the lines of one period; None where they have no data for it.

        Raises `ValueError` where series are combined in another way than by their sum.
        """
        if self.expression != SUM:
            raise ValueError(f"{self.name} is computed by {self.expression}")
        measured = [values for series in self.series if (values := series.values(lines))]
        return sum(_statistic(self.statistic, values) for values in measured) if measured else None

    def crossed(self, lines: Sequence[Line]) -> bool:
        """Return whether the lines of one period cross the threshold; without data they don't."""
        value = self.value(lines)
        if value is None:
            return False
        return value < self.threshold if self.below else value > self.threshold

    def rings(self, periods: Sequence[Sequence[Line]]) -> bool:
        """Return whether it rings after periods of lines, the last of them last."""
        return sum(map(self.crossed, periods[-self.of :])) >= self.times


def on_dashboard(body: Mapping[str, Any]) -> Iterator[Series]:
    """Yield what the widgets of a dashboard show, but what they compute."""
    for widget in body["widgets"]:
        for row in widget["properties"].get("metrics", ()):
            words = [word for word in row if isinstance(word, str)]
            if words:
                namespace, metric, *pairs = words
                yield Series(namespace, metric, dict(zip(pairs[::2], pairs[1::2], strict=True)))


def _statistic(name: str, values: Sequence[float]) -> float:
    match name:
        case "Sum":
            return sum(values)
        case "Average":
            return sum(values) / len(values)
        case "Maximum":
            return max(values)
    return percentile(values, float(name.removeprefix("p")))
