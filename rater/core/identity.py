"""Who is who, and which usage ids are the same: names and ids in one normal form (A40, A41).

Names of users are compared without blanks around them and without regard to case; a usage id of 32 hexadecimal
digits is the same id in each of the usual spellings of a GUID.  What is shown is decided elsewhere: of a user the
first spelling, of a usage id the normal form.
"""

import re
from hashlib import blake2b

#: No text that is shorter spells a GUID.
_GUID_DIGITS = 32
_DASHED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BARE = re.compile(r"[0-9a-f]{32}")
#: In lower case; the mark that opens must be closed, which `_CLOSED_BY` says.
_SPELLED = re.compile(
    r"(?:urn:uuid:)?([{(]?)([0-9a-f]{8})(-?)([0-9a-f]{4})\3([0-9a-f]{4})\3([0-9a-f]{4})\3([0-9a-f]{12})([})]?)"
)
_ERASED, _ERASED_ALIAS = "erased-", "erased/"
_PSEUDONYM = re.compile(rf"{_ERASED}[0-9a-f]{{20}}")
_CLOSED_BY = {"": "", "{": "}", "(": ")"}
#: The longest spelling: `urn:uuid:`, two marks, 32 digits and four dashes.
_LONGEST = 47


def name_key(user: str) -> str:
    """Under which a user is kept and compared, however its name is spelled; empty for no name at all."""
    return user.strip().casefold()


def same_user(one: str, other: str) -> bool:
    """Whether two spellings name the same user."""
    return one == other or name_key(one) == name_key(other)


def normal_usage_id(text: str) -> str:
    """A usage id that is a GUID in lower case with dashes; any other as it is."""
    if not _GUID_DIGITS <= len(text) <= _LONGEST or _DASHED.fullmatch(text) or not text.isascii():
        return text
    if _BARE.fullmatch(text):
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    spelled = _SPELLED.fullmatch(text.lower())
    if spelled is None:
        return text
    opening, first, _, second, third, fourth, last, closing = spelled.groups()
    if _CLOSED_BY[opening] != closing:
        return text
    return f"{first}-{second}-{third}-{fourth}-{last}"


def normal_object_id(text: str) -> str:
    """An object id of a directory in the form in which it is compared."""
    stripped = text.strip()
    return normal_usage_id(stripped).casefold()


def name_alias(user: str) -> str:
    """Under which another name of a user is kept."""
    return f"name/{name_key(user)}"


def object_alias(object_id: str) -> str:
    """Under which the object id of a user is kept."""
    return f"object/{normal_object_id(object_id)}"


def pseudonym_of(key: str, name: str) -> str:
    """What a user of this name is called once it is erased: the same each time, and not found without the key."""
    return f"{_ERASED}{_keyed(key, 'name', name_key(name))}"


def is_pseudonym(name: str) -> bool:
    """Whether a name is one that `pseudonym_of` gives."""
    return _PSEUDONYM.fullmatch(name) is not None


def erased_alias(key: str, name: str) -> str:
    """Under which a name or object id of an erased user is found again."""
    return f"{_ERASED_ALIAS}{_keyed(key, 'alias', normal_object_id(name))}"


def is_erased(alias: str) -> bool:
    """Whether an alias is a hash, and names nobody."""
    return alias.startswith(_ERASED_ALIAS)


def _keyed(key: str, purpose: str, text: str) -> str:
    secret = blake2b(key.encode(), digest_size=32).digest()
    return blake2b(f"{purpose}\0{text}".encode(), key=secret, digest_size=10).hexdigest()


def digest(*parts: object) -> str:
    """A deterministic id of 32 hexadecimal digits."""
    return blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()
