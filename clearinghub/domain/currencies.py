"""The currencies that messages and accounts may have: those of ISO 4217, and others that FSPIOP lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# ISO 4217, list one, with its codes for testing (XTS) and for no currency (XXX).
_ISO_4217: Final = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK
MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR
SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW
UZS VED VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG
"""

# In the enumeration of the FSPIOP API v1.1, and withdrawn from ISO 4217 since or never in it.
_FSPIOP_ONLY: Final = "ANG CUC GGP HRK IMP JEP MRO SLL SPL STD TVD VEF ZWD ZWL"

CURRENCIES: Final = frozenset(_ISO_4217.split()) | frozenset(_FSPIOP_ONLY.split())


def currencies_with(extra: Iterable[str]) -> frozenset[str]:
    """Return all currency codes that the scheme accepts; `extra` are its own, for example of a pilot."""
    return CURRENCIES | frozenset(extra)
