"""Is the library's own answer out of reach while its cell is checked, and only then?"""

import pytest
import torch

import mnistdiff.metrics
import mnistdiff.vae
from autograder import check
from autograder.checks import find, registry, require_library_functions
from autograder.inside.guards import locate, seal

MU = torch.zeros(2, 3)
UNSEALED = {"insert_lora", "edit_sampler"}  # the library has no function that does it for them
PATHS = sorted({path for each in registry().values() for path in each.seals})


@pytest.mark.parametrize("grade_id", registry())
def test_every_check_seals_something_that_exists(grade_id: str) -> None:
    assert registry()[grade_id].seals or grade_id in UNSEALED
    for path in (*registry()[grade_id].seals, *registry()[grade_id].stand_ins.values()):
        assert callable(locate(path))
    require_library_functions()


@pytest.mark.parametrize(
    "path",
    [
        "mnistdiff.measures:active_units",  # as after a module was moved
        "mnistdiff.metrics:active_unit",
        "mnistdiff.vae:VAEs.reparameterize",
        "mnistdiff.vae:VAE",  # `seal` can only close functions
    ],
)
@pytest.mark.parametrize("kind", ["seals", "stand_ins"])
def test_a_stale_path_is_an_error_and_leaves_no_seal_open(monkeypatch, kind: str, path: str):
    stale = {"seals": (path,), "stand_ins": {"active_units": path}}[kind]
    monkeypatch.setattr(find("active_units"), kind, stale)
    with pytest.raises(RuntimeError, match=f"active_units.*{path}.*correct the path"):
        require_library_functions()


def test_a_worker_does_not_start_with_a_stale_path(monkeypatch) -> None:
    from autograder.grading import worker

    monkeypatch.setattr(worker, "Worker", lambda: None)
    monkeypatch.setattr(find("active_units"), "seals", ("mnistdiff.measures:active_units",))
    with pytest.raises(RuntimeError, match="correct the path"):
        worker.main()


@pytest.mark.parametrize("path", PATHS)
def test_a_sealed_function_raises_a_sentence_and_works_again(path: str) -> None:
    function = locate(path)
    code = function.__code__
    with seal([path]):
        with pytest.raises(RuntimeError, match="is sealed while this cell is checked"):
            function()
        with pytest.raises(RuntimeError, match=path.replace(":", ".")):
            function(1, 2, anything=3)
    assert function.__code__ is code


def test_aliases_and_detours_are_caught() -> None:
    alias = mnistdiff.vae.kl_divergence
    with seal(["mnistdiff.vae:kl_divergence", "mnistdiff.vae:VAE.reparameterize"]):
        with pytest.raises(RuntimeError, match="sealed"):
            alias(MU, MU)
        with pytest.raises(RuntimeError, match="sealed"):
            mnistdiff.vae.vae_loss(MU, MU, MU, MU)
        with pytest.raises(RuntimeError, match="sealed"):
            mnistdiff.vae.VAE(mnistdiff.vae.VAEConfig(latent_dim=2)).reparameterize(MU, MU, MU)
    assert alias(MU, MU).item() == 0


def test_the_seal_comes_off_when_the_block_raises() -> None:
    with pytest.raises(ZeroDivisionError), seal(PATHS):
        raise ZeroDivisionError
    with pytest.raises(RuntimeError), seal(PATHS), seal(PATHS):
        mnistdiff.metrics.active_units(MU)
    assert mnistdiff.metrics.active_units(MU) == 0


def test_the_seal_is_on_during_the_check_and_off_after_it() -> None:
    seen = []

    def peek(mu: torch.Tensor, threshold: float = 0.01) -> int:
        try:
            mnistdiff.metrics.active_units(mu, threshold)
        except RuntimeError as error:
            seen.append(str(error))
        mnistdiff.metrics.kl_per_dimension(mu, mu)  # another cell's function stays open
        return int((mu.var(0) > threshold).sum())

    assert check("active_units", {"active_units": peek}) == 3.0
    assert seen
    assert mnistdiff.metrics.active_units(MU) == 0


def test_a_function_that_the_notebook_deleted_does_not_stop_the_check(monkeypatch) -> None:
    monkeypatch.delattr(mnistdiff.metrics, "active_units")
    assert check("active_units", {}) == 0.0
