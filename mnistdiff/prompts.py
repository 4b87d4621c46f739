"""The text-to-image model's prompts: its vocabulary, its tokens, and its training prompts.

A prompt names at most one digit; the other words are neutral, and the model learns to ignore them.
Styles are not words: they come as LoRAs.
"""

import re
from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from mnistdiff.errors import MnistdiffError

DIGIT_NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
NEUTRAL_WORDS = (  # noqa: SIM905
    "a an the of in on with this it is shows image picture photo scan drawing sketch digit number "
    "numeral figure handwritten written hand by drawn black white background grayscale mnist"
).split()
VOCABULARY = ("<pad>", "<end>", *"0123456789", *DIGIT_NAMES, *NEUTRAL_WORDS)
TOKENS = {word: token for token, word in enumerate(VOCABULARY)}
PAD, END = 0, 1
MAX_WORDS = 15
DIGIT_OF = {word: i % 10 for i, word in enumerate([*"0123456789", *DIGIT_NAMES])}


def words_of(prompt: str) -> list[str]:
    """Return the words of a prompt in lower case, without punctuation.

    Raises MnistdiffError if the prompt is not a string, has a word outside the vocabulary, has more
    than MAX_WORDS words, or names two different digits.
    """
    if not isinstance(prompt, str):
        raise MnistdiffError(f"the prompt is {prompt!r}; it must be text such as 'a seven'.")
    words = re.sub(r"[^\w\s]|_", " ", prompt.lower()).split()
    unknown = [word for word in words if word not in TOKENS]
    if unknown:
        raise MnistdiffError(
            f"the prompt {prompt!r:.60} has a word that the model never saw: {unknown[0]!r:.60}. "
            f"It knows the digits 0 to 9, their names, and: {' '.join(NEUTRAL_WORDS)}."
        )
    if len(words) > MAX_WORDS:
        raise MnistdiffError(
            f"the prompt {prompt[:40]!r}... has {len(words)} words; at most {MAX_WORDS} fit."
        )
    digits = {DIGIT_OF[word] for word in words if word in DIGIT_OF}
    if len(digits) > 1:
        raise MnistdiffError(
            f"the prompt {prompt!r} names the digits {', '.join(map(str, sorted(digits)))}; the "
            "model draws one digit: name one, or give a list of prompts."
        )
    return words


def digit_in(prompt: str) -> int | None:
    """Return the digit that a prompt names, or None. Raises as `words_of`."""
    return next((DIGIT_OF[word] for word in words_of(prompt) if word in DIGIT_OF), None)


def tokenize(prompts: Sequence[str]) -> Int[Tensor, "n l"]:
    """Return token ids with an end token after the last word, padded to the longest prompt.

    Raises as `words_of`, and if prompts is a string or empty.
    """
    if isinstance(prompts, str) or not len(prompts):
        raise MnistdiffError(f"prompts are {prompts!r}; expected a list such as ['a seven'].")
    rows = [[*(TOKENS[word] for word in words_of(prompt)), END] for prompt in prompts]
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


TEMPLATES = (
    "{}",
    "a {}",
    "the digit {}",
    "a handwritten {}",
    "photo of the digit {}",
    "an image of a {}",
    "the number {}",
    "handwritten digit {}",
    "a drawing of the number {}",
    "this is a {}",
    "a picture of the figure {}",
    "a white {} on a black background",
    "mnist digit {}",
    "it shows the numeral {} written by hand",
)
# never used in training; the evaluation asks them too
HELD_OUT_TEMPLATES = (
    "a photo of a handwritten {}",
    "this image shows the digit {}",
    "a sketch of the number {} in black on white",
    "the numeral {} drawn by hand",
    "handwritten {} in the mnist image",
    "a grayscale scan of the written figure {}",
)


def prompts_for(digit: int, templates: Sequence[str] = TEMPLATES) -> list[str]:
    """Return every template with the digit as a figure and as a word."""
    return [t.format(name) for t in templates for name in (str(digit), DIGIT_NAMES[digit])]


def random_prompt(digit: int, generator: torch.Generator) -> str:
    """Draw a training prompt: a template, or neutral words in random order around the digit.

    The random words teach the model that only the digit matters, wherever it stands.
    """

    def draw(n: int) -> int:
        return int(torch.randint(n, (), generator=generator))

    name = (str(digit), DIGIT_NAMES[digit])[draw(2)]
    if draw(2):
        return TEMPLATES[draw(len(TEMPLATES))].format(name)
    words = [NEUTRAL_WORDS[draw(len(NEUTRAL_WORDS))] for _ in range(draw(MAX_WORDS - 6))]
    words.insert(draw(len(words) + 1), name)
    return " ".join(words)
