"""Numbers as chemists print them: as many decimals as the error allows, a real minus sign, units apart."""

from __future__ import annotations

import math

from markupsafe import Markup

from solvation.report.inputs import number

#: Decimals when no standard error says how many are known.
_DECIMALS = {"eV": 2, "Å": 2}
#: Decimals at most, however small the error: two searches that end in one structure agree to the last bit.
_MOST_DECIMALS = {"eV": 3}
_MISSING = Markup('<span class="none">–</span>')


def decimals(stderr: float | None, unit: str = "") -> int:
    """Decimals worth printing: one figure of the standard error, two when it starts with 1."""
    error = number(stderr)
    if not error or error <= 0:
        return _DECIMALS.get(unit, 2)
    exponent = math.floor(math.log10(error))
    leading = error / 10**exponent
    return min(_MOST_DECIMALS.get(unit, 5), max(0, -exponent + (1 if leading < 1.95 else 0)))


def plain(value: float | None, places: int, *, signed: bool = False) -> str:
    """Return `−6.03`, or an en dash when there is no number."""
    found = number(value)
    if found is None:
        return "–"
    text = f"{found:+.{places}f}" if signed else f"{found:.{places}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "\N{MINUS SIGN}")


def cell(value: float | None, places: int = 2, *, signed: bool = False) -> Markup:
    """Return a rounded number for a table; the exact one stands in its attribute."""
    found = number(value)
    if found is None:
        return _MISSING
    return Markup('<data value="{}">{}</data>').format(repr(found), plain(found, places, signed=signed))


def as_given(value: float | None) -> Markup:
    """Return a number with the figures it came with, e.g. a published one."""
    found = number(value)
    if found is None:
        return _MISSING
    return Markup('<data value="{}">{}</data>').format(repr(found), f"{found:.6g}".replace("-", "\N{MINUS SIGN}"))


def share_bar(share: float, low: float | None, high: float | None) -> Markup:
    """A share of one as a bar, with a line over its range where there is one."""
    bar = Markup('<span class="share"><i style="width:{}%"></i>').format(f"{100 * share:.1f}")
    if low is not None and high is not None and low <= high:
        low, high = max(low, 0.0), min(high, 1.0)
        bar += Markup('<b style="left:{}%;width:{}%"></b>').format(f"{100 * low:.1f}", f"{100 * (high - low):.1f}")
    return bar + Markup("</span>")


def with_error(value: float | None, stderr: float | None, unit: str = "", *, signed: bool = False) -> Markup:
    """Return value ± standard error for a table, both rounded to what the error allows."""
    error = number(stderr)
    places = decimals(error, unit)
    text = cell(value, places, signed=signed)
    if number(value) is None or error is None:
        return text
    if unit in _MOST_DECIMALS and error < 0.5 * 10.0**-places:
        least = Markup('<data value="{}">&lt;{}</data>').format(repr(error), plain(10.0**-places, places))
        return text + Markup(' <span class="stderr">± {}</span>').format(least)
    return text + Markup(' <span class="stderr">± {}</span>').format(cell(error, places))


def seconds(value: float | None) -> str:
    """Return `2 h 05 min`, `3 min 10 s` or `4.2 s`."""
    found = number(value)
    if found is None:
        return "–"
    if found < 59.95:
        return f"{found:.1f} s"
    minutes, rest = divmod(round(found), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
