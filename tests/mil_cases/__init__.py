"""Small programs of MIL, one operation each, with what they must compute by formulas of NumPy."""

from mil_cases import activation, arithmetic, constants, index, linear, reduction, resize, shape

TABLES = (arithmetic, activation, reduction, linear, shape, index, resize, constants)
CASES = [case for table in TABLES for case in table.CASES]
