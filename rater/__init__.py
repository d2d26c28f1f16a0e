"""rater: call-detail records against bundled minutes and prepaid credit, to the micro-unit, exactly once."""

__version__ = "0.3.0"
