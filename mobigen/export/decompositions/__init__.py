"""The table of decompositions: what converters translate wrongly or not at all -> operations that they get right.

Without it some graphs would be wrong and nobody would be told. Every row says what the converter does; every row has a
test that fails without it. A construct that a converter gets right is left as it is.
"""

from mobigen.export.decompositions import arithmetic, convolution, order, resize
from mobigen.export.decompositions.advice import way_round
from mobigen.export.decompositions.cure import Cure, Decompositions, Table, cure, decompose

__all__ = ["COREML", "LITERT", "TABLE", "Cure", "Decompositions", "Table", "cure", "decompose", "way_round"]

TABLE: Table = {**arithmetic.BOTH, **resize.BOTH, **convolution.BOTH, **order.BOTH}  # for both converters
COREML: Table = {**TABLE, **arithmetic.COREML, **resize.COREML, **convolution.COREML}
LITERT: Table = {**TABLE, **convolution.LITERT, **order.LITERT}
