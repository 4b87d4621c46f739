"""MNIST from disk and from the bundled digits; bad files are named, not traced."""

import gzip
import struct

import numpy as np
import pytest
import torch

from mnistdiff.data import batches, load_mnist, to_signed, to_unit
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


@pytest.mark.parametrize("keep", [0.5, 0.999])
def test_truncated_gzip_is_named_in_words(raw, keep):
    path = raw / "t10k-images-idx3-ubyte.gz"
    packed = path.read_bytes()
    path.write_bytes(packed[: int(len(packed) * keep)])
    with pytest.raises(MnistdiffError, match=path.name):
        load_mnist("test")


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
