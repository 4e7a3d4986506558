"""Volition as a step of somebody else's pipeline: an asset of Dagster, an operator of Airflow (orchestration).

    from volition.integrations.dagster import model_asset
    from volition.integrations.step import TrainingStep

    step = TrainingStep(workspace="/srv/volition", name="churn", purpose="train/recommend", train=learn)
    churn = model_asset(step)                            # or: TrainingOperator(task_id="churn", step=step)

What it guarantees:

- A run freezes what is permitted in that moment and learns from nothing else. Where nothing is permitted, somebody says
  no meanwhile, or a model of the name owes a forgetting, the run fails with the reason in words, and there is no model.
- What only passes (somebody else holds a lock, a disk is full) may be tried again; a refusal is not.
- What is handed on names a snapshot, a model, digests and counts: no person and no account.

step     a snapshot of what is permitted now, and a model of it
airflow  the step as an operator of Apache Airflow
dagster  the step as an asset of Dagster
"""
