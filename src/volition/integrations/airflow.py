"""A model as a task of Apache Airflow (workflow orchestration): trained from what is permitted when it runs."""

from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from volition.errors import VolitionError
from volition.integrations.step import TrainingStep, may_pass


class TrainingOperator(BaseOperator):  # type: ignore[misc] # airflow may not be installed
    """Trains when its task runs, and hands on what it made as `Made.to_json`: model, snapshot, digest and counts.

    What is refused fails the task with the reason in words, and is not tried again, whatever `retries` says; what
    may pass, such as a lock that somebody else holds, is tried again as the task says.
    """

    ui_color = "#d7e8d4"

    def __init__(self, *, step: TrainingStep, **options: Any) -> None:  # noqa: ANN401 - Airflow's own
        """Take what is trained, and what any operator takes, such as `task_id`."""
        super().__init__(**options)
        self.step = step

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ANN401, ARG002 - as Airflow calls it
        """Train.

        Raises:
            AirflowFailException: It was refused, or failed as it would fail again.
            VolitionError: It failed, and might not if it were tried again.
        """
        try:
            return self.step.run().to_json()
        except VolitionError as error:
            if may_pass(error):
                raise
            raise AirflowFailException(str(error)) from error
