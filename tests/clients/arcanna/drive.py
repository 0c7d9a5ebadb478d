"""Drives the published client (arcanna-mcp-server 0.1.38), unchanged: `drive.py URL KEY`.

Starts its MCP server, with a session in memory in place of standard input and output, and calls
every tool that tells of metrics; the key must be an editor's. The answers are read with the client
library's own models, too, the flat ones of newer versions among them.
"""

import asyncio
import json
import os
import random
import sys

import requests
from mcp.shared.memory import create_connected_server_and_client_session as connected

MODEL = "generic-1-%d-model-1747385873.hdf5"
METRICS = {
    "metrics_job",
    "metrics_job_and_latest_model",
    "metrics_model",
    "metrics_model_request_recompute_metrics",
}


def main(url, key):
    """Drive the client."""
    job = random.randrange(10**6, 10**9)
    hand_in(url, key, job)
    asyncio.run(drive(url, key, job))


def hand_in(url, key, job):
    """Hand in ten decisions, five with feedback, one of them another label."""
    base = {"model_id": MODEL % job, "job_id": job}
    events = [
        {**base, "id": f"e{n}", "timestamp": f"2025-01-01T{n:02}:00:00Z"}
        | {"prediction": "Escalate" if n % 5 == 4 else "Drop", "severity": n}
        for n in range(10)
    ]
    told = {"type": "label", "model_id": base["model_id"], "by": "ana"}
    events += [
        {**told, "id": f"e{n}", "label": "Drop", "timestamp": "2025-01-01T12:00:00Z"}
        for n in range(5)
    ]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    headers = {"x-arcanna-api-key": key, "Content-Type": "application/x-ndjson"}
    answer = requests.post(f"{url}/events", data=lines, headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 15), answer.text


async def drive(url, key, job):
    """Start the server of the client, and call its tools."""
    os.environ |= {"ARCANNA_HOST": url, "ARCANNA_MANAGEMENT_API_KEY": key}
    from arcanna_mcp_server.server import mcp  # noqa: PLC0415 - reads its environment, asks

    async with connected(mcp._mcp_server) as session:
        tools = {tool.name for tool in (await session.list_tools()).tools}
        assert tools >= METRICS | {"health_check"}, tools

        async def call(name, **arguments):
            answer = await session.call_tool(name, arguments)
            assert not answer.isError, answer
            return json.loads(answer.content[0].text)

        health = await call("health_check")
        assert health == {"status": "OK", "reason": "", "reason_details": ""}, health
        await both(call, job)
        await alone(call, job)
        await faults(call, job)


async def both(call, job):
    """Ask for the metrics of a job and its model."""
    found = await call("metrics_job_and_latest_model", job_id=job)
    assert (found["job_id"], found["model_id"]) == (job, MODEL % job)
    assert found["job_metrics"]["total_events"] == found["total_events"] == 10
    assert found["total_events_with_consensus"] == 5
    assert found["model_metrics"]["is_recomputing_metrics"] is False
    validated(found)
    day = {"start_date": "2025-01-01", "end_date": "2025-01-01T05:00:00"}
    found = await call("metrics_job_and_latest_model", job_id=job, **day)
    assert (found["total_events"], found["start_time"]) == (5, "2025-01-01T00:00:00Z")
    for field, operator, value, count in [
        ("arcanna.result_label", "is one of", ["Escalate", "Investigate"], 2),
        ("arcanna.result_label", "is not one of", ["Drop", "Low priority"], 2),
        ("arcanna.consensus", "is one of", ["Escalate", "Drop"], 5),
        ("severity", "gte", 8, 2),
    ]:
        filters = [{"field": field, "operator": operator, "value": value}]
        found = await call("metrics_job_and_latest_model", job_id=job, filters=filters)
        assert found["total_events"] == count, (operator, found["total_events"])
    filters = [{"field": "arcanna.consensus", "operator": "not exists"}]
    assert (await call("metrics_job", job_id=job, filters=filters))["total_events"] == 5


async def alone(call, job):
    """Ask for the job alone, for its model alone, and for a recompute."""
    assert (await call("metrics_job", job_id=job))["active_model_id"] == MODEL % job
    model = await call("metrics_model", job_id=job, model_id=MODEL % job)
    assert model["model_id"] == MODEL % job
    assert sum(map(sum, model["confusion_matrix"])) == 10
    told = await call("metrics_model_request_recompute_metrics", job_id=job, model_id=MODEL % job)
    assert set(told) == {"message", "job_id", "model_id", "status", "requested_at"}, told
    assert told["status"] in {"queued", "in_progress", "completed"}


async def faults(call, job):
    """See what is told of what is not there."""
    found = await call("metrics_job_and_latest_model", job_id=job + 1)
    assert found == {"error": "Job or model not found"}, found
    found = await call("metrics_model_request_recompute_metrics", job_id=job, model_id="other")
    assert found["details"] == f"Model 'other' not found for job '{job}'", found
    found = await call("metrics_job", job_id=job, start_date="yesterday")
    assert found["detail"][0]["loc"] == ["query", "start_datetime"], found


def validated(found):
    """Read an answer with the models of the client library."""
    from arcanna_mcp_server.models.metrics import (  # noqa: PLC0415 - as above
        GetJobAndLatestModelMetricsResponse,
        GetJobMetricsResponse,
        GetModelMetricsResponse,
    )

    read = GetJobAndLatestModelMetricsResponse(**found)
    assert read.active_model_metrics.overall_accuracy == found["model_metrics"]["overall_accuracy"]
    assert GetJobMetricsResponse(**found["job_metrics"]).total_events == 10
    assert GetModelMetricsResponse(**found["model_metrics"]).model_id == found["model_id"]


if __name__ == "__main__":
    main(*sys.argv[1:])
