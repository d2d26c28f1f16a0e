"""Telephone numbers in every spelling that switches write: plain, with separators, in SIP and tel URIs.

A number is E.164 with a legal run of `*` at the end; what else a URI holds is an address.
Rules 72 (obfuscated tails), 15 (internal calls), A35, A39.  Which country a number belongs
to is decided elsewhere (rater.core.numbering and the rate deck).
"""

import re
from collections.abc import Callable
from functools import lru_cache

#: E.164 with nothing hidden, as nearly every number is; it is what it means (A39).
match_plain = re.compile(r"\+[1-9][0-9]{1,14}", re.ASCII).fullmatch
_match_e164 = re.compile(r"\+[1-9](?:[0-9]{1,14}\**|\*+)", re.ASCII).fullmatch
_SCHEME = re.compile(r"(?:sips?|tel):", re.IGNORECASE)
_SIP = re.compile(r"sips?:", re.IGNORECASE)
_ESCAPED = re.compile(r"%([0-7][0-9A-Fa-f])")
_SEPARATORS = re.compile(r"[-.()\s]")
_match_dialled = re.compile(r"\+?[0-9]+", re.ASCII).fullmatch
_match_domain = re.compile(r"[\w-]+(?:\.[\w-]+)*(?::[0-9]{1,5})?").fullmatch
#: What stands for the last digits of a number that is hidden: those of a subscriber.
HIDDEN = "****"
#: A number of fewer digits, hidden ones aside, names no subscriber.
HIDDEN_DIGITS_FROM = 7
#: What switches write when the caller withheld the number.
_WITHHELD = frozenset({"", "anonymous", "restricted", "unavailable", "unknown", "private", "<no data>"})


def is_e164(number: str) -> bool:
    """A plus sign, country code and subscriber number, 15 digits at most; the last may be hidden as `*`."""
    return len(number) <= 16 and _match_e164(number) is not None


def is_withheld(number: str | None) -> bool:
    """Whether the caller's number is not known, which is legal for inbound calls; an address shows none (A39)."""
    return number is None or number.casefold() in _WITHHELD or is_address(number)


def is_address(text: str) -> bool:
    """A SIP or user address instead of a number; what `normal_number` reads as a number is not one."""
    return ("@" in text or _SIP.match(_uri(text)) is not None) and not is_e164(normal_number(text))


def normal_number(text: str) -> str:
    """The number that a text means, in E.164; the text itself where it means none (A39).

    `sip:+1(206)555-0100@sbc.example;user=phone`, `+1 206 555 0100` and `tel:+1-206-555-0100` are one number.
    An address and digits without a plus sign are no numbers.
    """
    return text if is_e164(text) else _normal_number(text)


def normal_destination(text: str) -> str:
    """The same of a called number; of what is no number, the digits that were dialled: `112` of `sip:112@x`.

    Digits alone are only ever right as an emergency number (A38), whatever domain follows them.
    """
    number = normal_number(text)
    return number if is_e164(number) else dialled(text) or text


@lru_cache(maxsize=4096)
def _normal_number(text: str) -> str:
    number = _SEPARATORS.sub("", user_part(text))
    return number if is_e164(number) else text


def dialled(text: str) -> str | None:
    """The digits that were dialled, with their plus sign: `112` of `tel:112` and `sip:112@x`; else None."""
    if is_e164(text):
        return None if text[-1] == "*" else text
    found = _SEPARATORS.sub("", user_part(text))
    return found if _match_dialled(found) else None


def user_part(text: str) -> str:
    """What stands before the domain in a URI: without display name, scheme, password and parameters."""
    uri = _uri(text)
    scheme = _SCHEME.match(uri)
    bare = uri[scheme.end() :] if scheme else uri
    user, at, _ = bare.rpartition("@")
    if not at:
        return _unescaped(_without_parameters(bare)) if scheme else _without_parameters(bare)
    return _unescaped(_without_parameters(user).partition(":")[0])


def domain_of(address: str) -> str:
    """An address's domain in lower case, without port and parameters; empty where it names none (A39)."""
    uri = _uri(address)
    host = _without_parameters(uri.rpartition("@")[2]) if "@" in uri else ""
    return host.strip().partition(":")[0].removesuffix(".").casefold()


def normal_domain(domain: str) -> str:
    """A tenant's domain as addresses are compared with it: without port and case."""
    return domain_of(f"@{domain}")


def is_domain(domain: str) -> bool:
    """Whether a tenant's domain can be one: labels of letters, digits and dashes, perhaps with a port."""
    return _match_domain(domain) is not None


def digits_of(number: str) -> str:
    """The digits that prefixes are matched against: without plus sign and hidden tail."""
    return number.strip("+*")


def hidden_number(text: str, hide_address: Callable[[str], str]) -> str:
    """A number without its last digits (rule 72), an address as `hide_address` shows it, before its domain.

    Short numbers are services, such as 112, and stay; so does what withholds a number.
    """
    if is_address(text):
        user, domain = user_part(text), domain_of(text)
        return f"{hide_address(f'{user}@{domain}' if domain else user)}@{domain}"
    if text.casefold() in _WITHHELD or len(digits_of(text)) < HIDDEN_DIGITS_FROM:
        return text
    return text if text.endswith(HIDDEN) else text[: -len(HIDDEN)] + HIDDEN


def _uri(text: str) -> str:
    """The URI inside angle brackets, else the text; without blanks around it."""
    _, opened, inside = text.partition("<")
    uri, closed, _ = inside.partition(">")
    return (uri if opened and closed else text).strip()


def _without_parameters(text: str) -> str:
    return text.partition(";")[0].partition("?")[0].strip()


def _unescaped(text: str) -> str:
    """Escapes of ASCII characters such as `%2B`, undone."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "%" in text else text
