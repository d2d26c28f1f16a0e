"""One decoder under atheris, in a process of its own: libFuzzer ends the process when it is done.

python -m tests.fuzz.fuzz_one DECODER CORPUS [libFuzzer's options]
"""

import sys

import atheris

with atheris.instrument_imports(include=["rater", "json", "csv", "yaml", "zipfile"]):
    from tests.fuzz.decoders import DECODERS

if __name__ == "__main__":
    decoder = DECODERS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, lambda raw: decoder.decode(raw) and None)
    atheris.Fuzz()
