"""The `mnistdiff` command: JSON out, sentences for bad input, never a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mnistdiff.cli import commands, main


def run(capsys, *arguments):
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_train_vae_prints_one_json_object(capsys, tmp_path):
    saved = tmp_path / "result.json"
    arguments = ("train", "vae", "--profile", "smoke", "--beta", "0.5", "--latent-dim", "3")
    code, out, _ = run(capsys, *arguments, "--json", "--save-json", str(saved))
    assert code == 0
    row = json.loads(out.strip().splitlines()[-1])
    assert row["total"] == pytest.approx(row["recon"] + 0.5 * row["kl"], rel=1e-5)
    wanted = {"total_test", "recon_test", "kl_test", "seed", "data", "seconds", "active_units"}
    assert wanted <= set(row)
    assert (row["latent_dim"], row["epochs"], row["data"]) == (3, 1, "bundled")
    assert {"commit", "hardware"} <= set(json.loads(saved.read_text()))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--beta", "-1"), "beta is -1.0"),
        (("--latent-dim", "0"), "latent_dim is 0"),
        (("--loss", "l1"), "'l1'"),
        (("--epochs", "0"), "epochs is 0"),
        (("--profile", "fast"), "'fast'"),
        (("--beta", "1e39"), "the training has diverged"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_2(capsys, arguments, words):
    code, out, err = run(capsys, "train", "vae", "--profile", "smoke", *arguments)
    assert code == 2
    assert words in err
    assert err.count("\n") == 1
    assert "Traceback" not in err + out


def test_missing_mnist_is_a_sentence(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_DATA", str(tmp_path))
    code, _, err = run(capsys, "eval", "judge")
    assert code == 2
    assert "mnistdiff data download" in err


def test_unwritable_result_file_is_a_sentence(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_DATA", str(tmp_path))
    blocker = tmp_path / "file"
    blocker.write_text("")
    code, _, err = run(capsys, "data", "info", "--save-json", str(blocker / "x" / "r.json"))
    assert code == 2
    assert "cannot be written" in err


@pytest.mark.parametrize("arguments", [("sample", "7", "-o"), ("comfyui", "run")])
def test_a_result_replaces_no_file_of_the_command(capsys, tmp_path, arguments):
    file = tmp_path / "one.png"
    file.write_text("mine")
    code, _, err = run(capsys, *arguments, str(file), "--save-json", str(file))
    assert code == 2
    assert "choose another file" in err
    assert file.read_text() == "mine"


@pytest.mark.parametrize("model", [("tiny-sd", "--profile", "smoke"), ("judge",), ("second",)])
def test_a_folder_that_takes_no_weights_is_told_before_training(
    capsys, tmp_path, monkeypatch, model
):
    monkeypatch.setenv("MNISTDIFF_CACHE", str(tmp_path / "cache"))
    (tmp_path / "file").write_text("")
    code, _, err = run(capsys, "train", *model, "--out", str(tmp_path / "file"))
    assert code == 2
    assert "cannot be written" in err
    assert not (tmp_path / "cache").exists()


@pytest.mark.filterwarnings("default")
def test_data_info_says_what_auto_finds(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_DATA", str(tmp_path))
    code, out, err = run(capsys, "data", "info", "--json")
    assert code == 0
    assert err.startswith("mnistdiff: warning: MNISTDIFF_DATA is set, but ")
    assert err.count("\n") == 1
    assert json.loads(out)["train"] == {"images": 4000, "source": "bundled"}


def test_json_has_null_where_a_number_is_infinite_or_none(capsys, tmp_path, monkeypatch):
    values = {"a": float("nan"), "b": {"c": [1.5, float("-inf")]}, "d": (float("inf"), 2)}
    monkeypatch.setattr(commands, "info", lambda options: values)
    saved = tmp_path / "result.json"
    code, out, _ = run(capsys, "data", "info", "--json", "--save-json", str(saved))
    assert code == 0
    expected = {"a": None, "b": {"c": [1.5, None]}, "d": [None, 2]}
    assert json.loads(out, parse_constant=pytest.fail) == expected
    assert expected.items() <= json.loads(saved.read_text(), parse_constant=pytest.fail).items()


def test_a_workflow_is_not_run_for_a_picture_that_cannot_be_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("mnistdiff.comfyui.workflow.run_workflow", pytest.fail)
    for name, words in (("digits.jpg", "must end in one of"), ("a.png", "cannot be written")):
        (tmp_path / "a.png").mkdir(exist_ok=True)
        code, _, err = run(capsys, "comfyui", "run", "basic", "--output", str(tmp_path / name))
        assert code == 2
        assert words in err


def test_a_curve_is_asked_for_with_its_file(capsys, tmp_path, monkeypatch):
    with pytest.raises(SystemExit):
        main(["eval", "curve", "--space", "latent"])
    assert "--out" in capsys.readouterr().err
    seen = []
    monkeypatch.setattr(
        "mnistdiff.evaluation.quality_curve", lambda *given: seen.append(given) or {"n": 7}
    )
    out = tmp_path / "c.json"
    code, said, _ = run(capsys, "eval", "curve", "--space", "latent", "--n", "7", "--out", str(out))
    assert (code, said) == (0, "n: 7\n")
    assert seen == [("latent", 7, 0, out)]


def test_lists_are_not_shown_as_intervals(capsys, monkeypatch):
    values = {"prompts": ["7", "three"], "interval": (0.1, 0.2)}
    monkeypatch.setattr(commands, "info", lambda options: values)
    _, out, _ = run(capsys, "data", "info")
    assert out == "prompts: 7, three\ninterval: 0.1 to 0.2\n"


@pytest.mark.parametrize("seed", ["²", "9" * 5000, "1.5", "-1"])
def test_what_is_no_seed_is_told_in_words(capsys, seed):
    with pytest.raises(SystemExit) as stop:
        main(["sample", "7", "--seed", seed])
    assert stop.value.code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "must be a whole number from 0 to 4294967295" in error
    assert len(error) < 200


def test_rows_are_shown_as_a_table(capsys, monkeypatch):
    rows = [{"scale": 1.0, "fd": 1.25119, "interval": (0.1, 0.25)}, {"scale": 12.5, "note": "x"}]
    monkeypatch.setattr(commands, "info", lambda options: {"n": 2, "frontier": rows})
    code, out, _ = run(capsys, "data", "info")
    assert code == 0
    assert out.splitlines() == [
        "n: 2",
        "frontier:",
        "  scale  fd     interval     note",
        "  1      1.251  0.1 to 0.25",
        "  12.5                       x",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "typo"), "does not exist. Check the name"),
        (("--lora", "/etc/passwd"), "/etc/passwd is not a readable safetensors file"),
    ],
)
def test_a_file_that_is_not_ours_is_told_and_never_to_be_deleted(capsys, arguments, words):
    code, _, err = run(capsys, "sample", "seven", *arguments)
    assert code == 2
    assert words in err
    assert "delete it" not in err


def test_ctrl_c_during_the_imports_is_a_sentence(tmp_path):
    (tmp_path / "torch.py").write_text(
        "import os, signal, time\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(20)\n"
        "except BaseException:\n    raise ImportError('swallowed')\n"
    )
    stopped = subprocess.run(
        [sys.executable, "-c", "from mnistdiff_command import main; main()"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert stopped.returncode == 130
    assert stopped.stderr == "\nmnistdiff: interrupted before it began; nothing was done\n"
