"""Binary metrics, loss, AUC and calibration over rolling windows, as SQL.

The positive class is the declared one, else the greater (in text order) of exactly two classes
that its labelled events have. A model with `positive_property` predicts positive where that
probability reaches its threshold; any other where its prediction is the positive class. A threshold
that is no multiple of 0.001 is rounded up to the next one. Functions AR-F08 to AR-F18.

AUC and calibration come from the 2,001 score bins of `engine.rows`. Within a bin the order of
scores is unknown and counts one half, so AUC is off by at most ½ Σ_b P_b N_b / (P N), P_b and N_b
the positives and negatives of bin b (bins of one exact value add no error). The confidence of a
bin is its middle, off by less than 0.0005, and so is the calibration error.
"""

from engine.metric_steps import changed_rows, rolled

__all__ = ["SCORE_VIEWS"]

# The four counts of the positive class: from the cells, or from the bins of positive_property.
_BINARY_STEPS = rolled(
    """
    select
        c.model_id, c.time_basis, c.pane_s,
        coalesce(sum(count) filter (where label = positive and prediction = positive), 0)::bigint
            as tp,
        coalesce(sum(count) filter (where label <> positive and prediction = positive), 0)::bigint
            as fp,
        coalesce(sum(count) filter (where label = positive and prediction <> positive), 0)::bigint
            as fn,
        sum(count)::bigint as n
    from cell_panes as c join _metric_models as m on m.model_id = c.model_id
    where m.positive is not null and m.positive_property is null
    group by c.model_id, c.time_basis, c.pane_s having sum(count) <> 0
    union all
    select
        b.model_id, b.time_basis, b.pane_s,
        coalesce(sum(count) filter (where label = positive and bin >= cut_bin), 0)::bigint,
        coalesce(sum(count) filter (where label <> positive and bin >= cut_bin), 0)::bigint,
        coalesce(sum(count) filter (where label = positive and bin < cut_bin), 0)::bigint,
        sum(count)::bigint
    from _score_bin_panes as b join _metric_models as m on m.model_id = b.model_id
    where b.kind = 'positive' and m.positive is not null and m.positive_property is not null
    group by b.model_id, b.time_basis, b.pane_s having sum(count) <> 0
    """,
    ("tp", "fp", "fn", "n"),
)

_BINARY = changed_rows(
    """
    select
        model_id, time_basis, step, end_s, null::varchar as series, label_coverage,
        n as sample_count,
        [
            (tp + tn) / nullif(n, 0), (tpr + tnr) / 2, 2 * tp / nullif(2 * tp + fp + fn, 0),
            fn / nullif(tp + fn, 0), fp / nullif(fp + tn, 0), tp / nullif(tp + fp, 0),
            tpr, tpr, tnr, tpr, tnr
        ] as amounts
    from (
        select *, tp / nullif(tp + fn, 0) as tpr, tn / nullif(tn + fp, 0) as tnr
        from (select *, n - tp - fp - fn as tn from _binary_steps)
    )
    """,
    (
        "accuracyRate",
        "balancedAccuracyRate",
        "f1",
        "falseNegativeRate",
        "falsePositiveRate",
        "precision",
        "recall",
        "sensitivity",
        "specificity",
        "truePositiveRate",
        "trueNegativeRate",
    ),
)

# Bins of the probability of the positive class: 1 - score of the other class is bin 2000 - bin.
_RANKED_PANES = """
select
    b.model_id, b.time_basis, b.pane_s,
    case when b.kind = 'positive' or b.prediction = m.positive then b.bin else 2000 - b.bin end
        as bin,
    coalesce(sum(b.count) filter (where b.label = m.positive), 0)::bigint as p,
    coalesce(sum(b.count) filter (where b.label <> m.positive), 0)::bigint as n
from _score_bin_panes as b join _metric_models as m on m.model_id = b.model_id
where m.two_sided and m.positive is not null
    and b.kind = case when m.positive_property is null then 'score' else 'positive' end
group by 1, 2, 3, 4 having p <> 0 or n <> 0
"""

