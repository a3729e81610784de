#!/bin/sh
# libphonenumber 9.0.43 (its Python port), asked for `0055 …` with Brazil as the region. People write `00` and the country code 55;
# in Brazil `00` is followed by the code of a carrier, of which 55 is one. So libphonenumber takes `0055` for the whole prefix, reads
# the area code as the code of another country, and calls the result valid: a mobile number of Governador Valadares (area 33)
# becomes one of France. That a number is valid does not show that it was meant.
#
# The output that was seen stands below, as `want`.
#
# Exits with 1 when the library answers otherwise. Needs python3 and PyPI.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet phonenumbers==9.0.43
cat > ask.py <<'PYTHON'
import phonenumbers as lib

for region, text in [("BR", "0055 33 99123 4567"), ("DE", "0055 33 99123 4567"), ("BR", "+55 33 99123 4567")]:
    number = lib.parse(text, region)
    e164 = lib.format_number(number, lib.PhoneNumberFormat.E164)
    print(f"{text} from {region}: {e164}, valid: {lib.is_valid_number(number)}, {lib.region_code_for_number(number)}")
PYTHON
cat > want <<'SEEN'
0055 33 99123 4567 from BR: +33991234567, valid: True, FR
0055 33 99123 4567 from DE: +5533991234567, valid: True, BR
+55 33 99123 4567 from BR: +5533991234567, valid: True, BR
SEEN
python/bin/python ask.py > seen
cat seen
cmp -s seen want || { echo "it answers otherwise now" >&2; exit 1; }
