"""Calendars and filters: times as events have them, jobs that exist, and no event that ends before it starts."""

# ruff: noqa: E501 - a case is one line: what the file says, and the fault

import pytest
from settings_files import faults, job, settings_of

from engine.config import CalendarEvent, CalendarSettings

EVENT = "{description: fair, start_time: 2026-11-21, end_time: 2026-11-22}"
SECOND_US = 10**6


def calendar(**told):
    """Write a file of a job and one calendar: a good one, but for what is told."""
    fields = {"calendar_id": "c", "events": f"[{EVENT}]"} | told
    written = ", ".join(f"{key}: {value}" for key, value in fields.items() if value is not None)
    return f"calendars: [{{{written}}}]\n" + job()


def event(**told):
    fields = {"description": "x", "start_time": "0", "end_time": "1"} | told
    written = ", ".join(f"{key}: {value}" for key, value in fields.items() if value is not None)
    return calendar(events=f"[{{{written}}}]")


def test_contract_ELi_18_calendars_are_read(tmp_path):
    content = """\
calendars:
  - {calendar_id: all, description: holidays, events: [{description: "new year", start_time: 2026-01-01, end_time: "2026-01-02T00:00:00+01:00"}]}
  - {calendar_id: one, job_ids: [j], events: [{description: a, start_time: 1700000000000, end_time: 1700000000000.5},
                                              {description: b, start_time: -1.5e3, end_time: 0}]}
"""
    day_us = 1_767_225_600 * SECOND_US
    assert settings_of(tmp_path, content + job()).calendars == (
        CalendarSettings(
            "all",
            (CalendarEvent("new year", day_us, day_us + 23 * 3_600 * SECOND_US),),
            description="holidays",
        ),
        CalendarSettings(
            "one",
            (
                CalendarEvent("a", 1_700_000_000 * SECOND_US, 1_700_000_000 * SECOND_US + 500),
                CalendarEvent("b", -1_500_000, 0),
            ),
            ("j",),
        ),
    )


TIME = "must be ISO 8601 such as 2026-11-21T10:00:00Z, or epoch milliseconds, years 1 to 9999"
IDS = "must be 1 to 256 of a to z, 0 to 9, _ and -, with a letter or digit at both ends"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("calendars: {}", "calendars must be a list, got a mapping"),
        ("calendars: [a]", 'calendars[0] must be a mapping of keys to values, got "a"'),
        (calendar(calendar_id=None), "calendars[0].calendar_id must be given, got nothing"),
        (calendar(calendar_id="A"), f'calendars[0].calendar_id {IDS}, got "A"'),
        (calendar(events=None), "calendars[0].events must be given, got nothing"),
        (calendar(events="[]"), "calendars[0].events must be a list of one event or more, got a list of 0"),
        (calendar(job_ids="[]"), "calendars[0].job_ids must be a list of one job or more, or left out for all jobs, got a list of 0"),
        (calendar(job_ids="[jj]"), 'calendars[0].job_ids[0] must be one of `anomaly_jobs`, got "jj"; did you mean "j"?'),
        (calendar(job_ids="[j, j]"), 'calendars[0].job_ids[1] must be there once, got "j" again'),
        (calendar(jobs="[j]"), '`calendars[0].jobs` is not a known key; did you mean "job_ids"?'),
        (event(description=None), "calendars[0].events[0].description must be given, got nothing"),
        (event(start_time=None), "calendars[0].events[0].start_time must be given, got nothing"),
        (event(end_time="tomorrow"), f'calendars[0].events[0].end_time {TIME}, got "tomorrow"'),
        (event(end_time="'1700000000000'"), f'calendars[0].events[0].end_time {TIME}, got "1700000000000"'),
        (event(end_time="1e999"), f"calendars[0].events[0].end_time {TIME}, got 1e999"),
        (event(end_time="1e17"), f"calendars[0].events[0].end_time {TIME}, got 1e17"),
        (event(end_time="null"), f"calendars[0].events[0].end_time {TIME}, got null"),
        (event(end_time="0"), "calendars[0].events[0].end_time must be after start_time=0, got 0"),
        (event(start_time="2026-01-02", end_time="2026-01-01"), 'calendars[0].events[0].end_time must be after start_time="2026-01-02", got "2026-01-01"'),
        (event(force_time_shift=3600), "`calendars[0].events[0].force_time_shift` is not supported: the time of a series is that of its events, and is never shifted"),
        (event(skip_result="false"), "`calendars[0].events[0].skip_result` is not supported: within scheduled events scores are 0 and nothing is learned"),
        (f"calendars: [{{calendar_id: a, events: [{EVENT}]}}, {{calendar_id: a, events: [{EVENT}]}}]", 'calendars[1].calendar_id must be there once, got "a" again'),
        ("filters: {}", "filters must be a list, got a mapping"),
        ("filters: [{items: [a]}]", "filters[0].filter_id must be given, got nothing"),
        ("filters: [{filter_id: a}]", "filters[0].items must be given, got nothing"),
        ("filters: [{filter_id: a, items: []}]", "filters[0].items must be a list of one item or more, got a list of 0"),
        ("filters: [{filter_id: a, items: b}]", 'filters[0].items must be a list of one item or more, got "b"'),
        ("filters: [{filter_id: a, items: [b, [c]]}]", "filters[0].items[1] must be a class: text, a number or a boolean, got a list of 1"),
        ("filters: [{filter_id: a, items: [1, 1.0]}]", 'filters[0].items[1] must be there once, got "1" again'),
        ("filters: [{filter_id: a, items: ['*.example.org']}]", 'filters[0].items[0] must be a value as it is: there are no wildcards, and * stands for itself, got "*.example.org"'),
        ("filters: [{filter_id: a, items: [b]}, {filter_id: a, items: [c]}]", 'filters[1].filter_id must be there once, got "a" again'),
        (f"filters: [{{filter_id: a, items: {[*range(10_001)]}}}]", "filters[0].items must be a list of at most 10000 items, got a list of 10001"),
    ],
)  # fmt: skip
def test_error_each_fault_says_line_key_rule_and_value(tmp_path, content, fault):
    assert faults(tmp_path, content) == [f"1: {fault}"]


def test_error_lines_are_those_of_the_values(tmp_path):
    content = """\
calendars:
- calendar_id: c
  job_ids:
    - j
    - k
  events:
    - description: a
      start_time: 5
      end_time: 4
"""
    assert faults(tmp_path, content + job()) == [
        '5: calendars[0].job_ids[1] must be one of `anomaly_jobs`, got "k"',
        "9: calendars[0].events[0].end_time must be after start_time=5, got 4",
    ]
