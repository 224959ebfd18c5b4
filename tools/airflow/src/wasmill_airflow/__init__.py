"""Runs Wasmill pipelines as tasks of Apache Airflow."""

from wasmill_airflow.exits import EXITS, Exit, exit_of
from wasmill_airflow.operator import WasmillOperator

__all__ = ["EXITS", "Exit", "WasmillOperator", "exit_of"]
