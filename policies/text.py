"""Text: when two names written differently are the same name."""

from __future__ import annotations

import unicodedata

_ALIKE = str.maketrans(
    {
        **dict.fromkeys("[{〔【〖〈《「『", "("),
        **dict.fromkeys("]}〕】〗〉》」』", ")"),
        **dict.fromkeys("•・‧∙⋅●", "·"),  # the dot in 阿依古丽·买买提, as different keyboards write it
    }
)


def normalise_name(name: str) -> str:
    """A name for comparing, never for showing: width, brackets, dots, case and white space made alike.

    ``晨光(北京)文具有限公司`` and ``晨光（北京）文具 有限公司`` give the same text. Invisible characters
    vanish, so a name made only of them is empty.
    """
    while (folded := _fold(name)) != name:  # what vanishes can bring together what then joins up
        name = folded
    return name


def _fold(name: str) -> str:
    alike = unicodedata.normalize("NFKC", name).translate(_ALIKE).casefold()
    if alike.isprintable() and " " not in alike:
        return alike  # nothing invisible in it, as in most names
    return "".join(c for c in alike if not c.isspace() and unicodedata.category(c) not in {"Cf", "Cc"})


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same once normalised. Nothing is the same as an empty name."""
    plain = normalise_name(one)
    return bool(plain) and (one == other or plain == normalise_name(other))
