import pytest


@pytest.fixture(autouse=True, scope="session")
def no_database_of_the_user(tmp_path_factory):
    """What somebody tuned on this machine must not decide what the tests see."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENCOMPILER_DB", str(tmp_path_factory.mktemp("db") / "none.db"))
        yield
