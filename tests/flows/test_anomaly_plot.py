"""The picture of an anomaly job: what stands in the tables is what is drawn, whatever the names.

The SVG keeps texts as texts and groups by what they are, so that dots, cells and labels can be
counted in the file itself; overlaps are looked for among the boxes of all texts.
"""

import re
import struct
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from anomaly_results import Results, rows, shop, starts

from flows.__main__ import main
from flows.anomalyplot import figure_of, renderer_of, styled
from flows.plotdata import Wish, read_picture

SVG = "{http://www.w3.org/2000/svg}"
EVIL = '<b>&"</b> $x_y$ \\frac{'


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder that all jobs share: making one takes longer than filling it."""
    folder = tmp_path_factory.mktemp("shop")
    shop(folder)
    hostile(folder)
    return folder


def plotted(data, output, *more, job="requests"):
    """Run the command, which must succeed; gives the bytes written."""
    words = ["anomaly", "plot", job, "--data", str(data), "--output", str(output), *more]
    assert main(words) == 0
    return output.read_bytes()


def svg(data, folder, *more, job="requests"):
    return ET.fromstring(plotted(data, folder / "plot.svg", *more, job=job))


def texts(root):
    return ["".join(each.itertext()) for each in root.iter(f"{SVG}text")]


def marks(root, name):
    """Count the marks in the groups whose ids begin so, by id."""
    found = {}
    for group in root.iter(f"{SVG}g"):
        if group.get("id", "").startswith(name):
            used = len(list(group.iter(f"{SVG}use")))
            found[group.get("id")] = used or len(list(group.iter(f"{SVG}path")))
    return found


# ---- what is drawn ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["png", "svg"])
def test_golden_the_same_rows_give_the_same_bytes(data, tmp_path, form):
    once = plotted(data, tmp_path / f"a.{form}")
    assert once == plotted(data, tmp_path / f"b.{form}")
    if form == "png":
        assert once[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", once[16:24]) == (1600, 900)
        assert b"Software" not in once
    else:
        assert not re.search(rb"dc:date|20\d\d-\d\d-\d\dT", once)


@pytest.mark.parametrize("threshold", [0, 12.5, 80])
def test_oracle_there_is_a_dot_for_each_record_at_or_over_the_threshold(data, tmp_path, threshold):
    dots = marks(svg(data, tmp_path, "--threshold", str(threshold)), "anomalies-")
    bounds = {"warning": (0, 25), "minor": (25, 50), "major": (50, 75), "critical": (75, 101)}
    wanted = {}
    for name, (low, high) in bounds.items():
        for interim in (False, True):
            (count,) = rows(
                data,
                f"SELECT count(*) FROM anomaly_records WHERE record_score >= {threshold}"
                f" AND record_score >= {low} AND record_score < {high} AND is_interim = {interim}"
                " AND job_id = 'requests'",
            )[0]
            if count:
                wanted[f"anomalies-{name}{'-interim' if interim else ''}"] = count
    assert dots == wanted


def test_oracle_cells_of_the_swimlane_and_bars_of_the_scores(data, tmp_path):
    root = svg(data, tmp_path)
    (cells,) = rows(
        data,
        "SELECT count(*) FROM (SELECT DISTINCT influencer_field_name, influencer_field_value,"
        " time_bucket(INTERVAL 2 HOUR, timestamp, TIMESTAMP '1970-01-01')"
        " FROM anomaly_influencers WHERE influencer_score >= 1 AND job_id = 'requests')",
    )[0]
    assert sum(marks(root, "lane-").values()) == cells
    (bars,) = rows(
        data, "SELECT count(*) FROM anomaly_buckets WHERE anomaly_score > 0 AND job_id = 'requests'"
    )[0]
    assert sum(marks(root, "score-").values()) == bars


def test_golden_the_words_say_what_is_drawn_with_units_and_zone(data, tmp_path):
    found = texts(svg(data, tmp_path))
    for words in (
        "Anomaly job requests",
        "detector 0: count",
        "6 anomalies ≥ 1  ·  2026-01-05 00:00 to 2026-01-15 00:00 UTC",
        "events",
        "per 15 min",
        "bucket score",
        "time (UTC), 2026",
        "05 Jan",
        "actual",
        "typical",
        "expected band",
        "warning < 25",
        "minor < 50",
        "major < 75",
        "critical ≥ 75",
        "interim",
        "city: Berlin",
        "city: São Paulo",
        "device: phone",
        "Influencers: the highest score in 2 h",
    ):
        assert words in found, words
    assert found.index("city: Berlin") < found.index("city: Paris")  # the highest first
    assert any(re.fullmatch("city: Llan.*….*wyrn", each) for each in found)


def test_a_stretch_of_time_is_drawn_alone(data, tmp_path):
    stretch = ("--from", "2026-01-08", "--to", "1767916800000")  # the latter is 2026-01-09
    root = svg(data, tmp_path, *stretch)
    assert sum(marks(root, "anomalies-").values()) == 2
    assert "2 anomalies ≥ 1  ·  2026-01-08 00:00 to 2026-01-09 00:00 UTC" in texts(root)


def test_a_band_is_drawn_where_it_is_stored_else_the_records_alone(data, tmp_path):
    assert marks(svg(data, tmp_path), "band") == {"band": 1}
    with Results(tmp_path / "bare") as results:
        results.declare()
        results.buckets(starts(9), [0] * 9)
        results.records(starts(2, 3), [30, 90])
    root = svg(tmp_path / "bare", tmp_path)
    assert marks(root, "band") == marks(root, "actual") == {}
    assert marks(root, "anomalies-") == {"anomalies-minor": 1, "anomalies-critical": 1}
    assert "detector 0: count  ·  its records alone are stored" in texts(root)


def test_the_series_with_the_highest_score_is_drawn_or_the_one_that_is_named(data, tmp_path):
    with Results(data, "cities") as results:
        results.declare()
        results.buckets(starts(50), [0] * 50)
        for place, (city, score) in enumerate({"Oslo": 40, "Rome": 90, "Bonn": 10}.items()):
            named = {"partition_field_name": "city", "partition_field_value": city}
            named |= {"function": "high_mean", "field_name": "price"}
            results.records(starts(place + 1), [score] * (place + 1), **named,
                            function_description="mean", detector_index=1)  # fmt: skip
        results.records(starts(1), [20], by_field_name="user", by_field_value="it's me")

    def chosen(**more):
        picture = read_picture(Wish(str(data), "cities", **more))
        return picture.series.parts, picture.records.score.tolist()

    assert chosen() == ([("city", "Rome")], [90, 90])
    assert chosen(series="Bonn", detector=1) == ([("city", "Bonn")], [10, 10, 10])
    assert chosen(detector=0) == ([("user", "it's me")], [20])
    root = svg(data, tmp_path, "--series", "Oslo", "--detector", "1", job="cities")
    words = "detector 1: high_mean(price)  ·  city Oslo  ·  its records alone are stored"
    assert words in texts(root)
    assert marks(root, "anomalies-") == {"anomalies-minor": 1}


def test_the_three_measures_of_metric_are_three_series(data, tmp_path):
    with Results(data, "three") as results:
        results.declare()
        results.buckets(starts(9), [0] * 9)
        for count, measure in enumerate(("mean", "min", "max"), 1):
            own = {"function": "metric", "field_name": "price"}
            results.records(
                starts(count), [60 - count] * count, **own, function_description=measure
            )
            results.line(starts(9), np.arange(9.0), function=measure)
    root = svg(data, tmp_path, job="three")
    assert marks(root, "anomalies-") == {"anomalies-major": 1}
    assert "mean of price" in texts(root)
    assert marks(root, "actual") == {"actual": 1}


# ---- hostile names and numbers ---------------------------------------------------------------


def hostile(folder):
    long = "W" * 300
    with Results(folder, EVIL) as results:
        results.declare()
        at = starts(200)
        results.buckets(at, [0] * 150 + [3, 30, 55, 80] + [0] * 46)
        results.records(
            at[150:154],
            [3, 30, 55, 80],
            actual=[123_456_789.1, None, 2e8, -1e9],
            partition_field_name=EVIL,
            partition_field_value=EVIL + "\n\x01\u202e",
            field_name=long,
        )
        for number in range(14):
            value = f"{EVIL}{number}" if number < 5 else f"{number}{long}漢字"
            results.influencers("$", value, at[number * 10 :][:30], [100 - number] * 30)


def test_error_hostile_names_are_drawn_as_they_are_and_break_nothing(data, tmp_path, capsys):
    found = texts(svg(data, tmp_path, job=EVIL))
    assert f"Anomaly job {EVIL}" in found
    assert f"$: {EVIL}0"[:10] in " ".join(found)
    assert not [each for each in found if set(each) & {"\n", "\x01", "\u202e"}]
    png = plotted(data, tmp_path / "a.png", job=EVIL)
    assert struct.unpack(">II", png[16:24]) == (1600, 900)
    # The fonts here have no Chinese letters: the picture is drawn, and the lack of them told.
    assert "note: no font here has some of the letters" in capsys.readouterr().err


def test_the_default_name_of_the_file_is_safe(data, tmp_path, monkeypatch):
    job = "../../" + EVIL + "é" * 300
    with Results(data, job) as results:
        results.buckets(starts(1), [0])
    monkeypatch.chdir(tmp_path)
    assert main(["anomaly", "plot", job, "--data", str(data)]) == 0
    (written,) = tmp_path.iterdir()
    assert re.fullmatch(r"b_b_x_y_frac_é+\.png", written.name)


@pytest.mark.parametrize(
    ("first_s", "value"),
    [
        (-62_135_596_800, 7.0),  # the year 1
        (253_402_300_800 - 9_000, 7.0),  # the end of 9999
        (0, 1e308),
    ],
)
def test_error_the_ends_of_time_and_numbers_can_be_drawn(data, tmp_path, first_s, value):
    at = [first_s + 900 * place for place in range(10)]
    job = f"{first_s} {value}"
    with Results(data, job) as results:
        results.buckets(at, [50] * 10)
        results.line(at, [value, -value, np.nan, value, np.nan, np.inf, -np.inf, value, 0, 0])
        results.records(at[:2], [60, 70], actual=[value, None])
    root = svg(data, tmp_path, job=job)
    assert marks(root, "anomalies-") == {"anomalies-major": 2}
    assert marks(root, "score-") == {"score-major": 10}


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("job", ["requests", EVIL])
def test_law_no_text_lies_over_another_or_beyond_the_picture(data, job):
    picture = read_picture(Wish(str(data), job))
    with styled():
        figure = figure_of(picture)
        renderer = renderer_of(figure)
        figure.draw(renderer)
        boxes = [
            (each.get_text(), each.get_window_extent(renderer))
            for each in all_texts(figure)
            if each.get_text()
        ]
    assert len(boxes) > 30
    for place, (words, box) in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= 1600, words
        assert 0 <= box.y0 < box.y1 <= 900, words
        for others, other in boxes[place + 1 :]:
            apart = box.x1 <= other.x0 or other.x1 <= box.x0
            assert apart or box.y1 <= other.y0 or other.y1 <= box.y0, (words, others)


def all_texts(figure):
    """Give every Text that is drawn: a tick beyond its axis is not."""
    (legend,) = figure.legends
    yield from (*figure.texts, *legend.get_texts())
    for axes in figure.axes:
        yield from (*axes.texts, axes.xaxis.label, axes.yaxis.label, axes.title, axes._left_title)
        for axis, shown in ((axes.xaxis, axes is figure.axes[-1]), (axes.yaxis, True)):
            yield from (tick.label1 for tick in axis._update_ticks() if shown)
