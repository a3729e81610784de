"""Writes `tests/data/phones.tsv` from Google's metadata: what libphonenumber says about its own example numbers.

    python3 -m venv v && v/bin/pip install phonenumbers==9.0.43
    v/bin/python tests/phones/table.py > tests/data/phones.tsv
    v/bin/python tests/phones/table.py all > all.tsv    # every region as home region, for PHONES_TABLE
"""

import sys

import phonenumbers as lib
from phonenumbers import PhoneNumberFormat as Format
from phonenumbers import PhoneNumberType as Type

HOMES = ["AU", "BR", "DE", "FR", "GB", "IN", "IT", "JP", "MX", "RU", "UA", "US"]
TYPES = [value for name, value in vars(Type).items() if name.isupper() and isinstance(value, int)]


def with_plus(text):
    """What begins with `+`: read without any region, taken if its length is possible for its country.

    A length that is possible only without the area code does not count, unless the number is valid as it is.
    """
    number = lib.parse(text, None)
    possible = lib.is_possible_number_with_reason(number) == lib.ValidationResult.IS_POSSIBLE
    return lib.format_number(number, Format.E164) if possible or lib.is_valid_number(number) else ""


def without_plus(text, home):
    """Everything else: read with the home region, taken if it is valid and leads to the home region's calling code."""
    try:
        number = lib.parse(text, home)
    except lib.NumberParseException:
        return ""
    at_home = number.country_code == lib.country_code_for_region(home)
    return lib.format_number(number, Format.E164) if at_home and lib.is_valid_number(number) else ""


def examples():
    for region in sorted(lib.SUPPORTED_REGIONS):
        found = (lib.example_number_for_type(region, kind) for kind in TYPES)
        yield from sorted({(region, lib.format_number(one, Format.E164)) for one in found if one})
    for code in sorted(lib.COUNTRY_CODES_FOR_NON_GEO_REGIONS):
        one = lib.example_number_for_non_geo_entity(code)
        yield ("001", lib.format_number(one, Format.E164))


homes = sorted(lib.SUPPORTED_REGIONS) if sys.argv[1:] == ["all"] else HOMES
print(f"# phonenumbers {lib.__version__}; made by tests/phones/table.py, which says what the answers mean")
print(f"# homes: {' '.join(homes)}")
print("# region, E.164, international form, national form, answer to the national form at home, and in other home regions")
for region, e164 in examples():
    number = lib.parse(e164, None)
    international = lib.format_number(number, Format.INTERNATIONAL)
    national = lib.format_number(number, Format.NATIONAL)
    if with_plus(e164) != e164 or with_plus(international) != e164:
        sys.exit(f"{e164} of {region} does not come out as it went in")
    at_home = "" if region == "001" else without_plus(national, region)
    abroad = ((home, without_plus(national, home)) for home in homes if home != region)
    abroad = " ".join(f"{home}={answer}" for home, answer in abroad if answer)
    print("\t".join([region, e164, international, national, at_home, abroad]))
