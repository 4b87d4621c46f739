"""Tests of the formulas in the diffusion checks and of the models that the checks pass."""

import signal
import threading
import time

import pytest
import torch

from autograder import check
from autograder.checks import registry, step_mistakes
from autograder.checks.base import Draw, close
from autograder.checks.runs import GaussianRun, draw_long_schedule
from autograder.inside import student
from autograder.inside.guards import deadline
from autograder.inside.stubs import Stub
from autograder.inside.student import InKernel, WrongAnswer
from mnistdiff import samplers

SEEDS = range(50)


def test_the_formulas_of_the_checks_match_the_library() -> None:
    for seed in SEEDS:
        draw = Draw(seed)
        betas, abar = step_mistakes.draw_schedule(draw)
        x_t, eps, noise = (draw.signed(3, 4) for _ in range(3))
        for pair in step_mistakes.draw_pairs(draw):
            for eta in (0.0, 0.3, 1.0):
                ours = step_mistakes.ddim_step(x_t, eps, pair, eta, noise)
                assert close(samplers.ddim_step(x_t, eps, *pair, eta, noise), ours)
                sigma = step_mistakes.ddim_sigma(*pair, eta)
                assert close(samplers.ddim_sigma(*pair, eta), sigma)
        for t in range(1, len(abar)):
            ours = step_mistakes.ddpm_step(x_t, eps, betas[t], (abar[t], abar[t - 1]), noise)
            assert close(samplers.ddpm_step(x_t, eps, t, betas, abar, noise), ours)


def test_the_drawn_schedules_are_benign_for_float32() -> None:
    for seed in SEEDS:
        for draw_one in (step_mistakes.draw_schedule, draw_long_schedule):
            betas, abar = draw_one(Draw(seed))
            assert len(betas) == len(abar)
            assert 0.0005 < betas.min() <= betas.max() < 0.31
            assert abar.min() > 0.002
        for abar_t, abar_prev in step_mistakes.draw_pairs(Draw(seed)):
            assert abar_t < 0.96 * abar_prev


def test_a_run_of_the_optimal_model_ends_at_the_exact_samples() -> None:
    for seed in SEEDS:
        run = GaussianRun(Draw(seed))
        assert run.kept == sorted(set(run.kept), reverse=True)
        assert (run.end() - run.exact).abs().max() < 0.3
        assert (run.exact - run.exact.mean()).abs().max() > 0.3


def test_every_timestep_count_has_one_trailing_answer() -> None:
    diffusers = pytest.importorskip("diffusers")
    cell = registry()["ddim_timesteps"]()
    scheduler_of = diffusers.DDIMScheduler
    for seed in SEEDS:
        draw = Draw(seed)
        for total, count in (cell._divisible(draw), cell._uneven(draw), (50, 50), (50, 1)):
            scheduler = scheduler_of(num_train_timesteps=total, timestep_spacing="trailing")
            scheduler.set_timesteps(count)
            assert scheduler.timesteps.tolist() == samplers.inference_timesteps(total, count)


def test_stubs_are_built_on_the_students_side() -> None:
    stub = Stub("linear_eps", A=2 * torch.eye(3), slope=torch.ones(3), bias=torch.zeros(2, 3))
    student = InKernel({"f": lambda model, x, t: model(x, t)})
    x, t = torch.ones(2, 3), torch.tensor([0, 5])
    assert student.call("f", stub, x, t).tolist() == [[2.0] * 3, [7.0] * 3]
    by_a, by_x, by_bias = student.grad("f", [stub, x, t], ((0, "A"), 1, (0, "bias")))
    weights = 1 + torch.arange(6).reshape(2, 3) / 6  # of the entries in the sum that is derived
    torch.testing.assert_close(by_bias, weights)
    torch.testing.assert_close(by_x, 2 * weights)
    torch.testing.assert_close(by_a, weights.sum(0)[:, None].expand(3, 3))
    for arguments in ((t, x), (x, t[:, None]), (x, 3)):
        with pytest.raises(WrongAnswer, match="the model"):
            student.call("f", stub, *arguments)


def test_endless_code_is_interrupted_and_the_timer_restored(monkeypatch, capfd) -> None:
    monkeypatch.setattr(student, "MAX_SECONDS", 0.05)

    def stuck(*args: object) -> None:
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                continue

    before = signal.getsignal(signal.SIGALRM)
    assert check("ddim_timesteps", {"ddim_timesteps": stuck}) == 0.0
    assert "does it ever end?" in capfd.readouterr().out
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_endless_earlier_cell_costs_its_own_marks_only(monkeypatch) -> None:
    monkeypatch.setattr(student, "MAX_SECONDS", 0.05)

    def stuck(*args: object) -> None:
        while True:
            pass

    def ddim_step(x_t, eps, abar_t, abar_prev, eta, noise):
        sigma = namespace["ddim_sigma"](abar_t, abar_prev, eta)
        x0_hat = (x_t - (1 - abar_t).sqrt() * eps) / abar_t.sqrt()
        direction = (1 - abar_prev - sigma**2).sqrt() * eps
        return abar_prev.sqrt() * x0_hat + direction + sigma * noise

    namespace = {"ddim_step": ddim_step, "ddim_sigma": stuck}
    assert check("ddim_step", namespace) == 8.0
    assert namespace["ddim_sigma"] is stuck


def test_a_timer_of_the_notebook_keeps_running() -> None:
    signal.setitimer(signal.ITIMER_REAL, 100.0)
    try:
        with deadline(5.0):
            assert signal.getitimer(signal.ITIMER_REAL)[0] <= 5.0
        assert 90 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100.0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def test_outside_the_main_thread_a_check_runs_without_a_deadline() -> None:
    points = []

    def factor(latents: torch.Tensor) -> torch.Tensor:
        return 1 / latents.std()

    thread = threading.Thread(
        target=lambda: points.append(check("scaling_factor", {"scaling_factor": factor}))
    )
    thread.start()
    thread.join()
    assert points == [3.0]
