"""A model as an asset of Dagster (data orchestration): trained from what is permitted when it is materialised."""

from typing import Any

from dagster import AssetsDefinition, DataVersion, Failure, MaterializeResult, asset

from volition.errors import VolitionError
from volition.integrations.step import TrainingStep, may_pass


def model_asset(step: TrainingStep, **options: Any) -> AssetsDefinition:  # noqa: ANN401 - Dagster's own
    """Return an asset that trains when it is materialised.

    Its metadata are the model, the snapshot with the digest of its manifest, and how many rows were kept and, by
    reason, dropped; its data version is the snapshot's digest. What is refused fails it with the reason in words, and
    is not tried again; what may pass, such as a lock that somebody else holds, is, as its retry policy says.

    Args:
        step: What it trains; the asset has its name.
        options: What `dagster.asset` takes besides, such as `deps`, `group_name` or `retry_policy`.
    """

    @asset(  # type: ignore[untyped-decorator] # dagster may not be installed
        name=step.name,
        description=f"A model of what is permitted for {step.purpose}, in the workspace's log.",
        **options,
    )
    def model() -> MaterializeResult[None]:
        try:
            made = step.run()
        except VolitionError as error:
            raise Failure(description=str(error), allow_retries=may_pass(error)) from error
        return MaterializeResult(metadata=made.to_json(), data_version=DataVersion(made.manifest))

    return model
