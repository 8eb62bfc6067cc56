"""Units: what a letter behind a number may mean, and what it cannot. Every row is asked both ways round."""

from __future__ import annotations

import pytest

from llmcache_plugins.matching.guards import judge
from llmcache_plugins.matching.guards.numbers import numbers

APART = [
    ("a cable of 100 m length", "a cable of 100 ft length"),
    ("a cable of 100 m length", "a cable of 100 km length"),
    ("a cable of 100m length", "a cable of 100ft length"),
    ("a budget of $5M", "a budget of $5 billion"),
    ("a budget of 5M", "a budget of 5B"),
    ("a budget of 5 bn", "a budget of 5 mn"),
    ("a budget of $5B", "a budget of $5T"),
    ("512M of memory", "512 GB of memory"),
    ("512M of memory", "512G of memory"),
    ("16G of memory", "16 MB of memory"),
    ("16g of sugar", "16 kg of sugar"),
    ("16g of sugar", "16 oz of sugar"),
    ("5G phone", "4G phone"),
    ("64k of memory", "64 MB of memory"),
    ("a salary of 64k", "a salary of 64M"),
    ("a disk of 2T", "a disk of 2 GB"),
    ("a load of 2 t", "a load of 2 kg"),
    ("a delay of 5 s", "a delay of 5 ms"),
    ("a delay of 5 s", "a delay of 5 h"),
    ("a delay of 5 d", "a delay of 5 h"),
    ("a screen of 27 in", "a screen of 27 cm"),
    ("a bottle of 2 l", "a bottle of 2 ml"),
    ("a bottle of 2 L", "a bottle of 2 gallons"),
    ("100 b", "100 kb"),
    ("a packet of 64 B", "a packet of 64 KB"),
    ("what is 100 C in kelvin", "what is 100 F in kelvin"),
    ("what is 100°C in kelvin", "what is 100 degrees F in kelvin"),
    ("what is 100°C in kelvin", "what is 100 degrees Fahrenheit in kelvin"),
    ("300 K", "300 C"),
    ("water boils in Celsius", "water boils in Fahrenheit"),
    ("a link of 1.5 Gbps", "a link of 1.5 GBps"),
    ("a link of 100 Mb/s", "a link of 100 MB/s"),
    ("a link of 100 Mbps", "a link of 100 MBps"),
    ("100 Kbit", "100 KB"),
    ("100 Kbit", "100 Mbit"),
    ("12 V", "12 W"),
    ("5 A", "5 mA"),
    ("run 5 m", "run 5 miles"),
    ("run 5m", "run 5 km"),
    ("5 h", "5 min"),
    ("what is 1e6", "what is 1e9"),
    ("what is 2^10", "what is 2^20"),
    ("5x faster", "5% faster"),
    ("9 mph", "9 km/h"),
    ("5 in the morning", "5 in the evening"),
    ("3 psi", "3 bar"),
    ("5 °C", "5 K"),
    ("5 m2", "5 ft2"),
    ("5 m²", "5 ft²"),
    ("5 sq ft", "5 sq m"),
    ("5 square feet", "5 square meters"),
    ("20 m/s", "20 km/h"),
    ("10 GHz", "10 MHz"),
    ("5 lb", "5 kg"),
    ("5 °F", "5 °C"),
    ("5 dB", "5 dBm"),
    ("1.5 TB", "1.5 TiB"),
    ("2k video", "4k video"),
    ("1 min", "1 month"),
    ("pay 5 k", "pay 5 M"),
    ("5 pt", "5 px"),
    ("5 USD", "5 EUR"),
    ("$5", "€5"),
    ("5 dollars", "5 cents"),
    ("5 W", "5 kW"),
    ("5 bits", "5 bytes"),
    ("10 kV", "10 V"),
    ("5 nm", "5 mm"),
    ("the price of an iPhone 6", "the price of an iPhone 6s"),
    ("a 2D game", "a 3D game"),
]
ALIKE = [
    ("a cable of 100 m length", "a cable of 100 meters length"),
    ("a cable of 100 m length", "a cable of 100 metres"),
    ("wait 5 m", "wait 5 minutes"),
    ("a timeout of 5m", "a timeout of 5 min"),
    ("a budget of 5m", "a budget of 5 million"),
    ("a budget of 5M", "a budget of 5 million"),
    ("a budget of 5m", "a budget of 5000000"),
    ("a budget of $5M", "a budget of $5 million"),
    ("a budget of $5m", "a budget of 5 million dollars"),
    ("a budget of 5B", "a budget of 5 billion"),
    ("a budget of 5bn", "a budget of 5 billion"),
    ("a budget of $5T", "a budget of $5 trillion"),
    ("512M of memory", "512 MB of memory"),
    ("16G of memory", "16 GB of memory"),
    ("16g of memory", "16GB of memory"),
    ("16g of sugar", "16 grams of sugar"),
    ("5G phone", "5g phone"),
    ("64k of memory", "64 KB of memory"),
    ("64K of memory", "64 kilobytes of memory"),
    ("a salary of 64k", "a salary of 64,000"),
    ("a salary of 64 k", "a salary of 64000"),
    ("a disk of 2T", "a disk of 2 TB"),
    ("a load of 2 t", "a load of 2 tonnes"),
    ("a delay of 5 s", "a delay of 5 seconds"),
    ("a delay of 5 d", "a delay of 5 days"),
    ("a delay of 5d", "a delay of 120 hours"),
    ("a screen of 27 in", "a screen of 27 inches"),
    ('a screen of 27"', "a screen of 27 inch"),
    ("a bottle of 2 L", "a bottle of 2 liters"),
    ("a packet of 64 B", "a packet of 64 bytes"),
    ("what is 100 C in kelvin", "what is 100 degrees Celsius in kelvin"),
    ("what is 100°C in kelvin", "what is 100 C in kelvin"),
    ("what is 100 degrees C in kelvin", "what is 100 degrees Celsius in kelvin"),
    ("what is 100°C in kelvin", "what is 100 degrees in kelvin"),
    ("300 K", "300 kelvin"),
    ("a link of 100 Mb/s", "a link of 100 Mbps"),
    ("a link of 100 Mb/s", "a link of 100 Mbit/s"),
    ("a link of 100 MBps", "a link of 100 MB/s"),
    ("a link of 100 mbps", "a link of 100 Mbps"),
    ("1 Gbps", "1000 Mbps"),
    ("12 V", "12 volts"),
    ("what is 1e6", "what is 1000000"),
    ("timeout 30", "timeout 30 s"),
    ("$7000", "7000"),
    ("5 oz", "5 ounces"),
    ("100 M sprint", "100 m sprint"),
    ("Boeing 747s", "Boeing 747"),
    ("a 3d printer", "a 3D printer"),
    ("Unity 3D", "Unity3D"),
    ("5k miles", "5000 miles"),
    ("$5 M in sales", "$5 million in sales"),
    ("5M dollars", "5 million dollars"),
    ("5 m and 5 s", "5 s and 5 minutes"),
]


def conflicts(asked: str, stored: str) -> list[str]:
    return [verdict.guard for verdict in judge(asked, stored) if verdict.verdict == "conflict"]


@pytest.mark.parametrize(("one", "other"), APART)
def test_other_quantities_are_a_conflict(one: str, other: str) -> None:
    assert conflicts(one, other)
    assert conflicts(one, other) == conflicts(other, one)


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_the_same_quantity_in_another_notation_is_no_conflict(one: str, other: str) -> None:
    assert conflicts(one, other) == []
    assert conflicts(other, one) == []


def test_a_unit_that_one_side_asks_for_is_no_agreement() -> None:
    assert numbers("how far is it in km", "how far is it").verdict == "silent"
    assert numbers("how far is it", "how far is it in km").verdict == "silent"
