"""Training resumes bit for bit after SIGKILL and caches by its whole configuration."""

import ast
import fcntl
import itertools
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mnistdiff.errors import MnistdiffError
from mnistdiff.latent import EpsMLP, EpsMLPConfig
from mnistdiff.lora import LoRALinear, inject_lora
from mnistdiff.runtime import seed_everything
from mnistdiff.schedules import NoiseSchedule, cosine_beta_schedule, linear_beta_schedule
from mnistdiff.storage import read_weights, save_weights
from mnistdiff.training import EMA, DiffusionLoss, TrainConfig, VAELoss, cache, fit_or_load, train
from mnistdiff.training.cache import CODE, PACKAGE, Run
from mnistdiff.vae import VAE, VAEConfig

IMAGES = torch.rand(96, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def small_vae() -> VAE:
    seed_everything(0)
    return VAE(VAEConfig(2, 8, 1))


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def fit(epochs=2, beta=1.0, images=IMAGES, **config):
    model = small_vae()
    settings = TrainConfig(epochs, batch_size=32, **config)
    done = fit_or_load(
        "test", model, VAELoss(beta, "mse"), (images,), settings, settings={"b": beta}
    )
    return model, done


def test_yields_each_step_and_the_epochs_means():
    steps = list(train(small_vae(), VAELoss(1.0, "mse"), (IMAGES,), TrainConfig(2, 32)))
    assert [s.step for s in steps] == [1, 2, 3, 4, 5, 6]
    assert [s.epoch_means is not None for s in steps] == [False, False, True] * 2
    mean = sum(float(s.losses["total"]) for s in steps[:3]) / 3
    assert steps[2].epoch_means["total"] == pytest.approx(mean, rel=1e-5)
    assert steps[-1].epoch_means["total"] < steps[2].epoch_means["total"]


def test_a_seed_gives_its_generator():
    ours, theirs = seed_everything(3), torch.Generator().manual_seed(3)
    torch.rand(1)  # from torch's own generator, which has the same seed
    assert torch.equal(torch.rand(3, generator=ours), torch.rand(3, generator=theirs))


def test_a_short_last_batch_counts_by_its_images():
    images = IMAGES[:40]
    steps = list(train(small_vae(), VAELoss(1.0, "mse"), (images,), TrainConfig(1, 32)))
    full, short = (float(step.losses["total"]) for step in steps)
    by_hand = (32 * full + 8 * short) / 40
    assert steps[-1].epoch_means["total"] == pytest.approx(by_hand, rel=1e-5)


class Weight(nn.Module):
    """One weight; with a constant gradient, each of Adam's steps is one learning rate long."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))


def falls(model, images, generator):
    return {"total": model.weight.sum()}


@pytest.mark.parametrize("cosine_decay", [False, True])
def test_the_learning_rate_of_each_step_is_that_of_pytorchs_schedule(cosine_decay):
    model = Weight()
    config = TrainConfig(2, 32, learning_rate=0.1, cosine_decay=cosine_decay)
    places = [0.0] + [model.weight.item() for _ in train(model, falls, (IMAGES,), config)]
    moves = [before - after for before, after in itertools.pairwise(places)]
    theirs = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, T_max=6)
    rates = []
    for _ in range(6):
        rates += schedule.get_last_lr() if cosine_decay else [0.1]
        theirs.step()
        schedule.step()
    assert moves == pytest.approx(rates, rel=1e-6)


def test_same_seed_same_weights_other_seed_other_weights():
    runs = []
    for seed in (0, 0, 1):
        model = small_vae()
        list(train(model, VAELoss(1.0, "mse"), (IMAGES,), TrainConfig(1, 32, seed=seed)))
        runs.append(weights(model))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


@pytest.mark.parametrize(
    "options", [{}, {"ema_decay": 0.9}, {"optimiser": "muon", "cosine_decay": True}], ids=str
)
def test_resumes_bit_identically_from_any_step(tmp_path, options):
    config = TrainConfig(4, 32, **options)
    loss, data = VAELoss(1.0, "mse"), (IMAGES,)
    whole = small_vae()
    list(train(whole, loss, data, config))
    for stop_at in (1, 3, 5, 8):
        path = tmp_path / f"{stop_at}.checkpoint"
        for step in train(small_vae(), loss, data, config, checkpoint=path, run_key="k"):
            if step.step == stop_at:
                break
        resumed = small_vae()
        list(train(resumed, loss, data, config, checkpoint=path, run_key="k"))
        assert same(weights(whole), weights(resumed)), f"stopped at step {stop_at}"


KILLED = textwrap.dedent("""
    import torch
    torch.set_num_threads(1)
    from mnistdiff.training import VAELoss
    from mnistdiff.training import TrainConfig, fit_or_load
    from mnistdiff.runtime import seed_everything
    from mnistdiff.vae import VAE, VAEConfig

    images = torch.rand(256, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    seed_everything(0)
    model = VAE(VAEConfig(2, 64, 1))
    print("ready", flush=True)
    loss, config = VAELoss(1.0, "mse"), TrainConfig(40, batch_size=32)
    print(fit_or_load("killed", model, loss, (images,), config, settings={}).path, flush=True)
""")


def start(cache):
    environment = os.environ | {"MNISTDIFF_CACHE": str(cache), "CI": "true"}
    command = [sys.executable, "-c", KILLED]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_sigkill_at_any_moment_changes_no_bit(tmp_path):
    whole = start(tmp_path / "whole").communicate(timeout=120)[0].split()[1]
    cache = tmp_path / "killed"
    for delay in (0.05, 0.25):  # seconds of training before each kill
        process = start(cache)
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    resumed = start(cache).communicate(timeout=120)[0].split()[1]
    ours, theirs = (read_weights(path)[0] for path in (resumed, whole))
    assert same(ours, theirs)


def test_second_call_loads_and_any_change_trains_anew():
    first, done = fit()
    again, loaded = fit()
    assert loaded.path == done.path
    assert loaded.history == done.history
    assert same(weights(first), weights(again))
    assert not done.path.with_suffix(".checkpoint").exists()
    others = [fit(beta=2.0), fit(seed=1), fit(epochs=3), fit(images=IMAGES.flip(0))]
    assert len({done.path, *(other.path for _, other in others)}) == 5


def test_history_is_whole_after_an_interruption(monkeypatch):
    real = train

    def interrupted(*args, **kwargs):
        for step in real(*args, **kwargs):
            yield step
            if step.step == 4:
                raise KeyboardInterrupt

    monkeypatch.setattr(cache, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(epochs=3)
    monkeypatch.setattr(cache, "train", real)
    _, done = fit(epochs=3)
    assert [entry["epoch"] for entry in done.history] == [1, 2, 3]


def test_corrupt_cache_gets_a_sentence():
    _, done = fit()
    done.path.write_bytes(b"oops")
    with pytest.raises(MnistdiffError, match="delete it and train again"):
        fit()


def test_unwritable_cache_gets_a_sentence(tmp_path, monkeypatch):
    blocker = tmp_path / "file"
    blocker.write_text("in the way")
    monkeypatch.setenv("MNISTDIFF_CACHE", str(blocker / "cache"))
    with pytest.raises(MnistdiffError, match="MNISTDIFF_CACHE"):
        fit()


def test_foreign_checkpoint_gets_a_sentence(tmp_path):
    path = tmp_path / "c.checkpoint"
    loss, data, config = VAELoss(1.0, "mse"), (IMAGES,), TrainConfig(1, 32)
    list(train(small_vae(), loss, data, config, checkpoint=path, run_key="one"))
    with pytest.raises(MnistdiffError, match="not a checkpoint of this run"):
        list(train(small_vae(), loss, data, config, checkpoint=path, run_key="two"))


@pytest.mark.parametrize("key", ["epoch", "step", "seconds", "history", "ema_updates"])
def test_checkpoint_without_an_entry_is_told_in_words(tmp_path, key):
    path = tmp_path / "c.checkpoint"
    loss, data, config = VAELoss(1.0, "mse"), (IMAGES,), TrainConfig(1, 32, ema_decay=0.9)
    list(train(small_vae(), loss, data, config, checkpoint=path, run_key="one"))
    tensors, meta = read_weights(path)
    del meta[key]
    save_weights(path, tensors, meta)
    with pytest.raises(MnistdiffError, match=rf"c\.checkpoint lacks '{key}'"):
        list(train(small_vae(), loss, data, config, checkpoint=path, run_key="one"))


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0},
        {"epochs": True},
        {"epochs": 1, "batch_size": 0},
        {"epochs": 1, "learning_rate": -1.0},
        {"epochs": 1, "learning_rate": "fast"},
        {"epochs": 1, "ema_decay": 1.0},
        {"epochs": 1, "ema_decay": "long"},
    ],
)
def test_bad_settings_get_a_sentence(bad):
    with pytest.raises(MnistdiffError, match="must be"):
        TrainConfig(**bad)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((IMAGES.numpy(),), "are ndarray; expected a tuple of tensors"),
        (IMAGES, "expected a tuple of tensors"),
        (((IMAGES * 255).byte(),), "images are uint8; expected float32"),
        ((IMAGES[:0],), "0 images"),
        ((), "0 images"),
    ],
)
def test_data_that_cannot_be_trained_on_get_a_sentence(data, words):
    with pytest.raises(MnistdiffError, match=words):
        list(train(small_vae(), VAELoss(1.0, "mse"), data, TrainConfig(1)))


def test_ema_follows_the_closed_form():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    ema, expected = EMA(model, 0.9), 0.0
    for n, value in enumerate((1.0, 2.0, 3.0), start=1):
        torch.nn.init.constant_(model.weight, value)
        ema.update(model)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * value
    assert ema.shadow["weight"].item() == pytest.approx(expected)


def test_under_grading_nothing_is_trained_or_written(tmp_path):
    code = """
import sys, time, torch
from mnistdiff.experiments import fit_vae, get_profile
run = fit_vae(get_profile("quick"), beta=0.5, latent_dim=3)
assert run.model.encoder[0].weight.shape[0] == 32, "the smoke profile"
assert run.history[-1]["total"] > 0
assert "torch._dynamo" not in sys.modules, "seconds of imports"
"""
    environment = os.environ | {"NBGRADER_EXECUTION": "autograde", "MNISTDIFF_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    assert not list(tmp_path.rglob("*"))


def test_no_images_are_told_in_words():
    with pytest.raises(MnistdiffError, match="0 images"):
        next(train(small_vae(), VAELoss(1.0, "mse"), (IMAGES[:0],), TrainConfig(1)))


def test_the_cache_knows_what_a_loss_was_built_with(tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_CACHE", str(tmp_path))
    losses = [
        VAELoss(1.0, "mse"),
        VAELoss(2.0, "mse"),
        VAELoss(2.0, "bce"),
    ]
    paths = set()
    for loss in losses:
        fit = fit_or_load("vae", small_vae(), loss, (IMAGES,), TrainConfig(1), settings={})
        paths.add(fit.path)
    schedules = [NoiseSchedule(make(20)) for make in (linear_beta_schedule, cosine_beta_schedule)]
    for schedule in schedules:
        for kind in ("epsilon", "v_prediction"):
            seed_everything(0)
            network = EpsMLP(EpsMLPConfig(4, 8, 1, 4))
            loss, data = DiffusionLoss(schedule, kind), (IMAGES.flatten(1)[:, :4],)
            fit = fit_or_load("eps", network, loss, data, TrainConfig(1), settings={})
            paths.add(fit.path)
    assert len(paths) == 7


def test_weights_without_a_history_get_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_CACHE", str(tmp_path))
    run = ("vae", small_vae(), VAELoss(1.0, "mse"), (IMAGES,), TrainConfig(1))
    fit = fit_or_load(*run, settings={})
    save_file(load_file(fit.path), fit.path)
    fresh = ("vae", small_vae(), *run[2:])
    with pytest.raises(MnistdiffError, match="train again"):
        fit_or_load(*fresh, settings={})


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1"])
def test_a_seed_out_of_range_is_told_in_words(seed):
    with pytest.raises(MnistdiffError, match="seed is"):
        seed_everything(seed)
    with pytest.raises(MnistdiffError, match="seed is"):
        TrainConfig(1, seed=seed)


def test_a_run_that_diverges_is_told_and_not_kept(tmp_path):
    path = tmp_path / "c.checkpoint"
    run = train(
        *(small_vae(), VAELoss(1e39, "mse"), (IMAGES,), TrainConfig(2, 32)),
        checkpoint=path,
        run_key="k",
    )
    with pytest.raises(MnistdiffError, match="diverged"):
        list(run)
    assert not path.exists()


def test_a_second_process_waits_for_the_first_and_trains_nothing(tmp_path, monkeypatch, capsys):
    """Both used to train, and to write over each other's checkpoints."""
    first, done = fit()
    kept = tmp_path / "kept"
    done.path.rename(kept)  # as if it were still being trained
    held = open(done.path.with_suffix(".lock"), "w")  # noqa: SIM115
    fcntl.flock(held, fcntl.LOCK_EX)

    def finish(file, operation):
        kept.rename(done.path)
        held.close()
        real(file, operation)

    real = fcntl.flock
    calls = iter([real, finish])
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: next(calls)(file, operation))
    monkeypatch.setattr(cache, "_fit", None)
    second, loaded = fit()
    assert same(weights(first), weights(second))
    assert loaded.history == done.history
    assert "waiting" in capsys.readouterr().err
    assert [path.suffix for path in done.path.parent.iterdir()] == [".safetensors"]


def imported_by(*names):
    """The package's files that these files import, directly or through others, with themselves."""
    found, waiting = set(), [*names]
    while waiting:
        name = waiting.pop()
        found.add(name)
        tree = ast.parse((PACKAGE / f"{name}.py").read_text())
        modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        ours = [m.partition(".")[2].replace(".", "/") for m in modules if m.startswith("mnistdiff")]
        waiting += [name for name in ours if name not in found]
    return found


def test_the_cache_key_hashes_every_file_that_the_weights_depend_on():
    """EMA, TrainState, Muon, the losses, autocast, batches ... wherever they move to."""
    only_messages = {"errors"}
    needed = imported_by("training/loop", "training/objectives") - only_messages
    assert needed == set(CODE)
    models = {"vae", "unet", "latent", "clip", "lora", "metrics/classifier"}
    assert imported_by(*models) - models - only_messages <= set(CODE)


@pytest.mark.parametrize("file", CODE)
def test_the_cache_key_changes_with_the_code(tmp_path, monkeypatch, file):
    shutil.copytree(PACKAGE, tmp_path / "copy", ignore=shutil.ignore_patterns("weights"))
    monkeypatch.setattr(cache, "PACKAGE", tmp_path / "copy")
    run = ("vae", small_vae(), VAELoss(1.0, "mse"), (IMAGES,), TrainConfig(1), {})
    before = Run(*run).key
    assert Run(*run).key == before
    with (tmp_path / "copy" / f"{file}.py").open("a") as code:
        code.write("# changed\n")
    assert Run(*run).key != before


def test_the_cache_key_hashes_the_classes_of_a_models_parts(monkeypatch):
    network = EpsMLP(EpsMLPConfig(4, 8, 1, 4))
    inject_lora(network, 1)
    hashed = []
    real = cache._code_of
    monkeypatch.setattr(cache, "_code_of", lambda part: hashed.append(part) or real(part))
    assert Run("lora", network, mean_loss, (), TrainConfig(1), {}).key
    assert {EpsMLP, LoRALinear, mean_loss} <= set(hashed)
    assert torch.nn.Linear not in hashed


def mean_loss(model, images, generator, scale):
    return {"total": scale * model(images).square().mean()}


def test_the_cache_knows_what_a_loss_holds_in_lists_and_what_is_bound_to_it():
    class Weighted:
        def __init__(self, scales):
            self.scales = scales

        def __call__(self, model, images, generator):
            return mean_loss(model, images, generator, self.scales[0])

    losses = [Weighted([1.0]), Weighted([2.0])]
    losses += [partial(mean_loss, scale=scale) for scale in (1.0, 2.0)]
    paths = set()
    for loss in losses:
        seed_everything(0)
        model, data = torch.nn.Linear(3, 1), (torch.ones(4, 3),)
        paths.add(fit_or_load("own", model, loss, data, TrainConfig(1), settings={}).path)
    assert len(paths) == 4


def test_a_loss_without_source_is_told_in_words(monkeypatch):
    shell = ModuleType("shell")  # as where Python's prompt keeps what is typed
    monkeypatch.setitem(sys.modules, "shell", shell)
    exec("def typed(model, images, generator): pass", vars(shell))
    model = torch.nn.Linear(3, 1)
    with pytest.raises(MnistdiffError, match="source of typed"):
        fit_or_load("own", model, shell.typed, (torch.ones(4, 3),), TrainConfig(1), settings={})
