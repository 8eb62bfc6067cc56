"""Units of measurement: names, factors to the base unit of their dimension, and what single letters may mean.

Factors are exact by definition (SI brochure, 9th edition; international yard and pound agreement of 1959).
"""

from __future__ import annotations

from decimal import Decimal

__all__ = [
    "EXACT_CASE_UNITS",
    "LETTERS",
    "MONEY_LETTERS",
    "MULTIPLIERS",
    "POWERS",
    "SCALED_WORDS",
    "TEMPERATURES",
    "UNITS",
    "unit_of",
]

_TABLE = """
time: ms msec msecs millisecond milliseconds = 0.001
time: us usec µs microsecond microseconds = 0.000001
time: ns nanosecond nanoseconds = 0.000000001
time: s sec secs second seconds = 1
time: min mins minute minutes = 60
time: h hr hrs hour hours = 3600
time: day days = 86400
time: wk week weeks = 604800
time: fortnight fortnights = 1209600
months: mo month months = 1
months: quarters = 3
months: yr yrs year years = 12
months: decade decades = 120
months: century centuries = 1200
data: bit bits = 0.125
data: byte bytes = 1
data: kb kilobyte kilobytes = 1000
data: mb megabyte megabytes meg megs = 1000000
data: gb gigabyte gigabytes gig gigs = 1000000000
data: tb terabyte terabytes = 1000000000000
data: pb petabyte petabytes = 1000000000000000
data: kib kibibyte kibibytes = 1024
data: mib mebibyte mebibytes = 1048576
data: gib gibibyte gibibytes = 1073741824
data: tib tebibyte tebibytes = 1099511627776
rate: bps bit/s bits/s = 1
rate: kbps kbit/s kbit = 1000
rate: mbps mbit/s mbit mbits = 1000000
rate: gbps gbit/s gbit gbits gbe gige = 1000000000
rate: tbps tbit/s = 1000000000000
rate: b/s = 1
rate: kb/s = 8000
rate: mb/s = 8000000
rate: gb/s = 8000000000
rate: tb/s = 8000000000000
beats: bpm = 1
frequency: hz hertz = 1
frequency: khz kilohertz = 1000
frequency: mhz megahertz = 1000000
frequency: ghz gigahertz = 1000000000
length: nm nanometer nanometers nanometre nanometres = 0.000000001
length: um µm micron microns = 0.000001
length: mm millimeter millimeters millimetre millimetres = 0.001
length: cm centimeter centimeters centimetre centimetres = 0.01
length: meter meters metre metres = 1
length: km kms kilometer kilometers kilometre kilometres = 1000
length: inch inches = 0.0254
length: ft foot feet = 0.3048
length: yd yard yards = 0.9144
length: mi mile miles = 1609.344
mass: mcg µg microgram micrograms = 0.000001
mass: mg milligram milligrams = 0.001
mass: gram grams gm gms = 1
mass: kg kgs kilo kilos kilogram kilograms = 1000
mass: tonne tonnes = 1000000
mass: oz ounce ounces = 28.349523125
mass: lb lbs pound pounds = 453.59237
volume: ml milliliter milliliters millilitre millilitres = 0.001
volume: cl centiliter centiliters centilitre centilitres = 0.01
volume: l liter liters litre litres = 1
volume: gallon gallons gal = 3.785411784
volume: pint pints = 0.473176473
volume: cup cups = 0.2365882365
volume: tablespoon tablespoons tbsp = 0.01478676478125
volume: teaspoon teaspoons tsp = 0.00492892159375
speed: km/h kmh kph = 1
speed: m/s = 3.6
speed: ft/s = 1.09728
speed: mph mi/h = 1.609344
speed: knot knots = 1.852
pressure: pa pascal pascals = 1
pressure: hpa = 100
pressure: kpa = 1000
pressure: bar bars = 100000
pressure: mbar = 100
pressure: psi = 6894.757293168361
pressure: mmhg = 133.322387415
power: watt watts = 1
power: kw kilowatt kilowatts = 1000
power: gw gigawatt gigawatts = 1000000000
power: hp horsepower = 745.69987158227022
energy: joule joules = 1
energy: kj kilojoule kilojoules = 1000
energy: cal calorie calories kcal = 4184
energy: kwh = 3600000
voltage: volt volts = 1
voltage: kv kilovolt kilovolts = 1000
current: amp amps ampere amperes = 1
celsius: °c celsius centigrade = 1
fahrenheit: °f fahrenheit = 1
kelvin: kelvin = 1
degrees: ° degree degrees deg = 1
level: db decibel decibels = 1
level-mw: dbm = 1
pixels: px pixel pixels = 1
points: pt pts = 1
percent: % percent pct percentage = 1
points-of-percent: bp basis-points = 1
dollar: $ usd dollar dollars bucks = 1
dollar: cent cents = 0.01
euro: € eur euro euros = 1
sterling: £ gbp quid = 1
yen: ¥ jpy yen = 1
rupee: ₹ inr rupee rupees rs = 1
"""


