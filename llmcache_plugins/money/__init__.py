"""What calls of models cost, and what the cache has saved: net of what the cache itself costs. Pure but for reading a
price file."""

from llmcache_plugins.money.price_file import load_prices, shipped_prices
from llmcache_plugins.money.prices import Price, PriceTable
from llmcache_plugins.money.savings import ModelMoney, Savings, savings_of
from llmcache_plugins.money.settings import MoneySettings

__all__ = [
    "ModelMoney",
    "MoneySettings",
    "Price",
    "PriceTable",
    "Savings",
    "load_prices",
    "savings_of",
    "shipped_prices",
]
