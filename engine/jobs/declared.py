"""What the configuration declares of models for the metrics of jobs: `model_settings`."""

import duckdb
import orjson
import pyarrow as pa

from engine.config import Settings

__all__ = ["declare_models"]


def declare_models(cursor: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Write the declared models, and no others; inside a transaction.

    Parameters
    ----------
    cursor : duckdb.DuckDBPyConnection
        On the tables of `engine.rows`.
    settings : Settings
        Of each model the job, the classes, and the minutes that an analyst spends on an event, in
        all or by label, are taken.
    """
    cursor.execute("DELETE FROM model_settings")
    models = settings.models
    rows = pa.table(
        {
            "model_id": pa.array([model.id for model in models], pa.string()),
            "job_id": pa.array([model.job for model in models], pa.string()),
            "minutes": pa.array([model.minutes_per_event for model in models], pa.float64()),
            "minutes_by_label": pa.array(
                [orjson.dumps(dict(model.minutes_by_label)).decode() for model in models],
                pa.string(),
            ),
            "classes": pa.array([model.classes or None for model in models], pa.list_(pa.string())),
        }
    )
    cursor.register("b_declared", rows)
    cursor.execute("INSERT INTO model_settings SELECT * FROM b_declared")
    cursor.unregister("b_declared")
