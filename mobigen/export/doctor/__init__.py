"""The doctor: what an accelerator would refuse of a network and what it would cost, known before converting."""

from mobigen.export.doctor.examine import examine, examine_network
from mobigen.export.doctor.report import Report

__all__ = ["Report", "examine", "examine_network"]