# Pairs (positive, negative) won twice over, a tie counting once: Σ p·(n up to its bin) counts ties
# as won, Σ n·(p up to its bin) as lost, and both together cover P·N pairs and the ties. Both time
# bases number their windows in one column: a quarter faster to sort by than two.
_AUC = changed_rows(
    """
    select
        s.model_id, s.time_basis, s.step, s.end_s, null::varchar as series, s.label_coverage,
        coalesce(w.p + w.n, 0)::bigint as sample_count,
        [(w.won_or_tied - w.lost_or_tied + w.p * w.n) / nullif(2 * w.p * w.n, 0)] as amounts
    from _steps as s
    join (select distinct model_id from _ranked_panes) as k on k.model_id = s.model_id
    left join (
        select
            model_id, number, sum(p) as p, sum(n) as n,
            sum(p * n_up_to) as won_or_tied, sum(n * p_up_to) as lost_or_tied
        from (
            select *, sum(p) over w as p_up_to, sum(n) over w as n_up_to
            from (
                select
                    r.model_id, r.bin, r.p, r.n,
                    2 * unnest(range(e.first_step, e.leave_step))
                        + (r.time_basis = 'label')::bigint as number
                from _ranked_panes as r
                join _pane_steps as e
                    on e.model_id = r.model_id and e.time_basis = r.time_basis
                    and e.pane_s = r.pane_s
            )
            window w as (
                partition by model_id, number order by bin
                range between unbounded preceding and current row
            )
        )
        group by model_id, number
    ) as w
        on w.model_id = s.model_id
        and w.number = 2 * s.step + (s.time_basis = 'label')::bigint
    """,
    ("auc",),
)

# Per interval of confidence the sum of 2000 * (correct - confidence), whole numbers because the
# middle of bin b is b / 2000. Interval i holds bins 200 i to 200 i + 199, the last one 2000 too.
_CALIBRATION_STEPS = rolled(
    """
    select
        b.model_id, b.time_basis, b.pane_s, sum(b.count)::bigint as n,
        """
    + ",\n        ".join(
        "coalesce(sum(b.count * (case when b.label = case when b.kind = 'score' then b.prediction"
        " else m.positive end then 2000 else 0 end - b.bin))"
        f" filter (where least(b.bin // 200, 9) = {i}), 0)::bigint as gap_{i}"
        for i in range(10)
    )
    + """
    from _score_bin_panes as b join _metric_models as m on m.model_id = b.model_id
    where b.kind = case when m.positive_property is null then 'score' else 'positive' end
        and (m.positive_property is null or m.positive is not null)
    group by b.model_id, b.time_basis, b.pane_s having sum(b.count) <> 0
    """,
    ("n", *(f"gap_{i}" for i in range(10))),
)

_CALIBRATION = changed_rows(
    """
    select
        model_id, time_basis, step, end_s, null::varchar as series, label_coverage,
        n as sample_count,
        [(abs(gap_0) + abs(gap_1) + abs(gap_2) + abs(gap_3) + abs(gap_4) + abs(gap_5) + abs(gap_6)
            + abs(gap_7) + abs(gap_8) + abs(gap_9)) / nullif(2000 * n, 0)] as amounts
    from _calibration_steps
    """,
    ("calibrationError",),
)

# Sums of floats: every window adds its own panes, each pane its own blocks.
_LOSS = changed_rows(
    """
    select
        s.model_id, s.time_basis, s.step, s.end_s, null::varchar as series, s.label_coverage,
        coalesce(w.n, 0)::bigint as sample_count,
        [w.log_loss / nullif(w.n, 0), w.brier / nullif(w.n, 0)] as amounts
    from _steps as s
    join (select distinct model_id from _loss_panes) as k on k.model_id = s.model_id
    left join (
        select
            model_id, time_basis, step, sum(n) as n,
            sum(log_loss order by pane_s) as log_loss, sum(brier order by pane_s) as brier
        from (
            select
                x.*, unnest(range(e.first_step, e.leave_step)) as step
            from _loss_panes as x
            join _pane_steps as e
                on e.model_id = x.model_id and e.time_basis = x.time_basis
                and e.pane_s = x.pane_s
        )
        group by model_id, time_basis, step
    ) as w on w.model_id = s.model_id and w.time_basis = s.time_basis and w.step = s.step
    """,
    ("logLoss", "brierScore"),
)

_LOSS_PANES = """
select
    q.model_id, q.time_basis, q.pane_s, sum(q.count)::bigint as n,
    sum(q.log_loss order by q.block_seq) as log_loss, sum(q.brier order by q.block_seq) as brier
from probability_panes as q join _metric_models as m on m.model_id = q.model_id
where m.two_sided
group by q.model_id, q.time_basis, q.pane_s having sum(q.count) <> 0
"""

SCORE_VIEWS: dict[str, str] = {
    "_binary_steps": _BINARY_STEPS,
    "_metric_binary": _BINARY,
    "_ranked_panes": _RANKED_PANES,
    "_metric_auc": _AUC,
    "_calibration_steps": _CALIBRATION_STEPS,
    "_metric_calibration": _CALIBRATION,
    "_loss_panes": _LOSS_PANES,
    "_metric_loss": _LOSS,
}
