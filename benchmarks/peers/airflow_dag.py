"""The same case on Airflow: check, an approval by a person, effect. Copied into Airflow's folder of DAGs."""

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag, task


@task
def check() -> bool:
    return True


@task
def effect() -> str:
    return "done"


@dag(schedule=None, catchup=False, max_active_runs=64, is_paused_upon_creation=False)
def case() -> None:
    check() >> ApprovalOperator(task_id="review", subject="Close the shop?") >> effect()


case()
