"""The naive twin of decisions and deployments: plain Python over the distinct events."""

from collections import Counter

from naive import class_text, is_class, number, outcome, votes_of, winners

HOUR_S = 3600
DAY_S = 24 * HOUR_S


def _class(value):
    if value is None or not is_class(value):
        return None
    return class_text(value if number(value) is None else number(value))


def _job(event):
    return None if event.get("job_id") is None else str(event["job_id"])


def decided(events, administrators=()):
    """Each prediction: model, own job, time ms, label, prediction, label_source."""
    votes = votes_of(events)
    for key, event in winners(events).items():
        label, _, source = outcome(event, votes[key], administrators)
        said = _class(label), _class(event.get("prediction"))
        yield key[0], _job(event), event["timestamp"], *said, source


def decisions(events, administrators=()):
    """Counts by (model, own job, hour s, label, prediction, label_source)."""
    return Counter(
        (model, job, time // 1000 // HOUR_S * HOUR_S, *rest)
        for model, job, time, *rest in decided(events, administrators)
    )


def _told(events):
    return [event for event in events if event.get("type") == "model"]


def job_of(events, declared):
    """A function of a model and the job that its event names itself, if any."""
    latest = {}
    for event in _told(events):
        if _job(event) is not None:
            rank = event["timestamp"], _job(event)
            latest[event["model_id"]] = max(latest.get(event["model_id"], rank), rank)
    mapped = {model: job for model, (_, job) in latest.items()} | declared
    return lambda model, own: own if own is not None else mapped.get(model)


def members(events, declared, job):
    """The models of a job by the day of their first event in it, then by id."""
    belongs, firsts = job_of(events, declared), {}
    seen = [(model, own, time) for model, own, time, *_ in decided(events)]
    seen += [(event["model_id"], _job(event), event["timestamp"]) for event in _told(events)]
    for model, own, time in seen:
        if belongs(model, own) == job:
            day = time // 1000 // DAY_S
            firsts[model] = min(firsts.get(model, day), day)
    return tuple(sorted(firsts, key=lambda model: (firsts[model], model)))


def active(events, declared, job):
    """(model, time of its deployment in ms or None), or None."""
    belongs, last = job_of(events, declared), {}
    for event in _told(events):
        if event["model_id"] in members(events, declared, job):
            rank = event["timestamp"], event["status"]
            last[event["model_id"]] = max(last.get(event["model_id"], rank), rank)
    if last:
        deployed = [(time, m) for m, (time, status) in last.items() if status.lower() == "deployed"]
        return max(deployed)[::-1] if deployed else None
    found = [(time, m) for m, own, time, *_ in decided(events) if belongs(m, own) == job]
    return (max(found)[1], None) if found else None
