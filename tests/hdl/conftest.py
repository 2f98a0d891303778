import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Amaranth warns of cores that are made and not elaborated; a test of a constructor's refusal makes just those.
    config.addinivalue_line("filterwarnings", "ignore:.*created but never used")
