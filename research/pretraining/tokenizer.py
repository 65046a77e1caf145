"""The small model's tokenizer: byte-level, one token for a JSON key or a number word, the rest letter by letter.

Names and amounts are spelt letter by letter, because that is how they are read; what belongs to a small closed
vocabulary (keys, number words, currencies, the question) is one token, because answers get short.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cheques.fields import CHEQUE, CURRENCIES
from reader.prompt import question

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE, VIDEO = "<|image_pad|>", "<|video_pad|>"
SPECIALS = (PAD, START, END, VISION_START, VISION_END, "<|vision_pad|>", IMAGE, VIDEO)

VOCABULARY = 640  # of the model: more than the tokens below, so that a word can be added without another embedding

# A pre-token that is a word of the vocabulary is one token; any other is spelt. So a split never changes how a name
# is spelt, only which words can be whole.
SPLIT = (
    r'\{"[^"\\]+": "|", "[^"\\]+": "|"\}'  # JSON between two values
    r"| \([^()]*\)[,.]?"  # a hint of the question
    r"|[ /-]?\p{L}[\p{L}_]*|\p{N}|\s|[^\p{L}\p{N}\s]"
)

ACCENTED = "àâäçèéêëîïôöùûüÿæœñáíóúìòÀÂÄÇÈÉÊËÎÏÔÖÙÛÜŸÆŒÑÁÍÓÚÌÒ°«»€’‘–—…"

NUMBERS = (
    "zéro un une deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize vingt vingts "
    "trente quarante cinquante soixante septante huitante octante nonante cent cents mille million millions et"
)
UNITS = (
    "euro euros centime centimes franc francs suisse suisses cfa dirham dirhams dinar dinars millime millimes "
    "livre livres sterling penny pence dollar dollars canadien canadiens américain américains marocain marocains "
    "tunisien tunisiens algérien algériens de virgule"
)
CHAT = ("user", "assistant", "system", "\n")


def core() -> Any:
    """The tokenizer of the library `tokenizers`, which needs no transformers: drawing processes tokenise with it."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    pieces, merges = _vocabulary()
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIALS])
    return tokenizer


def build() -> Any:
    """The fast tokenizer (transformers), with the chat template of Qwen-VL; saved and loaded as it is."""
    from transformers import PreTrainedTokenizerFast

    fast = PreTrainedTokenizerFast(
        tokenizer_object=core(),
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens={
            "image_token": IMAGE,
            "video_token": VIDEO,
            "vision_start_token": VISION_START,
            "vision_end_token": VISION_END,
        },
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=2048,
    )
    fast.chat_template = TEMPLATE
    return fast


def words() -> list[str]:
    """Every text that is one token, beside the single letters: append only, since weights know them by number."""
    names = CHEQUE.names
    keys = [f'{{"{names[0]}": "', *(f'", "{name}": "' for name in names[1:]), '"}']
    spoken = [before + word for word in f"{NUMBERS} {UNITS}".split() for before in ("", " ", "-")]
    choices = [choice for field in CHEQUE for choice in field.choices]
    asked = list(_split(question(CHEQUE)))
    return list(dict.fromkeys(word for word in (*keys, *spoken, *choices, *CURRENCIES, *CHAT, *asked) if len(word) > 1))


def _vocabulary() -> tuple[list[str], list[tuple[str, str]]]:
    """Special tokens first (so that their numbers never move), then bytes, accented letters, words."""
    from tokenizers import pre_tokenizers

    pieces: dict[str, None] = dict.fromkeys((*SPECIALS, *sorted(pre_tokenizers.ByteLevel.alphabet())))
    merges: list[tuple[str, str]] = []
    for letter in ACCENTED:
        spelt = _bytes(letter)
        for end in range(2, len(spelt) + 1):
            if spelt[:end] not in pieces:
                merges.append((spelt[: end - 1], spelt[end - 1]))
                pieces[spelt[:end]] = None
    pieces |= dict.fromkeys(map(_bytes, words()))
    assert len(pieces) <= VOCABULARY, f"{len(pieces)} tokens, {VOCABULARY} places"
    return list(pieces), merges


def _bytes(text: str) -> str:
    """The text in the alphabet of byte-level BPE (one printable character for each byte)."""
    from tokenizers import pre_tokenizers

    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return "".join(piece for piece, _ in split)


def _split(text: str) -> Iterator[str]:
    from tokenizers import Regex, pre_tokenizers

    pieces: Iterable[tuple[str, Any]] = pre_tokenizers.Split(Regex(SPLIT), "isolated").pre_tokenize_str(text)
    return (piece for piece, _ in pieces)


TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content is string -%}{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' or 'image' in part or 'image_url' in part -%}
{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- elif part.type == 'video' or 'video' in part -%}
{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- elif 'text' in part -%}{{- part.text -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
