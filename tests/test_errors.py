"""The tree of errors: told in full, pickled in full, one exit code a branch."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil

import pytest

import atxfer
from atxfer import errors
from atxfer.errors import TransferError


def _below(kind: type[TransferError]) -> set[type[TransferError]]:
    return {kind}.union(*(_below(child) for child in kind.__subclasses__()))


def _all() -> list[type[TransferError]]:
    """Return every class of the tree, of whatever module."""
    for module in pkgutil.walk_packages(atxfer.__path__, "atxfer."):
        if not module.name.startswith(("atxfer._cli", "atxfer.__main__")):
            importlib.import_module(module.name)
    return sorted(_below(TransferError), key=lambda kind: kind.__qualname__)


EVERY = _all()
BRANCHES = [kind for kind in EVERY if kind.__mro__[1] is TransferError and kind.exit_code != 1]


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling(kind: type[TransferError]) -> None:
    """An error comes whole out of another process: text, place, remedy and cause."""
    error = kind("it broke").with_context(file="a", file_id="b", chunk=3, attempts=2)
    error.retry_after = 1.5
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own pickle
    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_every_error_explains_itself(kind: type[TransferError]) -> None:
    """A class says what happened in a sentence, and its remedies are sentences."""
    assert (inspect.getdoc(kind) or "").split("\n")[0].endswith((".", ":"))
    assert kind.default_remedy == "" or kind.default_remedy[-1] in ".'`"


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_an_error_ends_like_its_branch(kind: type[TransferError]) -> None:
    """A program that knows the branches' exit codes knows them all."""
    assert kind.exit_code in {TransferError.exit_code, *(b.exit_code for b in BRANCHES)}
    branch = [b for b in BRANCHES if issubclass(kind, b)]
    assert [kind.exit_code] == [b.exit_code for b in branch] or not branch


def test_each_branch_has_an_exit_code_of_its_own() -> None:
    """No two causes look the same to a shell; 0, 1, 2 and signals are not taken."""
    codes = [branch.exit_code for branch in BRANCHES]
    assert len(set(codes)) == len(codes)
    assert all(3 <= code < 126 for code in codes)


def test_what_can_be_retried_is_told_by_the_class() -> None:
    """``retryable`` is the mark of the class, for programs that retry by themselves."""
    assert errors.ConnectionLost("x").retryable
    assert not errors.LoginRefused("x").retryable


def test_the_text_names_place_attempts_and_remedy() -> None:
    """One line holds what happened, to what, how often it was tried, and what to do."""
    error = errors.ConnectionLost("the connection ended", file="a.pdf", chunk=7, attempts=5)
    assert str(error) == (
        "the connection ended (a.pdf, chunk 7, 5 attempts). Try again; repeating is safe."
    )
    assert error.summary == "the connection ended (a.pdf, chunk 7, 5 attempts)"


def test_missing_chunks_are_told_as_ranges() -> None:
    """A thousand missing chunks fit on a line; all of them are in the attribute."""
    missing = (*range(4), 7, *range(100, 1000, 2))
    error = TransferError("failed", chunks_missing=missing)
    assert "chunks 0-3, 7, 100, 102, 104" in str(error)
    assert str(error).endswith("...)")
    assert error.chunks_missing == missing


def test_context_is_filled_in_from_below_to_above() -> None:
    """The floor that knows best comes first; later ones add only what is missing."""
    error = TransferError("failed", chunk=3).with_context(chunk=9, file="a").with_context(file="b")
    assert (error.chunk, error.file) == (3, "a")


def test_an_error_without_words_has_its_name() -> None:
    """Even then, a log line says something."""
    assert str(errors.Cancelled()) == "Cancelled"


def test_a_remedy_of_the_moment_replaces_the_general_one() -> None:
    """Who raises may know better what to do."""
    assert errors.KeysNotFound("x", remedy="Do this.").remedy == "Do this."
    assert errors.KeysNotFound("x", remedy="").remedy == ""


def test_the_list_of_public_errors_is_complete() -> None:
    """What the module defines, it offers."""
    defined = {kind.__name__ for kind in EVERY if kind.__module__ == errors.__name__}
    assert set(errors.__all__) == defined