def _units() -> dict[str, tuple[str, Decimal]]:
    units: dict[str, tuple[str, Decimal]] = {}
    for line in _TABLE.strip().splitlines():
        dimension, rest = line.split(": ")
        names, factor = rest.split(" = ")
        for name in names.split():
            units[name] = (dimension, Decimal(factor))
    return units


UNITS = _units()
TEMPERATURES = frozenset({"celsius", "fahrenheit", "kelvin"})
LETTERS: dict[str, tuple[tuple[str, Decimal], ...]] = {
    letter: tuple((dimension, Decimal(factor)) for dimension, factor in meanings.items())
    for letter, meanings in {
        "m": {"length": "1", "time": "60", "months": "1", "": "1e6", "data": "1e6"},
        "M": {"": "1e6", "data": "1e6", "rate": "1e6", "length": "1"},
        "k": {"": "1e3", "data": "1e3", "rate": "1e3", "length": "1e3"},
        "K": {"": "1e3", "data": "1e3", "rate": "1e3", "length": "1e3", "kelvin": "1"},
        "g": {"mass": "1", "data": "1e9"},
        "G": {"data": "1e9", "rate": "1e9"},
        "b": {"data": "0.125", "": "1e9"},
        "B": {"data": "1", "": "1e9"},
        "t": {"mass": "1e6", "": "1e12"},
        "T": {"data": "1e12", "": "1e12", "tesla": "1"},
        "d": {"time": "86400"},
        "degrees": {"angle": "1", "celsius": "1", "fahrenheit": "1"},
    }.items()
}
"""What a letter behind a number may mean ("" is a multiplier): it agrees with each of these and with nothing else."""
MONEY_LETTERS = {
    "k": 1000, "K": 1000, "m": 1_000_000, "M": 1_000_000, "b": 1_000_000_000, "B": 1_000_000_000,
    "t": 1_000_000_000_000, "T": 1_000_000_000_000,
}  # fmt: skip
EXACT_CASE_UNITS = {  # here a letter's case is a factor of eight or of a thousand million
    "Ms": ("time", Decimal(1_000_000)), "Mg": ("mass", Decimal(1_000_000)),
    "mHz": ("frequency", Decimal("0.001")), "mPa": ("pressure", Decimal("0.001")),
    "MPa": ("pressure", Decimal(1_000_000)), "mJ": ("energy", Decimal("0.001")), "MJ": ("energy", Decimal(1_000_000)),
    "Kb": ("data", Decimal(125)), "Mb": ("data", Decimal(125_000)), "Gb": ("data", Decimal(125_000_000)),
    "Tb": ("data", Decimal(125_000_000_000)),
    "mV": ("voltage", Decimal("0.001")), "MV": ("voltage", Decimal(1_000_000)), "V": ("voltage", Decimal(1)),
    "mW": ("power", Decimal("0.001")), "MW": ("power", Decimal(1_000_000)), "W": ("power", Decimal(1)),
    "mA": ("current", Decimal("0.001")), "A": ("current", Decimal(1)),
    "C": ("celsius", Decimal(1)), "F": ("fahrenheit", Decimal(1)), "J": ("energy", Decimal(1)),
}  # fmt: skip
EXACT_CASE_UNITS |= {
    f"{prefix}{unit}": ("rate", Decimal(1000) ** power * bits)
    for power, prefixes in enumerate(("", "kK", "M", "G", "T"))
    for prefix in prefixes or ("",)
    for unit, bits in (("b/s", 1), ("B/s", 8), ("Bps", 8))
}
EXACT_CASE_UNITS |= {letter: (letter, Decimal(1)) for letter in LETTERS if len(letter) == 1}
MULTIPLIERS = {"mn": 1_000_000, "mio": 1_000_000, "bn": 1_000_000_000, "tn": 1_000_000_000_000}
SCALED_WORDS = {
    "hundred": 100, "thousand": 1000, "million": 1_000_000, "millions": 1_000_000, "billion": 1_000_000_000,
    "trillion": 1_000_000_000_000, "lakh": 100_000, "lakhs": 100_000, "crore": 10_000_000, "crores": 10_000_000,
}  # fmt: skip
POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}


def unit_of(text: str, lower: str) -> tuple[str, Decimal] | None:
    """Dimension and factor of a unit as it was written, or None. A letter of `LETTERS` is a dimension of its own."""
    return EXACT_CASE_UNITS.get(text) or UNITS.get(lower)
